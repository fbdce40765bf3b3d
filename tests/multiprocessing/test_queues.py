"""Queues between processes, as programs use them."""

from __future__ import annotations

import collections
import functools
import multiprocessing as stdlib
import multiprocessing.queues
import pickle
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from manyhands import _native, multiprocessing
from manyhands.multiprocessing.queues import Queue
from manyhands.queue import ShutDown
from shared_locks import stand_still_inside
from support import Hand, alarm, beside, killed, until

CLASSES = ["Queue", "JoinableQueue", "SimpleQueue"]

statistics = _native.multiprocessing.arena_statistics


@contextmanager
def fork(call: Callable[[], Any]) -> Iterator[int]:
    """A child that makes a call; it has to end well."""
    with beside(call) as pid:
        _native.multiprocessing.forked(pid)
        yield pid
    _native.multiprocessing.child_died(pid)


@contextmanager
def fork_and_kill(call: Callable[[], Any]) -> Iterator[int]:
    """A child that is killed at the end, wherever it is then."""
    with killed(call) as pid:
        _native.multiprocessing.forked(pid)
        yield pid
    _native.multiprocessing.child_died(pid)


def make(name: str = "Queue", *args: Any) -> Any:
    return getattr(multiprocessing, name)(*args)


ITEMS = [
    None,
    True,
    -1,
    1 << 100,
    2.5,
    "text",
    b"bytes",
    (1, "two", [3.0, {"four": b"5"}]),
    {"a": {1, 2}},
    ValueError("six"),
    "long" * 100_000,
    b"longer" * 1_000_000,
    [list(range(1000))] * 3,
    collections.OrderedDict(a=1),
]


@pytest.mark.parametrize("name", CLASSES)
def test_items_arrive_as_they_were_in_their_order(name: str) -> None:
    to, back = make(name), make(name)

    def echo() -> None:
        for _ in ITEMS:
            back.put(to.get())

    with fork(echo):
        for item in ITEMS:
            to.put(item)
        for item in ITEMS:
            got = back.get()
            assert type(got) is type(item)
            assert str(got) == str(item)
    assert back.empty()


def test_what_cannot_be_pickled_is_told_by_put() -> None:
    items = make()
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        items.put(threading.Lock())
    assert items.empty()
    items.put("next")
    assert items.get() == "next"


def test_sizes_are_exact() -> None:
    items = make("Queue", 3)
    assert items.empty()
    for size in range(1, 4):
        assert not items.full()
        items.put(size)
        assert items.qsize() == size
    assert items.full()
    with pytest.raises(queue.Full):
        items.put_nowait(4)
    with pytest.raises(queue.Full):
        items.put(4, timeout=0.01)
    with pytest.raises(queue.Full):
        items.put(4, True, -1)
    assert [items.get_nowait() for _ in range(3)] == [1, 2, 3]
    for get in (items.get_nowait, lambda: items.get(timeout=0.01), lambda: items.get(False)):
        with pytest.raises(queue.Empty):
            get()


def test_put_never_waits_for_a_reader_if_there_is_no_bound() -> None:
    items = make()
    for number in range(100_000):
        items.put(number)
    items.put(b"x" * 50_000_000)
    items.close()
    items.join_thread()


def test_a_child_may_end_with_items_that_nobody_has_got() -> None:
    items = make()
    with fork(lambda: items.put(b"x" * 10_000_000)):
        pass
    assert len(items.get()) == 10_000_000


def test_one_who_waits_gets_what_is_put_and_room_that_is_made() -> None:
    items = make("Queue", 1)
    getting = Hand(items.get)
    items.put(1)
    assert getting.result() == 1
    items.put(2)
    putting = Hand(items.put, 3)
    assert items.get() == 2
    putting.result()
    assert items.get() == 3


