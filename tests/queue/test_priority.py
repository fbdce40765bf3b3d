"""PriorityQueue and the comparisons of its items."""

from __future__ import annotations

import random
from typing import Any

import pytest
from manyhands import queue as ours
from support import OURS, STDLIB, Engine, Hand


class Item:
    """Compares by key; can be told to fail."""

    fail_after: int | None = None

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: Any) -> bool:
        if Item.fail_after is not None:
            Item.fail_after -= 1
            if Item.fail_after < 0:
                raise ZeroDivisionError
        return bool(self.key < other.key)

    def __repr__(self) -> str:
        return f"Item({self.key})"


@pytest.fixture(autouse=True)
def heal() -> Any:
    yield
    Item.fail_after = None


@pytest.fixture(params=["closed", "open"])
def queue(request: pytest.FixtureRequest) -> Any:
    made = ours.PriorityQueue()
    if request.param == "open":
        assert not made.mutex.locked()
    return made


def a_key(chance: random.Random, kind: str) -> Any:
    number = chance.randrange(20)
    return {
        "int": number,
        "float": float(number),
        "mixed": number if chance.random() < 0.5 else float(number),
        "pair": (number, chance.randrange(3)),
        "ragged": (number, *range(chance.randrange(3))),
        "string": (number, str(chance.randrange(3))),
        "text": f"{number:03}",
        "large": number * 10**25,
        "bool": (number % 2 == 0, number),
        "item": Item(number),
        "pair of item": (number % 3, Item(number)),
        "not a number": chance.choice([float("nan"), 1.0, 2.0]),
    }[kind]


