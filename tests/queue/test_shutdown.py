"""shutdown(), with 3.13's meaning on every version."""

from __future__ import annotations

from typing import Any

import pytest
from support import Engine, Hand


@pytest.fixture(params=["closed", "open"])
def state(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=["Queue", "LifoQueue", "PriorityQueue"])
def make(request: pytest.FixtureRequest, engine: Engine, state: str) -> Any:
    if not hasattr(engine.queue, "ShutDown"):
        pytest.skip("this version's stdlib has no shutdown()")

    def make_queue(maxsize: int = 0) -> Any:
        made = getattr(engine.queue, request.param)(maxsize)
        if state == "open":
            assert not made.mutex.locked()
        return made

    return make_queue


def test_put_raises_afterwards(engine: Engine, make: Any) -> None:
    queue = make()
    assert queue.shutdown() is None
    for call in (
        lambda: queue.put(1),
        lambda: queue.put_nowait(1),
        lambda: queue.put(1, timeout=1),
    ):
        with pytest.raises(engine.queue.ShutDown):
            call()
    assert queue.qsize() == 0


def test_put_into_a_full_one_raises_too(engine: Engine, make: Any) -> None:
    queue = make(1)
    queue.put(1)
    queue.shutdown()
    with pytest.raises(engine.queue.ShutDown):
        queue.put_nowait(2)


def test_what_is_in_it_can_still_be_had(engine: Engine, make: Any) -> None:
    queue = make()
    queue.put(1)
    queue.put(1)
    queue.shutdown()
    assert [queue.get(), queue.get_nowait()] == [1, 1]
    for call in (queue.get, queue.get_nowait, lambda: queue.get(timeout=1)):
        with pytest.raises(engine.queue.ShutDown):
            call()


def test_who_waits_to_get_is_told(engine: Engine, make: Any) -> None:
    queue = make()
    hands = [Hand(queue.get).blocks() for _ in range(3)]
    queue.shutdown()
    for hand in hands:
        with pytest.raises(engine.queue.ShutDown):
            hand.result()


def test_who_waits_to_put_is_told(engine: Engine, make: Any) -> None:
    queue = make(1)
    queue.put(0)
    hands = [Hand(queue.put, item).blocks() for item in range(3)]
    queue.shutdown()
    for hand in hands:
        with pytest.raises(engine.queue.ShutDown):
            hand.result()
    assert queue.get() == 0


def test_join_still_waits_for_what_is_not_done(make: Any) -> None:
    queue = make()
    queue.put(1)
    hand = Hand(queue.join).blocks()
    queue.shutdown()
    hand.blocks()
    queue.get()
    queue.task_done()
    hand.result()
    queue.join()


def test_immediately_throws_the_items_away(engine: Engine, make: Any) -> None:
    queue = make()
    for item in range(3):
        queue.put(item)
    queue.shutdown(immediate=True)
    assert (queue.qsize(), queue.empty(), queue.unfinished_tasks) == (0, True, 0)
    with pytest.raises(engine.queue.ShutDown):
        queue.get()
    queue.join()


def test_immediately_lets_join_go_on(make: Any) -> None:
    queue = make()
    queue.put(1)
    queue.put(2)
    hand = Hand(queue.join).blocks()
    queue.shutdown(True)
    hand.result()


def test_immediately_counts_only_what_was_still_in_it_as_done(make: Any) -> None:
    queue = make()
    for item in range(3):
        queue.put(item)
    queue.get()
    queue.shutdown(immediate=True)
    assert queue.unfinished_tasks == 1
    queue.task_done()
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()


def test_it_can_be_repeated(engine: Engine, make: Any) -> None:
    queue = make()
    queue.put(1)
    queue.shutdown()
    queue.shutdown()
    assert queue.qsize() == 1
    queue.shutdown(immediate=True)
    queue.shutdown(immediate=True)
    queue.shutdown()
    with pytest.raises(engine.queue.ShutDown):
        queue.get_nowait()


def test_it_is_shown(make: Any) -> None:
    queue = make()
    assert queue.is_shutdown is False
    queue.shutdown()
    assert queue.is_shutdown is True


def test_items_thrown_away_may_use_the_queue_as_they_go() -> None:
    """Ours only: the stdlib's holds its lock while the items go."""
    from manyhands import queue as ours

    queue: Any = ours.Queue()
    seen: list[Any] = []

    class Item:
        def __del__(self) -> None:
            seen.append(queue.qsize())
            try:
                queue.put(1)
            except ours.ShutDown:
                seen.append("shut down")

    queue.put(Item())
    queue.shutdown(immediate=True)
    assert seen == [0, "shut down"]


def test_many_producers_and_consumers_end(engine: Engine, make: Any) -> None:
    queue = make(3)
    shut_down = engine.queue.ShutDown
    taken: list[int] = []
    given: list[int] = []

    def give(start: int) -> None:
        try:
            for item in range(start, start + 100_000):
                queue.put(item)
                given.append(item)
        except shut_down:
            pass

    def take() -> None:
        try:
            while True:
                taken.append(queue.get())
                queue.task_done()
        except shut_down:
            pass

    hands = [Hand(give, start) for start in (0, 1_000_000, 2_000_000)] + [
        Hand(take) for _ in range(3)
    ]
    while len(taken) < 300:
        engine.threading.Event().wait(0.001)
    queue.shutdown()
    for hand in hands:
        hand.result()
    assert sorted(taken) == sorted(given)
    queue.join()


def test_a_subclass_with_hooks_of_its_own_is_shut_down_too(engine: Engine) -> None:
    if not hasattr(engine.queue, "ShutDown"):
        pytest.skip("this version's stdlib has no shutdown()")

    class Mine(engine.queue.Queue):
        def _init(self, maxsize: int) -> None:
            self.items: list[Any] = []

        def _qsize(self) -> int:
            return len(self.items)

        def _put(self, item: Any) -> None:
            self.items.append(item)

        def _get(self) -> Any:
            return self.items.pop(0)

    queue = Mine(2)
    queue.put(1)
    queue.put(2)
    putter = Hand(queue.put, 3).blocks()
    joiner = Hand(queue.join).blocks()
    queue.shutdown(immediate=True)
    with pytest.raises(engine.queue.ShutDown):
        putter.result()
    joiner.result()
    assert queue.items == []