def test_a_closed_queue_says_so() -> None:
    items = make()
    with pytest.raises(AssertionError, match="not closed"):
        items.join_thread()
    items.close()
    items.join_thread()
    items.cancel_join_thread()
    for call in (lambda: items.put(1), items.get):
        with pytest.raises(ValueError, match=r"Queue <.*> is closed"):
            call()
    simple = make("SimpleQueue")
    simple.close()
    with pytest.raises(OSError, match="handle is closed"):
        simple.get()


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_a_closed_queue_knows_that_it_is_empty_unless_it_was_put_into(kind: str) -> None:
    unused, used = make(kind), make(kind)
    used.put(1)
    for items in (unused, used):
        items.close()
        items.join_thread()
    assert unused.empty()
    with pytest.raises(OSError, match="handle is closed"):
        used.empty()
    simple = make("SimpleQueue")
    simple.close()
    with pytest.raises(OSError, match="handle is closed"):
        simple.empty()


def test_shutdown_is_told_to_all_processes() -> None:
    items = make()
    items.put("last")

    def drain() -> None:
        assert items.get() == "last"
        with pytest.raises(ShutDown):
            items.get()
        with pytest.raises(ShutDown):
            items.put(1)

    with fork(drain):
        until(items.empty)
        items.shutdown()


def test_an_immediate_shutdown_empties_the_queue_and_ends_join() -> None:
    items = make("JoinableQueue")
    for number in range(5):
        items.put(number)
    joining = Hand(items.join)
    items.shutdown(immediate=True)
    joining.result()
    with pytest.raises(ShutDown):
        items.get()


def test_join_waits_for_all_tasks() -> None:
    items = make("JoinableQueue")
    with pytest.raises(ValueError, match="too many times"):
        items.task_done()
    items.join()
    for number in range(10):
        items.put(number)

    def work() -> None:
        for _ in range(10):
            items.get()
            items.task_done()

    with fork(work):
        items.join()
    with pytest.raises(ValueError, match="too many times"):
        items.task_done()


def test_a_stranger_cannot_have_it() -> None:
    for name in CLASSES:
        with pytest.raises(RuntimeError, match="only be shared between processes through inherit"):
            pickle.dumps(make(name))


