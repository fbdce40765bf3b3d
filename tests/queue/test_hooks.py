"""Subclasses that keep their items in their own way, and programs that use a queue's insides."""

from __future__ import annotations

import collections
import heapq
from typing import Any

import pytest
from support import Engine, Hand, until


def set_queue(engine: Engine) -> Any:
    """Each item at most once."""

    class SetQueue(engine.queue.Queue):
        def _init(self, maxsize: int) -> None:
            self.queue = set()

        def _put(self, item: Any) -> None:
            self.queue.add(item)

        def _get(self) -> Any:
            return self.queue.pop()

    return SetQueue


def dict_queue(engine: Engine) -> Any:
    """The latest value of each key, oldest key first; nothing of it is in `queue`."""

    class DictQueue(engine.queue.Queue):
        def _init(self, maxsize: int) -> None:
            self.maxsize_seen = maxsize
            self.items: dict[Any, Any] = {}

        def _qsize(self) -> int:
            return len(self.items)

        def _put(self, item: Any) -> None:
            key, value = item
            self.items[key] = value

        def _get(self) -> Any:
            key = next(iter(self.items))
            return key, self.items.pop(key)

    return DictQueue


def test_a_set_queue_keeps_each_item_once(engine: Engine) -> None:
    queue = set_queue(engine)()
    for item in (1, 2, 1, 2):
        queue.put(item)
    assert (queue.qsize(), queue.unfinished_tasks) == (2, 4)
    assert {queue.get(), queue.get()} == {1, 2}
    with pytest.raises(engine.queue.Empty):
        queue.get_nowait()


def test_a_dict_queue_uses_all_four_hooks(engine: Engine) -> None:
    queue = dict_queue(engine)(2)
    assert queue.maxsize_seen == 2
    queue.put(("a", 1))
    queue.put(("b", 2))
    assert queue.full()
    with pytest.raises(engine.queue.Full):
        queue.put(("c", 3), timeout=0.01)
    assert queue.get() == ("a", 1)
    queue.put(("b", 4))
    assert queue.get() == ("b", 4)
    assert queue.empty()


def test_waiting_works_with_hooks(engine: Engine) -> None:
    queue = dict_queue(engine)(1)
    getter = Hand(queue.get).blocks()
    queue.put(("a", 1))
    assert getter.result() == ("a", 1)
    queue.put(("b", 2))
    putter = Hand(queue.put, ("c", 3)).blocks()
    assert queue.get() == ("b", 2)
    putter.result()
    assert queue.get() == ("c", 3)
    joiner = Hand(queue.join).blocks()
    for _ in range(3):
        queue.task_done()
    joiner.result()


def test_only_put_may_be_overridden(engine: Engine) -> None:
    class Keyed(engine.queue.PriorityQueue):
        def _put(self, item: str) -> None:
            super()._put((len(item), item))

    queue = Keyed()
    for item in ("three", "a", "to"):
        queue.put(item)
    assert [queue.get() for _ in range(3)] == [(1, "a"), (2, "to"), (5, "three")]


def test_heapq_may_be_used_on_the_items_of_a_priority_queue(engine: Engine) -> None:
    class Keyed(engine.queue.PriorityQueue):
        def _put(self, item: int) -> None:
            heapq.heappush(self.queue, (-item, item))

        def _get(self) -> Any:
            return heapq.heappop(self.queue)[1]

    queue = Keyed()
    for item in (1, 3, 2):
        queue.put(item)
    assert [queue.get() for _ in range(3)] == [3, 2, 1]


def test_only_get_may_be_overridden(engine: Engine) -> None:
    class Doubled(engine.queue.LifoQueue):
        def _get(self) -> Any:
            return 2 * super()._get()

    queue = Doubled()
    queue.put(1)
    queue.put(2)
    assert [queue.get(), queue.get()] == [4, 2]


def test_only_qsize_may_be_overridden(engine: Engine) -> None:
    class Weighed(engine.queue.Queue):
        def _qsize(self) -> int:
            return sum(map(len, self.queue))

    queue = Weighed(5)
    queue.put("abc")
    queue.put("de")
    assert queue.full()
    with pytest.raises(engine.queue.Full):
        queue.put_nowait("f")


