"""What the shared locks are called, how they show themselves, and what they refuse."""

from __future__ import annotations

import gc
import inspect
import multiprocessing as stdlib
import sys
import weakref
from typing import Any

import pytest
from manyhands.multiprocessing import synchronize
from shared_locks import ALL, LOCKS, child_of, finish
from support import Hand


def module_of(mp: Any) -> Any:
    return sys.modules[type(mp.Lock()).__module__]


def test_the_module_has_all_names_of_the_stdlibs() -> None:
    theirs = stdlib.synchronize
    assert sorted(synchronize.__all__) == sorted(theirs.__all__)
    missing = [name for name in vars(theirs) if not hasattr(synchronize, name)]
    assert not missing
    for name in (*ALL, "Barrier"):
        members = {member for member in dir(getattr(theirs, name)) if not member.startswith("_")}
        assert members <= set(dir(getattr(synchronize, name))), name


def test_the_classes_belong_together_as_in_the_stdlib(mp: Any) -> None:
    module = module_of(mp)
    assert issubclass(module.BoundedSemaphore, module.Semaphore)
    for name in LOCKS:
        assert issubclass(getattr(module, name), module.SemLock)
        assert getattr(module, name).__name__ == name
    assert not issubclass(module.RLock, module.Lock)
    assert isinstance(mp.Barrier(1), sys.modules["threading"].Barrier)


@pytest.mark.parametrize("kind", ALL)
def test_a_context_is_asked_for(mp: Any, kind: str) -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'ctx'"):
        getattr(module_of(mp), kind)()


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_a_value_that_no_semaphore_can_have_is_refused(mp: Any, kind: str) -> None:
    make = getattr(mp, kind)
    with pytest.raises(OSError, match="Invalid argument"):
        make(-1)
    with pytest.raises(OverflowError):
        make(1 << 40)
    with pytest.raises(TypeError):
        make("one")
    with pytest.raises(TypeError):
        make(1.5)
    assert make(value=2).get_value() == 2


@pytest.mark.parametrize("arguments", [(True, "x"), (True, None, 1), (True, [])])
def test_unusual_arguments_are_refused(mp: Any, arguments: tuple[Any, ...]) -> None:
    lock = mp.Lock()
    lock.acquire()
    with pytest.raises(TypeError):
        lock.acquire(*arguments)
    with pytest.raises(TypeError):
        lock.acquire(blocking=True)
    event = mp.Event()
    for method in (lock.release, lock.__enter__, event.is_set, event.set, event.clear):
        with pytest.raises(TypeError):
            method(1)
        with pytest.raises(TypeError):
            method(unknown=1)
    with pytest.raises(TypeError):
        event.wait("x")
    with pytest.raises(TypeError):
        event.wait(1, 2)
    condition = mp.Condition()
    with condition, pytest.raises(TypeError):
        condition.wait("x")
    with condition, pytest.raises(TypeError):
        condition.notify("x")
    with condition:
        assert condition._lock._semlock._count() == 1, "a refused wait has not touched the lock"


@pytest.mark.parametrize("timeout", [float("nan")])
def test_what_is_no_number_is_no_timeout(our: Any, timeout: float) -> None:
    lock = our.Lock()
    lock.acquire()
    with pytest.raises(ValueError, match="NaN"):
        lock.acquire(True, timeout)
    with pytest.raises(ValueError, match="NaN"):
        our.Event().wait(timeout)


@pytest.mark.parametrize(
    ("kind", "method", "names"),
    [
        *[(kind, "acquire", ["block", "timeout"]) for kind in LOCKS],
        *[(kind, "release", []) for kind in LOCKS],
        ("Condition", "wait", ["timeout"]),
        ("Condition", "wait_for", ["predicate", "timeout"]),
        ("Condition", "notify", ["n"]),
        ("Condition", "notify_all", []),
        ("Event", "wait", ["timeout"]),
        ("Barrier", "wait", ["timeout"]),
    ],
)
def test_parameters_have_their_names(kind: str, method: str, names: list[str]) -> None:
    function = getattr(getattr(synchronize, kind), method)
    assert list(inspect.signature(function).parameters) == ["self", *names]