KINDS = [
    "int",
    "float",
    "mixed",
    "pair",
    "ragged",
    "string",
    "text",
    "large",
    "bool",
    "item",
    "pair of item",
    "not a number",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_heapq_also_of_equals(kind: str, seed: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    theirs, mine = STDLIB.queue.PriorityQueue(), ours.PriorityQueue()
    opened = ours.PriorityQueue()
    assert opened.mutex
    for _ in range(300):
        if theirs.empty() or chance.random() < 0.6:
            item = a_key(chance, kind)
            for queue in (theirs, mine, opened):
                queue.put(item)
        else:
            expected = theirs.get()
            assert mine.get() is expected
            assert opened.get() is expected
    while not theirs.empty():
        assert mine.get() is theirs.get()


def test_what_cannot_be_compared_is_refused(engine: Engine) -> None:
    queue = engine.queue.PriorityQueue()
    queue.put(1)
    with pytest.raises(TypeError, match="not supported between instances"):
        queue.put("a")
    assert queue.get() == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_comparison_that_raises_loses_nothing(queue: Any, seed: int) -> None:
    chance = random.Random(seed)
    inside: list[int] = []
    failed = 0
    for number in range(400):
        Item.fail_after = chance.choice([None, 0, 1, 2, 3])
        try:
            if chance.random() < 0.6:
                queue.put(Item(number * 7919 % 400))
                inside.append(number * 7919 % 400)
            elif inside:
                inside.remove(queue.get().key)
        except ZeroDivisionError:
            failed += 1
        assert queue.qsize() == len(inside)
    assert failed
    Item.fail_after = None
    assert [queue.get().key for _ in range(queue.qsize())] == sorted(inside)
    assert queue.empty()


def test_a_put_that_fails_counts_as_no_task(queue: Any) -> None:
    queue.put(Item(1))
    Item.fail_after = 0
    with pytest.raises(ZeroDivisionError):
        queue.put(Item(2))
    Item.fail_after = None
    assert queue.unfinished_tasks == 1


def test_a_get_that_fails_leaves_the_item_to_others(queue: Any) -> None:
    for key in (1, 2, 3):
        queue.put(Item(key))
    Item.fail_after = 0
    with pytest.raises(ZeroDivisionError):
        queue.get()
    Item.fail_after = None
    assert [Hand(queue.get).result().key for _ in range(3)] == [1, 2, 3]


def test_a_put_that_fails_leaves_the_room_to_others() -> None:
    queue = ours.PriorityQueue(2)
    queue.put(Item(1))
    queue.put(Item(2))

    class Bad(Item):
        def __lt__(self, other: Any) -> bool:
            raise ZeroDivisionError

    bad = Hand(queue.put, Bad(0)).blocks()
    good = Hand(queue.put, Item(3)).blocks()
    assert queue.get().key == 1
    with pytest.raises(ZeroDivisionError):
        bad.result()
    good.result()
    assert [queue.get().key, queue.get().key] == [2, 3]


def test_the_stacks_of_those_who_wait_are_not_mixed_up(queue: Any) -> None:
    """A get that waits is served though a put of another thread fails meanwhile."""
    hand = Hand(queue.get).blocks()
    queue.put(Item(1))
    assert hand.result().key == 1
    queue.put(Item(5))
    Item.fail_after = 0
    with pytest.raises(ZeroDivisionError):
        queue.put(Item(4))
    Item.fail_after = None
    assert queue.get().key == 5
    hand = Hand(queue.get).blocks()
    queue.put(Item(6))
    assert hand.result().key == 6


class CallingBack:
    """Uses the queue that it is in when it is compared."""

    def __init__(self, queue: Any, call: str) -> None:
        self.queue, self.call = queue, call

    def __lt__(self, other: Any) -> bool:
        if self.call == "put":
            self.queue.put(self)
        elif self.call == "get":
            self.queue.get()
        elif self.call == "shutdown":
            self.queue.shutdown(immediate=True)
        elif self.call == "mutex":
            self.queue.mutex.acquire()
        return False


@pytest.mark.parametrize("call", ["put", "get", "shutdown", "mutex"])
def test_a_comparison_that_uses_the_queue_is_an_error_and_no_hang(call: str) -> None:
    """Ours only: the stdlib's hangs for ever."""
    queue = ours.PriorityQueue()
    queue.put(CallingBack(queue, call))
    with pytest.raises(RuntimeError, match="comparison"):
        queue.put(CallingBack(queue, call))
    assert queue.qsize() == 1
    assert queue.get().call == call


def test_a_comparison_may_ask_for_the_size() -> None:
    queue = ours.PriorityQueue()
    sizes = []

    class Curious:
        def __lt__(self, other: Any) -> bool:
            sizes.append((queue.qsize(), queue.empty(), queue.full(), queue.unfinished_tasks))
            return False

    queue.put(Curious())
    queue.put(Curious())
    assert sizes == [(1, False, False, 1)]


def test_a_comparison_may_use_another_queue() -> None:
    other = ours.PriorityQueue()

    class Noting:
        def __init__(self, key: int) -> None:
            self.key = key

        def __lt__(self, its: Any) -> bool:
            other.put(self.key)
            return self.key < its.key

    queue = ours.PriorityQueue()
    queue.put(Noting(2))
    queue.put(Noting(1))
    assert [queue.get().key, queue.get().key] == [1, 2]
    assert other.qsize() >= 1


class Slow(Item):
    """Lets other threads run in the midst of a comparison."""

    pause = OURS.threading.Event()

    def __lt__(self, other: Any) -> bool:
        Slow.pause.wait(1e-6)
        return super().__lt__(other)


@pytest.mark.parametrize("maxsize", [0, 2])
def test_comparisons_may_let_other_threads_use_the_queue(maxsize: int) -> None:
    queue = ours.PriorityQueue(maxsize)
    taken: list[Any] = []
    each = 40

    def give(first: int) -> None:
        for number in range(each):
            queue.put(Slow(first + number) if number % 3 else Item(first + number))

    def take() -> None:
        for _ in range(each):
            taken.append(queue.get().key)
            queue.task_done()

    hands = [Hand(give, first) for first in (0, 1000, 2000)] + [Hand(take) for _ in range(3)]
    for hand in hands:
        hand.result()
    queue.join()
    assert sorted(taken) == sorted(first + n for first in (0, 1000, 2000) for n in range(each))


def test_a_full_one_with_items_that_are_compared_in_python_waits() -> None:
    queue = ours.PriorityQueue(1)
    queue.put(Item(1))
    hands = [Hand(queue.put, Item(key)).blocks() for key in (2, 3)]
    with pytest.raises(ours.Full):
        queue.put(Item(4), timeout=0.01)
    assert sorted(queue.get(timeout=20).key for _ in range(3)) == [1, 2, 3]
    for hand in hands:
        hand.result()


def test_an_item_that_changes_its_order_harms_only_the_order(engine: Engine) -> None:
    queue = engine.queue.PriorityQueue()
    items = [[number] for number in range(20)]
    for item in items:
        queue.put(item)
    for item in items:
        item[0] = -item[0]
    assert sorted(queue.get()[0] for _ in range(20)) == sorted(-n for n in range(20))


def test_truth_that_raises_is_passed_on() -> None:
    class NoTruth:
        def __bool__(self) -> bool:
            raise ZeroDivisionError

    class Odd:
        def __lt__(self, other: Any) -> Any:
            return NoTruth()

    queue = ours.PriorityQueue()
    queue.put(Odd())
    with pytest.raises(ZeroDivisionError):
        queue.put(Odd())
    assert queue.qsize() == 1
