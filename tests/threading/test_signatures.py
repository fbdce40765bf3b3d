"""Arguments of constructors and methods: names, defaults, kinds, and what bad ones raise."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from support import OURS, STDLIB, Engine

CLASSES = ["Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier"]


def make(engine: Engine, name: str) -> Any:
    cls = getattr(engine.threading, name)
    return cls(2) if name == "Barrier" else cls()


def signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def shape(function: Any) -> list[tuple[str, Any]] | None:
    """Names and defaults of the parameters; of a builtin that does not tell, None."""
    found = signature(function)
    return found and [(name, it.default) for name, it in found.parameters.items()]


def public_methods(thing: Any) -> list[str]:
    return [
        name
        for name in dir(thing)
        if not name.startswith("_") and inspect.isroutine(getattr(type(thing), name, None))
    ]


@pytest.mark.parametrize("name", CLASSES)
def test_all_public_attributes_of_the_stdlibs_class_are_there(name: str) -> None:
    theirs, mine = (make(engine, name) for engine in (STDLIB, OURS))
    public = {attribute for attribute in dir(theirs) if not attribute.startswith("_")}
    assert public <= set(dir(mine))


@pytest.mark.parametrize("name", CLASSES)
def test_methods_take_what_the_stdlibs_take(name: str) -> None:
    theirs, mine = (make(engine, name) for engine in (STDLIB, OURS))
    for method in public_methods(theirs):
        expected = shape(getattr(theirs, method))
        if expected is not None:
            assert shape(getattr(mine, method)) == expected, method
            unbound = shape(getattr(type(mine), method))
            assert unbound is not None
            assert [name for name, _ in unbound[1:]] == [name for name, _ in expected], method


@pytest.mark.parametrize("name", [*CLASSES, "Timer"])
def test_constructors_take_what_the_stdlibs_take(name: str) -> None:
    expected = shape(getattr(STDLIB.threading, name))
    if expected is not None and name != "RLock":  # there, a function that takes anything
        assert shape(getattr(OURS.threading, name)) == expected


def test_methods_of_locks_tell_their_arguments() -> None:
    """Ours only: in the stdlib they are written in C and tell it from 3.13 on."""
    for name in ("Lock", "RLock"):
        lock = make(OURS, name)
        assert str(inspect.signature(lock.acquire)) == "(blocking=True, timeout=-1)"
        assert str(inspect.signature(lock.release)) == "()"
        assert str(inspect.signature(type(lock).acquire)) == "(self, /, blocking=True, timeout=-1)"


@pytest.mark.parametrize("name", CLASSES)
def test_classes_and_methods_have_docstrings(name: str) -> None:
    mine = make(OURS, name)
    assert inspect.getdoc(type(mine))
    for method in public_methods(mine):
        assert inspect.getdoc(getattr(mine, method)), method


KEYWORDS: list[tuple[str, Callable[[Any], Any]]] = [
    ("Condition(lock=)", lambda t: t.Condition(lock=t.Lock())),
    ("Condition(lock=None)", lambda t: t.Condition(lock=None)),
    ("Condition.wait_for", lambda t: _held(t.Condition()).wait_for(predicate=int, timeout=0)),
    ("Condition.wait", lambda t: _held(t.Condition()).wait(timeout=0)),
    ("Condition.notify", lambda t: _held(t.Condition()).notify(n=1)),
    ("Semaphore", lambda t: t.Semaphore(value=2)),
    ("Semaphore.acquire", lambda t: t.Semaphore().acquire(blocking=True, timeout=None)),
    ("Semaphore.acquire(None)", lambda t: t.Semaphore().acquire(blocking=None)),
    ("Semaphore.release", lambda t: t.Semaphore().release(n=3)),
    ("Event.wait", lambda t: t.Event().wait(timeout=0)),
    ("Barrier", lambda t: t.Barrier(parties=1, action=int, timeout=1).wait(timeout=3)),
    ("Lock.acquire", lambda t: t.Lock().acquire(blocking=True, timeout=-1)),
    ("Lock.acquire(1)", lambda t: t.Lock().acquire(1, timeout=-1)),
    ("Lock.acquire int", lambda t: t.Lock().acquire(timeout=1)),
    ("RLock.acquire", lambda t: t.RLock().acquire(blocking=True, timeout=-1.0)),
]


def _held(condition: Any) -> Any:
    condition.acquire()
    return condition


@pytest.mark.parametrize("call", [row[1] for row in KEYWORDS], ids=[row[0] for row in KEYWORDS])
def test_arguments_can_be_given_by_name(engine: Engine, call: Callable[[Any], Any]) -> None:
    call(engine.threading)


#: Calls that fail; those with a message fail with the stdlib's own.
NAN = float("nan")
BAD: list[tuple[str, Callable[[Any], Any], str | None]] = []


def bad(call: str, message: str | None = None) -> None:
    BAD.append((call, eval(f"lambda t: t.{call}", {"NAN": NAN}), message))


for lock in ("Lock", "RLock"):
    bad(f"{lock}().acquire(False, 1)", "can't specify a timeout for a non-blocking call")
    bad(f"{lock}().acquire(blocking=False, timeout=0)", "can't specify a timeout")
    bad(f"{lock}().acquire(timeout=-2)")
    bad(f"{lock}().acquire(timeout=-0.5)")
    bad(f"{lock}().acquire(timeout=NAN)", "Invalid value NaN")
    bad(f"{lock}().acquire(timeout=t.TIMEOUT_MAX + 1000)")
    bad(f"{lock}().acquire(timeout=1e300)")
    bad(f"{lock}().acquire(timeout=10**400)")
    bad(f"{lock}().acquire(timeout=None)")
    bad(f"{lock}().acquire(timeout='1')")
    bad(f"{lock}().acquire(True, 1, 2)")
    bad(f"{lock}().acquire(nonsense=1)")
    bad(f"{lock}().release(1)")
bad("Lock(1)")
bad("Lock(name='x')")
bad("Semaphore('1')")
bad("Semaphore(1, 2)")
bad("Semaphore(-1)", "semaphore initial value must be >= 0")
bad("Semaphore().acquire(False, 0)", "can't specify timeout for non-blocking acquire")
bad("Semaphore(0).acquire(timeout='1')")
bad("Semaphore(0).acquire(timeout=1e300)")
bad("Semaphore().release('1')")
bad("Semaphore().release(0)", "n must be one or more")
bad("BoundedSemaphore(-1)", "semaphore initial value must be >= 0")
bad("BoundedSemaphore(1).release()", "Semaphore released too many times")
bad("Event(1)")
bad("Event().wait('1')")
bad("Event().wait(1e300)")
bad("Event().set(1)")
bad("Condition().wait()", "cannot wait on un-acquired lock")
bad("Condition().notify()", "cannot notify on un-acquired lock")
bad("Condition().release()", "cannot release un-acquired lock")
bad("Condition(1, 2)")
bad("Condition().wait_for()")
bad("Barrier()")
bad("Barrier(2).wait('1')")
bad("Barrier(2, timeout='1').wait()")


@pytest.mark.parametrize(("call", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_arguments_raise_what_the_stdlib_raises(
    call: Callable[[Any], Any], message: str | None
) -> None:
    errors: list[Exception] = []
    for engine in (STDLIB, OURS):
        try:
            call(engine.threading)
        except Exception as error:
            errors.append(error)
    assert len(errors) == 2
    assert type(errors[0]) is type(errors[1])
    if message is not None:
        assert message in str(errors[0])
        assert str(errors[0]) == str(errors[1])


def test_a_bad_timeout_of_a_barrier_does_not_count_as_a_party() -> None:
    """Ours only: the stdlib's barrier is broken by it."""
    barrier = OURS.threading.Barrier(2)
    with pytest.raises(TypeError):
        barrier.wait("1")
    assert (barrier.n_waiting, barrier.broken) == (0, False)


