"""A queue of ours begins to work with a mutex when somebody asks for its insides.

That may happen at any moment, and nobody who uses the queue at that moment may notice it.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import queue as ours
from support import PATIENCE, Hand, until

OPENINGS: dict[str, Callable[[Any], Any]] = {
    name: lambda queue, name=name: getattr(queue, name)
    for name in ("mutex", "not_empty", "not_full", "all_tasks_done", "queue")
}

KINDS = ["Queue", "LifoQueue", "PriorityQueue"]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Any:
    return getattr(ours, request.param)


@pytest.fixture(params=OPENINGS)
def open_it(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return OPENINGS[request.param]


def test_what_is_in_it_stays_in_it_in_order(make: Any, open_it: Any) -> None:
    queue, closed = make(10), make(10)
    for item in (3, 1, 2):
        queue.put(item)
        closed.put(item)
    queue.get()
    closed.get()
    open_it(queue)
    assert (queue.qsize(), queue.unfinished_tasks, queue.maxsize) == (2, 3, 10)
    assert [queue.get(), queue.get()] == [closed.get(), closed.get()]


def test_who_waits_to_get_gets(make: Any, open_it: Any) -> None:
    queue = make()
    hands = [Hand(queue.get).blocks() for _ in range(3)]
    timed = Hand(queue.get, timeout=20).blocks()
    open_it(queue)
    for item in range(4):
        queue.put(item)
    assert sorted(hand.result() for hand in (*hands, timed)) == [0, 1, 2, 3]


def test_who_waits_to_put_puts(make: Any, open_it: Any) -> None:
    queue = make(1)
    queue.put(0)
    hands = [Hand(queue.put, item).blocks() for item in (1, 2, 3)]
    open_it(queue)
    assert sorted(queue.get(timeout=20) for _ in range(4)) == [0, 1, 2, 3]
    for hand in hands:
        hand.result()


def test_who_waits_to_join_is_told(make: Any, open_it: Any) -> None:
    queue = make()
    queue.put(1)
    hands = [Hand(queue.join).blocks() for _ in range(3)]
    open_it(queue)
    for hand in hands:
        hand.blocks()
    queue.task_done()
    for hand in hands:
        hand.result()


def test_who_waits_with_a_timeout_waits_as_long_as_that(make: Any, open_it: Any) -> None:
    queue = make()
    for timeout in (0.05, 0.5, 5, PATIENCE):  # the first may be over before it is seen to wait
        hand = Hand(queue.get, timeout=timeout)
        with contextlib.suppress(AssertionError):
            hand.blocks()
            break
    open_it(queue)
    with pytest.raises(ours.Empty):
        hand.result()


def test_a_queue_that_is_shut_down_stays_so(make: Any, open_it: Any) -> None:
    queue = make()
    queue.put(1)
    queue.shutdown()
    open_it(queue)
    assert queue.is_shutdown
    with pytest.raises(ours.ShutDown):
        queue.put(2)
    assert queue.get() == 1
    with pytest.raises(ours.ShutDown):
        queue.get()


def test_many_threads_open_it_at_once_and_see_the_same(make: Any) -> None:
    for _ in range(30):
        queue = make()
        queue.put(1)
        hands = [Hand(lambda queue=queue: (queue.mutex, queue.queue)) for _ in range(4)]
        seen = [hand.result() for hand in hands]
        assert len({id(mutex) for mutex, _ in seen}) == len({id(items) for _, items in seen}) == 1
        assert list(queue.queue) == [1]


@pytest.mark.parametrize("seed", range(8))
def test_it_happens_in_the_midst_of_work_and_nothing_is_lost(make: Any, seed: int) -> None:
    chance = random.Random(seed)
    queue = make(chance.choice([0, 1, 3]))
    taken: list[int] = []
    each = 300

    def give(first: int) -> None:
        for item in range(first, first + each):
            queue.put(item)

    def take() -> None:
        for _ in range(each):
            taken.append(queue.get())
            queue.task_done()

    hands = [Hand(give, first) for first in (0, 1000, 2000)] + [Hand(take) for _ in range(3)]
    moment = chance.randrange(each)
    until(lambda: len(taken) >= moment)
    OPENINGS[chance.choice(list(OPENINGS))](queue)
    queue.join()
    for hand in hands:
        hand.result()
    queue.join()
    assert sorted(taken) == sorted(first + n for first in (0, 1000, 2000) for n in range(each))
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 0)


def test_opening_while_items_are_compared() -> None:
    class Item:
        def __init__(self, key: int) -> None:
            self.key = key

        def __lt__(self, other: Any) -> bool:
            return sum(range(50)) > 0 and self.key < other.key

    for _ in range(10):
        queue = ours.PriorityQueue()
        hands = [
            Hand(lambda queue=queue, n=n: [queue.put(Item(n + 4 * i)) for i in range(100)])
            for n in range(4)
        ]
        until(lambda queue=queue: queue.qsize() > 50)
        assert queue.mutex
        for hand in hands:
            hand.result()
        keys = [queue.get().key for _ in range(400)]
        assert keys == list(range(400))
