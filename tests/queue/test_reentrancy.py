"""Queues that are used by code which runs in the midst of their own methods.

Signal handlers, `__del__`, weakref callbacks and callbacks of the garbage collector run at any
allocation. SimpleQueue allows that in the stdlib; ours all do.
"""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest
from support import OURS, STDLIB, Hand, alarm

CASES = [
    (STDLIB, "SimpleQueue"),
    (OURS, "SimpleQueue"),
    (OURS, "Queue"),
    (OURS, "LifoQueue"),
    (OURS, "PriorityQueue"),
]


@pytest.fixture(params=CASES, ids=[f"{engine.name}-{kind}" for engine, kind in CASES])
def queue(request: pytest.FixtureRequest) -> Any:
    engine, kind = request.param
    return getattr(engine.queue, kind)()


def drain(queue: Any) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def test_put_in_a_signal_handler(queue: Any) -> None:
    mine = 0
    with alarm(lambda: queue.put(1), after=0.001, every=0.0005) as ran:
        until = time.monotonic() + 0.2
        # Where the machine has other things to do they come late.
        while time.monotonic() < until or len(ran) < 6:
            for _ in range(50):
                queue.put(0)
                mine += 1
            for _ in range(25):
                queue.get()
                mine -= 1
    items = drain(queue)
    # All that was put in by either is there, but for what the loop took out.
    assert len(items) == mine + len(ran)


def test_get_in_a_signal_handler_while_get_waits(queue: Any) -> None:
    seen = []

    def handler() -> None:
        queue.put(7)
        seen.append(queue.get())
        queue.put(8)

    with alarm(handler):
        assert queue.get() == 8
    assert seen == [7]


def test_put_in_a_callback_of_the_collector(queue: Any, eager_gc: None) -> None:
    count = 0

    def callback(phase: str, info: Any) -> None:
        nonlocal count
        queue.put(1)
        count += 1

    gc.callbacks.append(callback)
    try:
        for _ in range(300):
            queue.put(0)
            cycle: list[Any] = []
            cycle.append(cycle)
    finally:
        gc.callbacks.remove(callback)
    assert count > 0
    items = drain(queue)
    assert len(items) == 300 + count
    assert items.count(0) == 300


def test_put_in_a_finalizer(queue: Any, eager_gc: None) -> None:
    class Dying:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            queue.put(1)

    for _ in range(200):
        Dying()
        queue.put(0)
    gc.collect()
    items = drain(queue)
    assert (items.count(0), items.count(1)) == (200, 200)


def test_put_in_a_weakref_callback(queue: Any) -> None:
    class Thing:
        pass

    for _ in range(100):
        thing = Thing()
        reference = weakref.ref(thing, lambda _: queue.put(1))
        queue.put(0)
        del thing
    assert reference() is None
    assert len(drain(queue)) == 200


class Ordered:
    """Can be in a PriorityQueue."""

    def __lt__(self, other: Any) -> bool:
        return False


def test_an_item_that_dies_as_it_is_taken_out_may_use_the_queue(queue: Any) -> None:
    sizes = []

    class Dying(Ordered):
        def __del__(self) -> None:
            sizes.append(queue.qsize())
            if len(sizes) < 20:
                queue.put(Dying())

    queue.put(Dying())
    while queue.qsize():
        queue.get()
    assert len(sizes) == 20


@pytest.mark.parametrize(("engine", "kind"), CASES, ids=[f"{e.name}-{k}" for e, k in CASES])
def test_a_queue_that_dies_with_its_items_lets_them_do_what_they_want(
    engine: Any, kind: str
) -> None:
    make = getattr(engine.queue, kind)
    other = make()
    queue = make()

    class Dying(Ordered):
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            other.put(self.number)

    for number in range(50):
        queue.put(Dying(number))
    del queue
    assert sorted(drain(other)) == list(range(50))


@pytest.mark.parametrize(("engine", "kind"), CASES, ids=[f"{e.name}-{k}" for e, k in CASES])
def test_an_item_in_a_cycle_with_its_queue_may_use_it_as_both_die(engine: Any, kind: str) -> None:
    make = getattr(engine.queue, kind)
    seen = []

    class Dying(Ordered):
        def __init__(self, queue: Any) -> None:
            self.queue = queue

        def __del__(self) -> None:
            self.queue.put(Ordered())
            seen.append(self.queue.qsize())
            self.queue.get()

    queue = make()
    for _ in range(3):
        queue.put(Dying(queue))
    dead = weakref.ref(queue)
    del queue
    gc.collect()
    gc.collect()
    assert dead() is None
    assert len(seen) == 3


def test_other_threads_and_handlers_put_at_once(queue: Any) -> None:
    with alarm(lambda: queue.put(1), after=0.001, every=0.001) as ran:
        hands = [Hand(lambda: [queue.put(0) for _ in range(5000)]) for _ in range(4)]
        for hand in hands:
            hand.result()
    items = drain(queue)
    assert (items.count(0), items.count(1)) == (20_000, len(ran))


def test_an_event_is_set_in_a_handler_at_any_moment() -> None:
    """Ours only: the stdlib's set() in a handler hangs if it hits set(), clear() or wait()."""
    event = OURS.threading.Event()
    with alarm(event.set, after=0.001, every=0.0005) as ran:
        for _ in range(100):
            event.wait()
            event.clear()
            for _ in range(100):
                event.set()
                event.clear()
    assert ran


def test_a_semaphore_is_released_in_a_handler_at_any_moment() -> None:
    """Ours only."""
    semaphore = OURS.threading.Semaphore(0)
    taken = 0
    with alarm(semaphore.release, after=0.001, every=0.0005) as ran:
        while taken < 100:
            assert semaphore.acquire()
            taken += 1
            semaphore.release()
            assert semaphore.acquire(False)
    while semaphore.acquire(False):
        taken += 1
    assert taken == len(ran)