@pytest.mark.parametrize("parties", [0, -1])
def test_a_barrier_for_nobody_is_an_error_where_the_stdlib_says_so(parties: int) -> None:
    outcomes = []
    for engine in (STDLIB, OURS):
        try:
            engine.threading.Barrier(parties)
            outcomes.append("")
        except ValueError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error)


class Number:
    """Something that is a number to those who ask."""

    def __float__(self) -> float:
        return 0.001

    def __index__(self) -> int:
        return 0


def held(engine: Engine) -> Any:
    lock = engine.threading.Lock()
    lock.acquire()
    return lock


@pytest.mark.parametrize("timeout", [Number(), False, 10**30])
def test_other_numbers_are_timeouts_where_the_stdlib_takes_them(timeout: Any) -> None:
    theirs, mine = (
        outcome(partial(held(engine).acquire, timeout=timeout)) for engine in (STDLIB, OURS)
    )
    assert mine == theirs


def test_not_a_number_is_no_timeout() -> None:
    """Ours only: some of the stdlib's waits take it for none, one spins for ever."""
    threading = OURS.threading
    condition = threading.Condition()
    for call in (
        threading.Event().wait,
        threading.Barrier(2).wait,
        lambda nan: threading.Semaphore(0).acquire(timeout=nan),
        lambda nan: condition.__enter__() and condition.wait(nan),
    ):
        with pytest.raises(ValueError, match="NaN"):
            call(NAN)
