"""What all queues do: order, bounds, waiting, counting what is done."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support import Engine, Hand

COUNTED = ["Queue", "LifoQueue", "PriorityQueue"]
ALL = [*COUNTED, "SimpleQueue"]


@pytest.fixture(params=["closed", "open"])
def state(request: pytest.FixtureRequest) -> str:
    """Ours work in another way once somebody has asked for their insides."""
    chosen: str = request.param
    return chosen


@pytest.fixture(params=COUNTED)
def make(request: pytest.FixtureRequest, engine: Engine, state: str) -> Any:
    """Makes queues of a kind that counts what is done."""

    def make_queue(maxsize: int = 0) -> Any:
        made = getattr(engine.queue, request.param)(maxsize)
        if state == "open":
            assert not made.mutex.locked()
        return made

    return make_queue


@pytest.fixture(params=ALL)
def queue(request: pytest.FixtureRequest, engine: Engine) -> Any:
    return getattr(engine.queue, request.param)()


ORDERS = {
    "Queue": [3, 1, 2],
    "LifoQueue": [2, 1, 3],
    "PriorityQueue": [1, 2, 3],
    "SimpleQueue": [3, 1, 2],
}


@pytest.mark.parametrize("kind", ALL)
def test_items_leave_in_the_order_of_the_kind(engine: Engine, kind: str) -> None:
    queue = getattr(engine.queue, kind)()
    for item in (3, 1, 2):
        assert queue.put(item) is None
    assert [queue.get() for _ in range(3)] == ORDERS[kind]


def test_items_are_passed_on_themselves(queue: Any) -> None:
    item = (1, object())
    queue.put(item)
    assert queue.get() is item


def test_none_and_falsy_things_are_items(engine: Engine) -> None:
    for kind in ("Queue", "LifoQueue", "SimpleQueue"):
        queue = getattr(engine.queue, kind)()
        for item in (None, 0, "", (), []):
            queue.put(item)
            assert queue.get() is item


def test_size_and_emptiness_are_told(queue: Any) -> None:
    assert (queue.qsize(), queue.empty()) == (0, True)
    queue.put(1)
    queue.put(2)
    assert (queue.qsize(), queue.empty()) == (2, False)


def test_an_empty_one_raises_empty(engine: Engine, queue: Any) -> None:
    for call in (
        queue.get_nowait,
        lambda: queue.get(False),
        lambda: queue.get(block=False),
        lambda: queue.get(True, 0.01),
        lambda: queue.get(timeout=0),
        lambda: queue.get(False, -1),
    ):
        with pytest.raises(engine.queue.Empty):
            call()


def test_a_full_one_raises_full_and_keeps_what_it_has(engine: Engine, make: Any) -> None:
    queue = make(2)
    queue.put(1)
    assert not queue.full()
    queue.put(2)
    assert queue.full()
    for call in (
        lambda: queue.put_nowait(3),
        lambda: queue.put(3, False),
        lambda: queue.put(3, block=False),
        lambda: queue.put(3, True, 0.01),
        lambda: queue.put(3, timeout=0),
        lambda: queue.put(3, False, -1),
    ):
        with pytest.raises(engine.queue.Full):
            call()
    assert sorted(queue.get() for _ in range(2)) == [1, 2]


@pytest.mark.parametrize("maxsize", [0, -1, -100])
def test_no_bound_is_never_full(make: Any, maxsize: int) -> None:
    queue = make(maxsize)
    for item in range(1000):
        queue.put(item, False)
    assert not queue.full()
    assert queue.qsize() == 1000
    assert queue.maxsize == maxsize


def test_get_waits_for_an_item(queue: Any) -> None:
    hands = [Hand(queue.get).blocks() for _ in range(3)]
    for item in range(3):
        queue.put(item)
    assert sorted(hand.result() for hand in hands) == [0, 1, 2]


def test_put_waits_for_room(make: Any) -> None:
    queue = make(1)
    queue.put(0)
    hands = [Hand(queue.put, item).blocks() for item in (1, 2)]
    got = [queue.get(timeout=20) for _ in range(3)]
    for hand in hands:
        hand.result()
    assert sorted(got) == [0, 1, 2]


def test_the_time_of_a_put_may_be_up_while_others_still_wait(engine: Engine, make: Any) -> None:
    queue = make(1)
    queue.put(0)
    patient = Hand(queue.put, 1).blocks()
    with pytest.raises(engine.queue.Full):
        queue.put(2, timeout=0.01)
    assert queue.get() == 0
    patient.result()
    assert queue.get() == 1


def test_join_waits_until_all_is_done(make: Any) -> None:
    queue = make()
    queue.join()
    for item in range(2):
        queue.put(item)
    hands = [Hand(queue.join).blocks() for _ in range(2)]
    assert queue.unfinished_tasks == 2
    queue.get()
    queue.task_done()
    queue.get()
    hands[0].blocks()
    queue.task_done()
    for hand in hands:
        hand.result()
    queue.join()
    assert queue.unfinished_tasks == 0


def test_task_done_too_often_is_an_error(make: Any) -> None:
    queue = make()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        queue.task_done()
    queue.put(1)
    queue.task_done()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        queue.task_done()


def test_a_negative_timeout_is_an_error(make: Any) -> None:
    queue = make(1)
    with pytest.raises(ValueError, match=r"^'timeout' must be a non-negative number$"):
        queue.put(1, timeout=-1)
    assert queue.qsize() == 0
    queue.put(1)
    with pytest.raises(ValueError, match=r"^'timeout' must be a non-negative number$"):
        queue.get(timeout=-1)
    with pytest.raises(ValueError, match="non-negative"):
        queue.get(True, -0.1)
    assert queue.qsize() == 1


def test_an_unbounded_put_does_not_look_at_its_timeout(make: Any) -> None:
    queue = make()
    queue.put(1, timeout=-1)
    queue.put(2, True, "nonsense")
    assert queue.qsize() == 2


def test_a_simple_queue_ignores_the_arguments_of_put(engine: Engine) -> None:
    queue = engine.queue.SimpleQueue()
    queue.put(1, False, -1)
    queue.put(item=2, block="nonsense", timeout="nonsense")
    queue.put_nowait(3)
    queue.put_nowait(item=4)
    assert [queue.get() for _ in range(4)] == [1, 2, 3, 4]


def test_a_simple_queue_refuses_a_negative_timeout(engine: Engine) -> None:
    queue = engine.queue.SimpleQueue()
    with pytest.raises(ValueError, match=r"^'timeout' must be a non-negative number$"):
        queue.get(timeout=-1)
    with pytest.raises(OverflowError):
        queue.get(timeout=1e300)
    with pytest.raises(TypeError):
        queue.get(timeout="1")
    with pytest.raises(engine.queue.Empty):
        queue.get(False, -1)


def test_many_threads_lose_and_double_nothing(make: Any) -> None:
    queue = make(5)
    got: list[list[int]] = [[] for _ in range(4)]

    def take(mine: list[int]) -> None:
        while (item := queue.get()) < 10_000:
            mine.append(item)
            queue.task_done()
        queue.task_done()

    takers = [Hand(take, mine) for mine in got]
    givers = [
        Hand(lambda first=first: [queue.put(first + n) for n in range(300)])
        for first in range(0, 1200, 300)
    ]
    for giver in givers:
        giver.result()
    queue.join()
    for _ in takers:
        queue.put(10_000)
    for taker in takers:
        taker.result()
    assert sorted(item for mine in got for item in mine) == list(range(1200))
    assert queue.unfinished_tasks == 0


def test_one_producer_and_one_consumer_keep_the_order(engine: Engine, state: str) -> None:
    for kind in ("Queue", "SimpleQueue"):
        queue = getattr(engine.queue, kind)()
        if state == "open" and kind == "Queue":
            assert queue.mutex
        hand = Hand(lambda queue=queue: [queue.get() for _ in range(2000)])
        for item in range(2000):
            queue.put(item)
        assert hand.result() == list(range(2000))


def test_a_timeout_is_never_early(engine: Engine, make: Any) -> None:
    queue = make(1)
    start = time.monotonic()
    with pytest.raises(engine.queue.Empty):
        queue.get(timeout=0.02)
    assert time.monotonic() - start >= 0.02
    queue.put(1)
    start = time.monotonic()
    with pytest.raises(engine.queue.Full):
        queue.put(2, timeout=0.02)
    assert time.monotonic() - start >= 0.02


def test_changing_maxsize_counts_from_the_next_put_on(engine: Engine, make: Any) -> None:
    queue = make(1)
    queue.put(1)
    queue.maxsize = 2
    assert queue.maxsize == 2
    assert not queue.full()
    queue.put_nowait(2)
    queue.maxsize = 1
    assert queue.full()
    with pytest.raises(engine.queue.Full):
        queue.put_nowait(3)
    queue.maxsize = 0
    queue.put_nowait(3)
    assert queue.qsize() == 3


def test_who_waits_to_put_goes_on_when_maxsize_grows_and_somebody_says_so(make: Any) -> None:
    queue = make(1)
    queue.put(0)
    hands = [Hand(queue.put, item).blocks() for item in (1, 2, 3)]
    with queue.mutex:
        queue.maxsize = 4
        queue.not_full.notify_all()
    for hand in hands:
        hand.result()
    assert queue.qsize() == 4
