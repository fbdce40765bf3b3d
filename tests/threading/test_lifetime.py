"""Weak references, garbage collection, copying and pickling."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from support import OURS, Engine, Hand, alarm, until

MAKERS: dict[str, Callable[[Engine], Any]] = {
    "Lock": lambda e: e.threading.Lock(),
    "RLock": lambda e: e.threading.RLock(),
    "Condition": lambda e: e.threading.Condition(),
    "Semaphore": lambda e: e.threading.Semaphore(),
    "BoundedSemaphore": lambda e: e.threading.BoundedSemaphore(),
    "Event": lambda e: e.threading.Event(),
    "Barrier": lambda e: e.threading.Barrier(2),
    "Timer": lambda e: e.threading.Timer(1, print),
    "Queue": lambda e: e.queue.Queue(),
    "LifoQueue": lambda e: e.queue.LifoQueue(),
    "PriorityQueue": lambda e: e.queue.PriorityQueue(),
    "SimpleQueue": lambda e: e.queue.SimpleQueue(),
    "open Queue": lambda e: _opened(e.queue.Queue()),
    "open PriorityQueue": lambda e: _opened(e.queue.PriorityQueue()),
}


def _opened(queue: Any) -> Any:
    assert queue.mutex
    return queue


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest, engine: Engine) -> Callable[[], Any]:
    return lambda: MAKERS[request.param](engine)


def test_they_can_be_referred_to_weakly(make: Any) -> None:
    thing = make()
    gone: list[Any] = []
    reference = weakref.ref(thing, gone.append)
    assert reference() is thing
    names = weakref.WeakKeyDictionary({thing: "name"})
    assert names[thing] == "name"
    del thing
    gc.collect()
    assert reference() is None
    assert len(gone) == 1
    assert not names


def test_they_die_at_once_when_nobody_refers_to_them(engine: Engine) -> None:
    for name, maker in MAKERS.items():
        if "open" in name or name in ("Queue", "LifoQueue", "PriorityQueue", "Timer"):
            continue
        reference = weakref.ref(maker(engine))
        assert reference() is None, name


def test_copying_and_pickling_are_type_errors(make: Any) -> None:
    for call in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot pickle"):
            call(make())


def test_ours_cannot_be_copied_at_all() -> None:
    """Two objects with one state would be a trap; the stdlib's lets one make them."""
    for name, maker in MAKERS.items():
        if name != "Timer":
            with pytest.raises(TypeError, match="cannot pickle"):
                copy.copy(maker(OURS))


def test_a_subclass_may_say_how_it_is_pickled(engine: Engine) -> None:
    queue = Picklable(engine.name, 3)
    copied = pickle.loads(pickle.dumps(queue))
    assert (copied.size, copied.maxsize) == (3, 3)
    event = copy.copy(PicklableEvent())
    event.set()
    assert event.is_set()


class Picklable(OURS.queue.Queue):
    def __init__(self, name: str, size: int) -> None:
        super().__init__(size)
        self.name, self.size = name, size

    def __reduce__(self) -> Any:
        return Picklable, (self.name, self.size)


class PicklableEvent(OURS.threading.Event):
    def __reduce__(self) -> Any:
        return PicklableEvent, ()


def collected(thing: Any) -> weakref.ref[Any]:
    return weakref.ref(thing)


CYCLES: dict[str, Callable[[Engine], Any]] = {}


def cycle(maker: Callable[[Engine], Any]) -> Callable[[Engine], Any]:
    CYCLES[maker.__name__] = maker
    return maker


@cycle
def item_of_a_queue(engine: Engine) -> Any:
    queue = engine.queue.Queue()
    queue.put([queue])
    return queue


@cycle
def item_of_a_lifo_queue(engine: Engine) -> Any:
    queue = engine.queue.LifoQueue()
    queue.put(queue)
    return queue


@cycle
def item_of_a_priority_queue(engine: Engine) -> Any:
    queue = engine.queue.PriorityQueue()
    queue.put((1, queue))
    return queue


@cycle
def item_of_a_simple_queue(engine: Engine) -> Any:
    queue = engine.queue.SimpleQueue()
    queue.put({"me": queue})
    return queue