def test_hooks_may_come_from_another_base(engine: Engine) -> None:
    class Newest:
        def _get(self) -> Any:
            return self.queue.pop()

    class Mine(Newest, engine.queue.Queue):
        pass

    queue = Mine()
    queue.put(1)
    queue.put(2)
    assert queue.get() == 2


def test_init_is_called_once_with_maxsize_before_the_constructor_ends(engine: Engine) -> None:
    calls = []

    class Mine(engine.queue.Queue):
        def __init__(self, maxsize: int) -> None:
            super().__init__(maxsize)
            calls.append("constructed")

        def _init(self, maxsize: int) -> None:
            calls.append(maxsize)
            super()._init(maxsize)

    queue = Mine(7)
    assert calls == [7, "constructed"]
    queue.put(1)
    assert queue.get() == 1
    assert list(queue.queue) == []


def test_hooks_run_while_the_mutex_is_held(engine: Engine) -> None:
    held = []

    class Mine(engine.queue.Queue):
        def _qsize(self) -> int:
            held.append(self.mutex.locked())
            return super()._qsize()

        def _put(self, item: Any) -> None:
            held.append(self.mutex.locked())
            super()._put(item)

        def _get(self) -> Any:
            held.append(self.mutex.locked())
            return super()._get()

    queue = Mine(1)
    queue.put(1)
    queue.get()
    queue.qsize()
    assert len(held) >= 4
    assert all(held)


@pytest.mark.parametrize("hook", ["_qsize", "_put", "_get"])
def test_a_hook_that_raises_leaves_the_queue_usable(engine: Engine, hook: str) -> None:
    class Mine(engine.queue.Queue):
        broken = False

    def failing(self: Any, *args: Any) -> Any:
        if self.broken:
            raise ZeroDivisionError
        return getattr(super(Mine, self), hook)(*args)

    setattr(Mine, hook, failing)
    queue = Mine(5)
    queue.put(1)
    queue.broken = True
    with pytest.raises(ZeroDivisionError):
        queue.put(2) if hook == "_put" else queue.get()
    queue.broken = False
    assert not queue.mutex.locked()
    assert queue.get() == 1
    assert queue.unfinished_tasks == 1


def test_a_put_of_ones_own_through_the_insides(engine: Engine) -> None:
    """As programs write it that want to put several items at once, or in front."""

    class Mine(engine.queue.Queue):
        def put_many(self, items: list[Any]) -> None:
            with self.not_full:
                while self.maxsize > 0 and self._qsize() + len(items) > self.maxsize:
                    self.not_full.wait()
                for item in items:
                    self._put(item)
                self.unfinished_tasks += len(items)
                self.not_empty.notify(len(items))

        def put_front(self, item: Any) -> None:
            with self.mutex:
                self.queue.appendleft(item)
                self.unfinished_tasks += 1
                self.not_empty.notify()

    queue = Mine(3)
    queue.put(1)
    queue.put_front(0)
    hand = Hand(queue.put_many, [2, 3]).blocks()
    assert queue.get() == 0
    hand.result()
    assert [queue.get() for _ in range(3)] == [1, 2, 3]
    assert queue.unfinished_tasks == 4
    getters = [Hand(queue.get).blocks() for _ in range(2)]
    queue.put_many([4, 5])
    assert sorted(getter.result() for getter in getters) == [4, 5]


KINDS = [("Queue", collections.deque), ("LifoQueue", list), ("PriorityQueue", list)]


@pytest.mark.parametrize(("kind", "container"), KINDS)
def test_the_items_are_in_the_attribute_queue(engine: Engine, kind: str, container: Any) -> None:
    queue = getattr(engine.queue, kind)()
    for item in (1, 2, 3):
        queue.put(item)
    assert type(queue.queue) is container
    assert list(queue.queue) == [1, 2, 3]
    queue.put(4)
    assert list(queue.queue) == [1, 2, 3, 4]
    queue.queue.clear()
    assert queue.empty()