def test_reprs(mp: Any) -> None:
    lock, rlock, condition = mp.Lock(), mp.RLock(), mp.Condition()
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"
    lock.acquire(), rlock.acquire(), rlock.acquire()
    assert repr(lock) == "<Lock(owner=MainProcess)>"
    assert repr(rlock) == "<RLock(MainProcess, 2)>"
    assert Hand(repr, lock).result() == "<Lock(owner=SomeOtherThread)>"
    assert Hand(repr, rlock).result() == "<RLock(SomeOtherThread, nonzero)>"

    def in_thread() -> tuple[str, str]:
        lock = mp.Lock()
        with lock, condition:
            return repr(lock), repr(condition)

    locks, conditions = Hand(in_thread).result()
    assert locks.startswith("<Lock(owner=MainProcess|Thread-")
    assert conditions.startswith("<Condition(<RLock(MainProcess|Thread-")
    assert conditions.endswith(", 1)>, 0)>")

    def in_child() -> None:
        assert repr(lock) == "<Lock(owner=SomeOtherProcess)>"
        assert repr(rlock) == "<RLock(SomeOtherProcess, nonzero)>"

    finish(child_of(mp, in_child))
    assert repr(mp.Semaphore(3)) == "<Semaphore(value=3)>"
    assert repr(mp.BoundedSemaphore(3)) == "<BoundedSemaphore(value=3, maxvalue=3)>"
    assert repr(mp.Condition(mp.Lock())) == "<Condition(<Lock(owner=None)>, 0)>"
    assert "Event" in repr(mp.Event())
    assert "Barrier" in repr(mp.Barrier(2))


def test_the_view_that_the_stdlib_calls_semlock(mp: Any) -> None:
    lock, rlock, semaphore = mp.Lock(), mp.RLock(), mp.Semaphore(3)
    assert (lock._semlock.kind, lock._semlock.maxvalue, lock._semlock.name) == (1, 1, None)
    assert (rlock._semlock.kind, rlock._semlock.maxvalue) == (0, 1)
    assert mp.BoundedSemaphore(3)._semlock.maxvalue == 3
    assert semaphore._semlock.maxvalue == stdlib.synchronize.SEM_VALUE_MAX
    assert semaphore._semlock.SEM_VALUE_MAX == stdlib.synchronize.SEM_VALUE_MAX
    assert isinstance(lock._semlock.handle, int)
    assert lock._semlock._get_value() == 1
    assert not lock._semlock._is_zero()
    assert not lock._semlock._is_mine()
    assert lock._semlock._count() == 0
    with lock._semlock:
        assert lock._semlock._is_mine()
        assert lock._semlock._count() == 1
        assert lock._semlock._is_zero()
    rlock.acquire(), rlock._semlock.acquire()
    assert rlock._semlock._count() == 2
    rlock._semlock.release()
    assert rlock._semlock._is_mine()
    lock._semlock._after_fork()
    base = module_of(mp).SemLock
    assert all(isinstance(shared, base) for shared in (lock, rlock, semaphore))
    assert base._make_name() != base._make_name()


def test_locks_tell_whether_they_are_locked(our: Any) -> None:
    for kind in (*LOCKS, "Condition"):
        lock = getattr(our, kind)()
        assert lock.locked() is False
        lock.acquire()
        assert lock.locked() is True
        lock.release()


@pytest.mark.parametrize("kind", ALL)
def test_classes_can_be_derived_from(mp: Any, kind: str) -> None:
    base = type(getattr(mp, kind)())

    class Derived(base):  # type: ignore[misc]
        def __init__(self, name: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.name = name

    derived = Derived("mine", ctx=mp)
    assert derived.name == "mine"
    assert isinstance(derived, base)
    reference = weakref.ref(derived)
    del derived
    gc.collect()
    assert reference() is None


def test_a_condition_in_a_circle_is_collected(our: Any) -> None:
    lock, condition = our.Lock(), our.Condition(our.RLock())
    lock.condition, condition.lock = condition, lock
    condition._lock.condition = condition
    references = weakref.ref(lock), weakref.ref(condition)
    del lock, condition
    gc.collect()
    assert [reference() for reference in references] == [None, None]


@pytest.mark.parametrize("kind", [*LOCKS, "Event", "Condition", "Barrier"])
def test_an_object_made_without_its_init_says_so(our: Any, kind: str) -> None:
    base = type(getattr(our, kind)(*[1] * (kind == "Barrier")))
    empty = base.__new__(base)
    for use in ("acquire", "release", "is_set", "wait", "notify", "_waiters", "_reference"):
        if hasattr(base, use):
            with pytest.raises((RuntimeError, AttributeError), match=r"not initialized|_timeout"):
                getattr(empty, use)()


def test_an_object_is_initialized_once(our: Any) -> None:
    lock = our.Lock()
    with lock, pytest.raises(RuntimeError, match="initialized already"):
        lock.__init__(ctx=our)
    assert not lock.locked()


def test_semlock_itself_is_only_a_base() -> None:
    with pytest.raises(TypeError, match="only a base class"):
        synchronize.SemLock(1, 1, 1, ctx=None)
