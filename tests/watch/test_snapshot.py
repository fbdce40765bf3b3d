"""manyhands.watch: what makes threads wait, who has it, who waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from manyhands import watch
from support import OURS, Hand, alarm, in_fork

threading, queue = OURS.threading, OURS.queue


@pytest.fixture
def seen() -> Any:
    """What was not there when the test began."""
    before = {entry["id"] for entry in watch.snapshot()}

    def look() -> list[dict[str, Any]]:
        return [entry for entry in watch.snapshot() if entry["id"] not in before]

    return look


@contextmanager
def waiting(call: Any, *args: Any) -> Iterator[Hand]:
    hand = Hand(call, *args).blocks()
    yield hand
    hand.result()


def test_an_object_that_made_nobody_wait_is_not_there(seen: Any) -> None:
    things = [threading.Lock(), threading.RLock(), threading.Semaphore(3), threading.Condition()]
    for thing in things:
        with thing:
            pass
    event = threading.Event()
    event.set()
    assert event.wait()
    some_queue = queue.Queue()
    some_queue.put(1)
    some_queue.get()
    some_queue.task_done()
    some_queue.join()
    simple = queue.SimpleQueue()
    simple.put(1)
    simple.get()
    threading.Barrier(1).wait()
    # Not to get it at once, without wanting to wait, is no waiting either.
    with things[0]:
        assert not things[0].acquire(False)
        assert not things[0].acquire(timeout=0)
    assert seen() == []


def test_a_lock_is_seen_with_its_owner_and_who_waits(seen: Any) -> None:
    lock = threading.Lock()
    lock.acquire()
    with waiting(lock.acquire, True, 60) as hand:
        (entry,) = seen()
        assert entry["kind"] == "Lock"
        assert entry["owner"] == threading.get_ident()
        (waiter,) = entry["waiters"]
        assert (waiter["thread"], waiter["operation"]) == (hand.ident, "acquire")
        assert isinstance(waiter["waited"], float)
        assert waiter["waited"] >= 0
        lock.release()
        hand.finish()
        (entry,) = seen()
        assert (entry["owner"], entry["waiters"]) == (hand.ident, [])
    lock.release()
    assert seen()[0]["owner"] is None


def test_an_rlock_is_seen_with_its_owner_and_who_waits(seen: Any) -> None:
    lock = threading.RLock()
    lock.acquire()
    lock.acquire()

    def use() -> None:
        with lock:
            pass

    with waiting(use) as hand:
        (entry,) = seen()
        assert (entry["kind"], entry["owner"]) == ("RLock", threading.get_ident())
        assert [waiter["thread"] for waiter in entry["waiters"]] == [hand.ident]
        lock.release()
        assert seen()[0]["owner"] == threading.get_ident()
        lock.release()
    (entry,) = seen()
    assert (entry["owner"], entry["waiters"]) == (None, [])


#: kind, operation, and how to make it, wait for it, and let it go on
UNOWNED: list[tuple[str, str, Any, Any, Any]] = [
    (
        "Semaphore",
        "acquire",
        lambda: threading.Semaphore(0),
        lambda it: it.acquire(),
        lambda it: it.release(),
    ),
    (
        "BoundedSemaphore",
        "acquire",
        lambda: _taken(threading.BoundedSemaphore()),
        lambda it: it.acquire(),
        lambda it: it.release(),
    ),
    ("Event", "wait", threading.Event, lambda it: it.wait(), lambda it: it.set()),
    (
        "Barrier",
        "wait",
        lambda: threading.Barrier(2),
        lambda it: it.wait(),
        lambda it: it.wait(),
    ),
    ("Queue", "get", queue.Queue, lambda it: it.get(), lambda it: it.put(1)),
    ("LifoQueue", "get", queue.LifoQueue, lambda it: it.get(), lambda it: it.put(1)),
    ("PriorityQueue", "get", queue.PriorityQueue, lambda it: it.get(), lambda it: it.put(1)),
    ("SimpleQueue", "get", queue.SimpleQueue, lambda it: it.get(), lambda it: it.put(1)),
    ("Queue", "put", lambda: _full(queue.Queue(1)), lambda it: it.put(2), lambda it: it.get()),
    (
        "PriorityQueue",
        "put",
        lambda: _full(queue.PriorityQueue(1)),
        lambda it: it.put(2),
        lambda it: it.get(),
    ),
    (
        "LifoQueue",
        "join",
        lambda: _full(queue.LifoQueue()),
        lambda it: it.join(),
        lambda it: it.task_done(),
    ),
]


def _taken(semaphore: Any) -> Any:
    semaphore.acquire()
    return semaphore


def _full(some_queue: Any) -> Any:
    some_queue.put(1)
    return some_queue


@pytest.mark.parametrize(
    ("kind", "operation", "make", "wait", "let_go"),
    UNOWNED,
    ids=[f"{row[0]}.{row[1]}" for row in UNOWNED],
)
def test_what_nobody_owns_is_seen_with_who_waits(
    seen: Any, kind: str, operation: str, make: Any, wait: Any, let_go: Any
) -> None:
    thing = make()
    with waiting(wait, thing) as hand:
        (entry,) = seen()
        assert (entry["kind"], entry["owner"]) == (kind, None)
        assert [(it["thread"], it["operation"]) for it in entry["waiters"]] == [
            (hand.ident, operation)
        ]
        let_go(thing)
    (entry,) = seen()
    assert entry["waiters"] == []
    del thing, hand
    assert seen() == []


def test_a_condition_is_seen_with_who_waits(seen: Any) -> None:
    condition = threading.Condition()

    def wait() -> None:
        with condition:
            condition.wait()

    with waiting(wait) as hand:
        entries = {entry["kind"]: entry for entry in seen()}
        assert [it["thread"] for it in entries["Condition"]["waiters"]] == [hand.ident]
        assert entries["Condition"]["waiters"][0]["operation"] == "wait"
        with condition:
            condition.notify()


def test_the_insides_of_an_open_queue_are_seen(seen: Any) -> None:
    some_queue = queue.Queue()
    assert some_queue.mutex
    with waiting(some_queue.get) as hand:
        waiters = [it["thread"] for entry in seen() for it in entry["waiters"]]
        assert waiters == [hand.ident]
        some_queue.put(1)


def test_it_goes_with_the_object(seen: Any) -> None:
    event = threading.Event()
    assert not event.wait(0.001)
    assert [entry["kind"] for entry in seen()] == ["Event"]
    del event
    assert seen() == []


def test_waiters_are_listed_longest_first(seen: Any) -> None:
    event = threading.Event()
    hands = [Hand(event.wait).blocks() for _ in range(4)]
    (entry,) = seen()
    assert [it["thread"] for it in entry["waiters"]] == [hand.ident for hand in hands]
    waited = [it["waited"] for it in entry["waiters"]]
    assert waited == sorted(waited, reverse=True)
    event.set()
    for hand in hands:
        hand.result()


def test_who_gives_up_is_not_there_any_more(seen: Any) -> None:
    def interrupt() -> None:
        raise KeyError

    lock = threading.Lock()
    lock.acquire()
    assert not lock.acquire(timeout=0.001)
    with pytest.raises(KeyError), alarm(interrupt):
        lock.acquire()
    (entry,) = seen()
    assert entry["waiters"] == []


def test_the_objects_come_in_the_order_in_which_they_made_somebody_wait(seen: Any) -> None:
    semaphore, event = threading.Semaphore(0), threading.Event()
    event.wait(0.001)
    semaphore.acquire(timeout=0.001)
    assert [entry["kind"] for entry in seen()] == ["Event", "Semaphore"]
    numbers = [entry["id"] for entry in seen()]
    assert numbers == sorted(set(numbers))


def test_it_is_plain_data() -> None:
    import json

    event = threading.Event()
    with waiting(event.wait):
        json.dumps(watch.snapshot())
        entry = watch.snapshot()[-1]
        assert set(entry) == {"id", "kind", "owner", "waiters"}
        assert set(entry["waiters"][0]) == {"thread", "operation", "waited"}
        entry["waiters"].clear()  # a copy
        assert watch.snapshot()[-1]["waiters"]
        event.set()


def test_a_subclass_is_seen_as_what_it_inherits_from(seen: Any) -> None:
    class Mine(threading.Event):
        pass

    event = Mine()
    event.wait(0.001)
    assert [entry["kind"] for entry in seen()] == ["Event"]


def test_in_a_forked_child_the_waiters_of_the_parent_are_not_there(seen: Any) -> None:
    event = threading.Event()

    def child() -> None:
        (entry,) = seen()
        assert entry["waiters"] == []
        hand = Hand(event.wait).blocks()
        (entry,) = seen()
        assert [it["thread"] for it in entry["waiters"]] == [hand.ident]
        event.set()
        hand.result()

    with waiting(event.wait):
        in_fork(child)
        assert len(seen()[0]["waiters"]) == 1
        event.set()


def test_looking_while_threads_come_and_go_is_safe() -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            threading.Event().wait(0.0001)
            some_queue = queue.Queue(1)
            some_queue.put(1)
            with suppress(queue.Full):
                some_queue.put(2, timeout=0.0001)

    hands = [Hand(churn) for _ in range(4)]
    for _ in range(300):
        for entry in watch.snapshot():
            assert entry["kind"]
    stop.set()
    for hand in hands:
        hand.result()