def test_the_insides_are_always_the_same_objects(engine: Engine) -> None:
    queue = engine.queue.Queue()
    for name in ("mutex", "not_empty", "not_full", "all_tasks_done", "queue"):
        first = getattr(queue, name)
        queue.put(1)
        queue.get()
        assert getattr(queue, name) is first


def test_a_heap_comes_out_as_one(engine: Engine) -> None:
    queue = engine.queue.PriorityQueue()
    for item in (5, 1, 4, 1, 3):
        queue.put(item)
    heap = queue.queue
    assert all(heap[(i - 1) // 2] <= heap[i] for i in range(1, 5))
    heapq.heappush(heap, 2)
    assert [queue.get() for _ in range(6)] == [1, 1, 2, 3, 4, 5]


def test_emptying_it_from_outside_makes_room(engine: Engine) -> None:
    queue = engine.queue.Queue(2)
    queue.put(1)
    queue.put(2)
    hand = Hand(queue.put, 3).blocks()
    with queue.mutex:
        queue.queue.clear()
        queue.unfinished_tasks = 0
        queue.not_full.notify_all()
        queue.all_tasks_done.notify_all()
    hand.result()
    assert (queue.qsize(), queue.unfinished_tasks) == (1, 1)


def test_waiting_for_the_conditions_from_outside(engine: Engine) -> None:
    queue = engine.queue.Queue(1)

    def wait_for(condition: Any, predicate: Any) -> Any:
        with condition:
            return condition.wait_for(predicate, 20)

    not_empty = Hand(wait_for, queue.not_empty, lambda: len(queue.queue) == 1).blocks()
    queue.put(1)
    assert not_empty.result()
    not_full = Hand(wait_for, queue.not_full, lambda: len(queue.queue) == 0).blocks()
    queue.get()
    assert not_full.result()
    done = Hand(wait_for, queue.all_tasks_done, lambda: queue.unfinished_tasks == 0).blocks()
    queue.task_done()
    assert done.result()


def test_holding_the_mutex_keeps_others_out(engine: Engine) -> None:
    queue = engine.queue.Queue()
    calls = [lambda: queue.put(1), queue.get, queue.task_done, queue.join, queue.qsize]
    with queue.mutex:
        hands = [Hand(calls[0]).blocks(), *(Hand(call).blocks() for call in calls[3:])]
        assert len(queue.queue) == 0
    for hand in hands[:1]:
        hand.result()
    queue.get()
    queue.task_done()
    for hand in hands:
        hand.result()


def test_the_conditions_share_the_mutex(engine: Engine) -> None:
    queue = engine.queue.Queue()
    for condition in (queue.not_empty, queue.not_full, queue.all_tasks_done):
        with condition:
            assert queue.mutex.locked()
        assert not queue.mutex.locked()


def test_the_container_may_be_replaced(engine: Engine) -> None:
    queue = engine.queue.Queue()
    with queue.mutex:
        queue.queue = collections.deque([1, 2])
    assert [queue.get(), queue.get()] == [1, 2]
    limited = collections.deque([1, 2, 3], maxlen=3)
    queue.queue = limited
    queue.put(4)
    assert list(limited) == [2, 3, 4]


def test_unfinished_tasks_may_be_set(engine: Engine) -> None:
    queue = engine.queue.Queue()
    queue.put(1)
    hand = Hand(queue.join).blocks()
    with queue.all_tasks_done:
        queue.unfinished_tasks = 0
        queue.all_tasks_done.notify_all()
    hand.result()
    queue.unfinished_tasks = 2
    queue.task_done()
    assert queue.unfinished_tasks == 1


def test_the_insides_of_a_queue_may_be_used_by_many_threads(engine: Engine) -> None:
    queue = engine.queue.Queue(3)
    done: list[int] = []

    def give() -> None:
        for item in range(100):
            with queue.not_full:
                while len(queue.queue) >= 3:
                    queue.not_full.wait()
                queue.queue.append(item)
                queue.not_empty.notify()

    def take() -> None:
        for _ in range(100):
            done.append(queue.get())

    hands = [Hand(give), Hand(take), Hand(give), Hand(take)]
    for hand in hands:
        hand.result()
    until(lambda: queue.empty())
    assert sorted(done) == sorted([*range(100), *range(100)])