class Counting(Queue):
    """As programs extend the class, to have a qsize() where the standard library has none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, ctx=multiprocessing.get_context(), **kwargs)
        self.name = "counting"

    def __getstate__(self) -> Any:
        return {"parent": super().__getstate__(), "name": self.name}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state["parent"])
        self.name = state["name"]


def answer(items: Any, answers: Any) -> None:
    answers.put((items.get(), type(items).__name__, getattr(items, "name", None)))


@pytest.mark.parametrize("module", [stdlib, multiprocessing], ids=["stdlib", "ours"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_each_start_method_get_it(module: Any, method: str) -> None:
    context = module.get_context(method)
    for items, name in [
        (make(), "Queue"),
        (Counting(), "Counting"),
        (make("JoinableQueue"), "JoinableQueue"),
    ]:
        answers = make("SimpleQueue")
        process = context.Process(target=answer, args=(items, answers))
        process.start()
        items.put(b"x" * 100_000)
        assert answers.get() == (b"x" * 100_000, name, getattr(items, "name", None))
        process.join()
        assert process.exitcode == 0
        process.close()


class Hearing(Queue):
    """As concurrent.futures extends the class."""

    heard: Any = None

    def _on_queue_feeder_error(self, e: Exception, obj: Any) -> None:  # type: ignore[override]
        self.heard = e, obj


def test_a_subclass_may_hear_of_what_cannot_be_pickled() -> None:
    items = Hearing(ctx=multiprocessing.get_context())
    lock = threading.Lock()
    items.put(lock)
    assert isinstance(items.heard[0], TypeError)
    assert items.heard[1] is lock
    assert items.empty()


def test_a_handler_that_raises_ends_a_wait() -> None:
    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    full = make("Queue", 1)
    full.put(b"x" * 100_000)
    for call in (make().get, make("SimpleQueue").get, lambda: full.put(b"y" * 100_000)):
        with pytest.raises(Enough), alarm(enough):
            call()
    assert full.qsize() == 1


def test_many_producers_and_consumers_lose_nothing() -> None:
    items, counts = make("Queue", 50), make()

    def produce(me: int) -> None:
        for number in range(3000):
            items.put((me, number, "x" * (number % 300)))

    def consume() -> None:
        last = [-1] * 4
        count = 0
        while (item := items.get()) is not None:
            me, number, _ = item
            assert number > last[me]
            last[me] = number
            count += 1
        counts.put(count)

    with fork(consume), fork(consume), fork(consume):
        with ExitStack() as producers:
            for me in range(4):
                producers.enter_context(fork(functools.partial(produce, me)))
        for _ in range(3):
            items.put(None)
        assert sum(counts.get() for _ in range(3)) == 12_000
    assert items.lost == 0


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_kill_at_any_moment_harms_nobody(size: int) -> None:
    items = make()
    before = statistics()

    def produce() -> None:
        for number in range(1 << 30):
            items.put((number, b"x" * size))
            if items.qsize() > 100:
                time.sleep(0.0001)

    def consume() -> None:
        while True:
            items.get()

    for turn in range(30):
        first, second = (consume, produce) if turn % 2 else (produce, consume)
        with fork_and_kill(first), fork_and_kill(second):
            time.sleep(0.002 + turn * 0.0003)
        last = -1
        while not items.empty():
            number, content = items.get()
            assert number > last
            assert content == b"x" * size
            last = number
    assert items.lost <= 60
    after = statistics()
    assert after["participants"] == before["participants"]
    assert after["blocks"] == before["blocks"]


def test_a_dropped_queue_leaves_no_memory() -> None:
    before = statistics()
    for _ in range(20):
        items = make()
        for number in range(5000):
            items.put((number, "x" * (number % 5000)))
        del items
    assert statistics()["blocks"] == before["blocks"]


def test_a_subclass_that_uses_the_pipe_has_one() -> None:
    class Tapped(Queue):
        def tap(self) -> bytes:
            return self._reader.recv_bytes()

    items = Tapped(ctx=multiprocessing.get_context())
    assert isinstance(items, stdlib.queues.Queue)
    assert isinstance(items, Queue)
    assert issubclass(Tapped, Queue)
    items.put(1)
    assert pickle.loads(items.tap()) == 1
    items.close()
    items.join_thread()


def test_a_subclass_that_uses_the_pipe_may_call_its_base_by_name() -> None:
    class Polled(Queue):
        def __init__(self) -> None:
            Queue.__init__(self, 3, ctx=multiprocessing.get_context())

        def empty(self) -> bool:
            return not self._poll()

    items = Polled()
    assert items.empty()
    items.put(1)
    assert items.get() == 1
    items.close()
    items.join_thread()


def test_who_waits_for_the_pipe_is_told_that_there_is_none() -> None:
    items = Queue(ctx=multiprocessing.get_context())
    with pytest.raises(ValueError, match="no pipe: use get"):
        multiprocessing.connection.wait([items._reader], 0)


def test_a_subclass_that_hears_of_errors_does_not_hear_of_interrupts() -> None:
    class Heard(Queue):
        @staticmethod
        def _on_queue_feeder_error(e: Any, obj: Any) -> None:
            raise AssertionError("it is for errors")

    class Interrupted:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Heard(ctx=multiprocessing.get_context()).put(Interrupted())


def test_a_process_that_stands_still_in_a_queue_stops_no_other_thread() -> None:
    # Wherever it was stopped: what it had locked is waited for outside of the interpreter.
    items = Queue(ctx=multiprocessing.get_context())

    def put_and_get() -> None:
        items.put(1)
        items.get()

    stand_still_inside(put_and_get, lambda: items.put(2, False) or items.get(), 300)
