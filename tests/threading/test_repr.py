"""What repr() of a primitive tells."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support import OURS, STDLIB, Engine, Hand

STATES: list[tuple[str, Any]] = [
    ("free Lock", lambda t: t.Lock()),
    ("held Lock", lambda t: _acquired(t.Lock())),
    ("free RLock", lambda t: t.RLock()),
    ("held RLock", lambda t: _acquired(_acquired(t.RLock()))),
    ("Condition", lambda t: t.Condition()),
    ("held Condition", lambda t: _acquired(t.Condition(t.Lock()))),
    ("Semaphore", lambda t: t.Semaphore(3)),
    ("taken Semaphore", lambda t: _acquired(t.Semaphore(3))),
    ("BoundedSemaphore", lambda t: _acquired(t.BoundedSemaphore(3))),
    ("unset Event", lambda t: t.Event()),
    ("set Event", lambda t: _set(t.Event())),
    ("Barrier", lambda t: t.Barrier(3)),
    ("broken Barrier", lambda t: _abort(t.Barrier(3))),
    ("subclass of Event", lambda t: _set(_subclass(t.Event)())),
    ("subclass of Semaphore", lambda t: _subclass(t.Semaphore)(2)),
    ("subclass of Barrier", lambda t: _subclass(t.Barrier)(2)),
    ("subclass of Condition", lambda t: _subclass(t.Condition)()),
    ("subclass of RLock", lambda t: type("Mine", (type(t.RLock()),), {})()),
    ("Timer", lambda t: t.Timer(1, print)),
]


def _subclass(base: Any) -> Any:
    return type("Mine", (base,), {})


def _acquired(lock: Any) -> Any:
    lock.acquire()
    return lock


def _set(event: Any) -> Any:
    event.set()
    return event


def _abort(barrier: Any) -> Any:
    barrier.abort()
    return barrier


def normal(text: str) -> str:
    """Without what differs: addresses, thread numbers, and where the class lives."""
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    text = re.sub(r"Thread-\d+", "Thread-N", text)
    text = text.replace(f"{__name__}.", "")
    return re.sub(r"\b(manyhands\.threading|threading|_thread)\.", "", text)


@pytest.mark.parametrize("make", [row[1] for row in STATES], ids=[row[0] for row in STATES])
def test_it_has_the_stdlibs_shape(make: Any) -> None:
    theirs, mine = (make(engine.threading) for engine in (STDLIB, OURS))
    if type(theirs).__repr__ is object.__repr__:
        pytest.skip("this version's stdlib tells nothing")
    assert normal(repr(mine)) == normal(repr(theirs))


def test_it_names_the_class_with_its_module_and_the_address() -> None:
    for name in ("Lock", "RLock", "Event"):
        thing = getattr(OURS.threading, name)()
        assert f"manyhands.threading.{type(thing).__name__}" in repr(thing)
        assert f"{id(thing):#x}" in repr(thing)


def test_a_subclass_is_named() -> None:
    class Mine(OURS.threading.Semaphore):
        pass

    assert f"{__name__}.{Mine.__qualname__} at " in repr(Mine())


def test_the_owner_of_an_rlock_is_told(engine: Engine) -> None:
    lock = engine.threading.RLock()
    with lock, lock:
        assert f"owner={engine.threading.get_ident()} count=2" in repr(lock)


def test_the_waiters_of_a_condition_are_counted(engine: Engine) -> None:
    condition = engine.threading.Condition()

    def wait() -> None:
        with condition:
            condition.wait()

    hand = Hand(wait).blocks()
    assert repr(condition).endswith(", 1)>")
    with condition:
        condition.notify()
    hand.result()
    assert repr(condition).endswith(", 0)>")


def test_the_waiters_of_a_barrier_are_counted(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2)
    hand = Hand(barrier.wait).blocks()
    if type(barrier).__repr__ is not object.__repr__:
        assert "waiters=1/2" in repr(barrier)
    barrier.wait()
    hand.result()