@cycle
def item_of_an_open_queue(engine: Engine) -> Any:
    queue = _opened(engine.queue.Queue())
    queue.put(queue)
    return queue


@cycle
def bound_of_a_queue(engine: Engine) -> Any:
    class Number(float):
        pass

    number = Number(3)
    queue = engine.queue.Queue(number)
    number.queue = queue
    return queue


@cycle
def attribute_of_a_queue(engine: Engine) -> Any:
    queue = engine.queue.Queue()
    queue.me = queue
    return queue


@cycle
def attribute_of_a_subclass_of_a_queue(engine: Engine) -> Any:
    class Mine(engine.queue.PriorityQueue):
        pass

    queue = Mine()
    queue.me = [queue, Mine]
    return queue


@cycle
def hooks_of_a_queue(engine: Engine) -> Any:
    class Mine(engine.queue.Queue):
        def _init(self, maxsize: int) -> None:
            self.items = [self]

        def _qsize(self) -> int:
            return len(self.items)

    return Mine()


@cycle
def slot_of_a_subclass(engine: Engine) -> Any:
    class Mine(type(engine.threading.RLock())):
        __slots__ = ("me",)

    lock = Mine()
    lock.me = lock
    return lock


@cycle
def attribute_of_an_event(engine: Engine) -> Any:
    event = engine.threading.Event()
    event.callback = event.set
    return event


@cycle
def attribute_of_a_semaphore(engine: Engine) -> Any:
    semaphore = engine.threading.BoundedSemaphore()
    semaphore.me = semaphore
    return semaphore


@cycle
def lock_of_a_condition(engine: Engine) -> Any:
    class Lock(type(engine.threading.RLock())):
        pass

    lock = Lock()
    lock.condition = engine.threading.Condition(lock)
    return lock.condition


@cycle
def action_of_a_barrier(engine: Engine) -> Any:
    holder: list[Any] = []
    barrier = engine.threading.Barrier(2, lambda: holder.clear())
    holder.append(barrier)
    return barrier


@cycle
def method_of_a_subclass_as_action(engine: Engine) -> Any:
    class Mine(engine.threading.Barrier):
        def __init__(self) -> None:
            super().__init__(2, self.act)

        def act(self) -> None:
            pass

    return Mine()


@pytest.mark.parametrize("maker", CYCLES.values(), ids=list(CYCLES))
def test_cycles_are_collected(engine: Engine, maker: Callable[[Engine], Any]) -> None:
    gc.collect()
    reference = weakref.ref(maker(engine))
    gc.collect()
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"])
def test_references_to_items_are_neither_lost_nor_kept(engine: Engine, kind: str) -> None:
    # A tuple that compares itself with others through its first element.
    item = (1, 2, object())
    before = sys.getrefcount(item)
    queue = getattr(engine.queue, kind)()
    queue.put(item)
    assert sys.getrefcount(item) == before + 1
    queue.get()
    assert sys.getrefcount(item) == before
    if kind != "SimpleQueue":
        queue.maxsize = 1
        queue.put(item)
        for call in (queue.put_nowait, lambda it: queue.put(it, timeout=0.001)):
            with pytest.raises(engine.queue.Full):
                call(item)
        assert sys.getrefcount(item) == before + 1
        assert queue.queue[0] is item
        queue.get()
        assert sys.getrefcount(item) == before
    queue.put(item)
    queue = None
    gc.collect()
    assert sys.getrefcount(item) == before


def test_an_item_whose_put_was_given_up_is_let_go() -> None:
    def interrupt() -> None:
        raise KeyError

    for opened in (False, True):
        queue = OURS.queue.Queue(1)
        queue.put(0)
        if opened:
            assert queue.mutex
        item = object()
        before = sys.getrefcount(item)
        with alarm(interrupt), pytest.raises(KeyError):
            queue.put(item)
        assert sys.getrefcount(item) == before


def test_an_object_lives_as_long_as_somebody_waits_for_it(engine: Engine) -> None:
    event = engine.threading.Event()
    reference = weakref.ref(event)
    hand = Hand(event.wait).blocks()
    del event
    gc.collect()
    alive = reference()
    assert alive is not None
    alive.set()
    del alive
    hand.result()
    del hand
    until(lambda: gc.collect() >= 0 and reference() is None)
