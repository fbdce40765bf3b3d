"""Locks and their kin between processes: what the standard library's do, and ours the same."""

from __future__ import annotations

import gc
import multiprocessing as stdlib
import os
import pickle
import signal
import sys
import threading
import weakref
from types import ModuleType
from typing import Any

import pytest
from manyhands import multiprocessing as ours
from support import PATIENCE, Hand, until

ALL = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition")
LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")

#: A short timeout, in seconds.
SHORT = 0.03

#: The standard library keeps open what lies behind its barriers and values.
KEPT = (stdlib.get_context("fork").Barrier(1), stdlib.get_context("fork").Value("i", 0))


@pytest.fixture(params=[stdlib, ours], ids=["stdlib", "manyhands"])
def mp(request: pytest.FixtureRequest) -> Any:
    """A context of the standard library and of ours, for what must hold of both."""
    module: ModuleType = request.param
    return module.get_context("fork")


@pytest.fixture
def our() -> Any:
    return ours.get_context("fork")


def child_of(mp: Any, target: Any, *args: Any) -> Any:
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def finish(process: Any) -> None:
    process.join(PATIENCE)
    assert process.exitcode == 0
    process.close()


class Stop(Exception):
    pass


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_is_taken_and_given_back(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    assert lock.acquire() is True
    assert lock.release() is None
    assert lock.acquire(True, 5) is True
    lock.release()
    assert lock.acquire(block=True, timeout=None) is True
    lock.release()
    with lock as entered:
        assert entered is True


@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "BoundedSemaphore"])
def test_who_comes_second_waits_as_long_as_he_said(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    lock.acquire()
    assert lock.acquire(False) is False
    assert lock.acquire(False, 5) is False
    assert lock.acquire(timeout=SHORT) is False
    assert lock.acquire(True, -1) is False
    assert lock.acquire(True, 0) is False
    hand = Hand(lock.acquire, True, 1e12).blocks()
    lock.release()
    assert hand.result() is True


def test_an_rlock_is_its_owners(mp: Any) -> None:
    lock = mp.RLock()
    for _ in range(3):
        assert lock.acquire(False) is True
    assert Hand(lock.acquire, False).result() is False
    with pytest.raises(AssertionError, match="attempt to release recursive lock not owned"):
        Hand(lock.release).result()
    for _ in range(3):
        lock.release()
    with pytest.raises(AssertionError, match="attempt to release recursive lock not owned"):
        lock.release()


@pytest.mark.parametrize("kind", ["Lock", "BoundedSemaphore"])
def test_too_many_releases_are_refused(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        lock.release()
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        lock.__exit__(None, None, None)


def test_semaphores_count(mp: Any) -> None:
    semaphore = mp.Semaphore(2)
    semaphore.release()
    assert semaphore.get_value() == 3
    assert mp.BoundedSemaphore(0).get_value() == 0
    with pytest.raises(OSError, match="Invalid argument"):
        mp.Semaphore(-1)
    with pytest.raises(OverflowError):
        mp.Semaphore(1 << 40)
    with pytest.raises(TypeError):
        mp.Semaphore("one")


@pytest.mark.parametrize("kind", ALL)
def test_a_context_is_asked_for(mp: Any, kind: str) -> None:
    module = sys.modules[type(getattr(mp, kind)()).__module__]
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'ctx'"):
        getattr(module, kind)()


@pytest.mark.parametrize("arguments", [(True, "x"), (True, None, 1)])
def test_unusual_arguments_are_refused(mp: Any, arguments: tuple[Any, ...]) -> None:
    lock = mp.Lock()
    lock.acquire()
    with pytest.raises(TypeError):
        lock.acquire(*arguments)
    with pytest.raises(TypeError):
        lock.acquire(blocking=True)
    with pytest.raises(TypeError):
        lock.release(1)


def test_reprs(mp: Any) -> None:
    lock, rlock, condition = mp.Lock(), mp.RLock(), mp.Condition()
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"
    lock.acquire(), rlock.acquire(), rlock.acquire()
    assert repr(lock) == "<Lock(owner=MainProcess)>"
    assert repr(rlock) == "<RLock(MainProcess, 2)>"
    assert Hand(repr, lock).result() == "<Lock(owner=SomeOtherThread)>"
    assert Hand(repr, rlock).result() == "<RLock(SomeOtherThread, nonzero)>"

    def in_thread() -> str:
        with mp.RLock() as _, condition:
            return repr(condition)

    name = Hand(in_thread).result()
    assert name.startswith("<Condition(<RLock(MainProcess|Thread-")
    assert name.endswith(", 1)>, 0)>")

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
    assert semaphore._semlock.maxvalue == stdlib.synchronize.SEM_VALUE_MAX
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
    base = sys.modules[type(lock).__module__].SemLock
    assert all(isinstance(shared, base) for shared in (lock, rlock, semaphore))
    assert base._make_name() != base._make_name()


@pytest.mark.parametrize("kind", ALL)
def test_only_children_can_be_handed_one(mp: Any, kind: str) -> None:
    shared = getattr(mp, kind)()
    with pytest.raises(RuntimeError, match="objects should only be shared between"):
        pickle.dumps(shared)


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


def test_an_event_is_set_and_cleared(mp: Any) -> None:
    event = mp.Event()
    assert event.is_set() is False
    assert event.wait(0) is False
    assert event.wait(SHORT) is False
    assert event.set() is None
    assert event.is_set() is True
    assert event.wait() is True
    assert event.wait(timeout=5) is True
    assert event.clear() is None
    assert event.is_set() is False


def test_an_event_lets_processes_and_threads_go_on(mp: Any) -> None:
    event, there = mp.Event(), mp.Semaphore(0)

    def wait() -> None:
        there.release()
        assert event.wait(PATIENCE)

    children = [child_of(mp, wait) for _ in range(2)]
    hands = [Hand(wait) for _ in range(2)]
    for _ in range(4):
        assert there.acquire(timeout=PATIENCE)
    event.set()
    for child in children:
        finish(child)
    for hand in hands:
        hand.finish()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_condition_notifies(mp: Any, kind: str) -> None:
    condition = mp.Condition(getattr(mp, kind)())
    there, notified = mp.Semaphore(0), mp.Semaphore(0)

    def wait() -> None:
        with condition:
            there.release()
            assert condition.wait(PATIENCE) is True
            notified.release()

    children = [child_of(mp, wait) for _ in range(3)]
    for _ in children:
        assert there.acquire(timeout=PATIENCE)
    with condition:
        assert repr(condition).endswith(", 3)>")
        condition.notify()
    assert notified.acquire(timeout=PATIENCE)
    assert notified.get_value() == 0
    with condition:
        condition.notify_all()
    for child in children:
        finish(child)
    with condition:
        condition.notify(n=3)
        assert condition.wait(0) is False
        assert condition.wait(SHORT) is False


def test_a_condition_wants_its_lock(mp: Any) -> None:
    condition = mp.Condition()
    with pytest.raises(AssertionError, match=r"must acquire.. condition before using wait"):
        condition.wait()
    with pytest.raises(AssertionError, match="lock is not owned"):
        condition.notify()
    with pytest.raises(AssertionError, match="lock is not owned"):
        condition.notify_all()
    with pytest.raises(AttributeError):
        mp.Condition(5)


def test_a_wait_gives_up_all_levels_of_an_rlock(mp: Any) -> None:
    condition = mp.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition, condition:
        assert condition.acquire() is True
        hand = Hand(notify)
        assert condition.wait(PATIENCE) is True
        assert condition._lock._semlock._count() == 3
        condition.release()
    hand.finish()


def test_wait_for_returns_what_the_predicate_did(mp: Any) -> None:
    condition = mp.Condition()
    with condition:
        assert condition.wait_for(lambda: "there") == "there"
        assert condition.wait_for(list, SHORT) == []
        results = iter([None, 7])
        Hand(lambda: condition.__enter__() and (condition.notify(), condition.release()))
        assert condition.wait_for(lambda: next(results), PATIENCE) == 7


def test_a_condition_takes_a_subclass_by_its_methods(mp: Any) -> None:
    calls = []

    class Loud(type(mp.Lock())):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            take, give = self.acquire, self.release
            self.acquire = lambda *args: calls.append("acquire") or take(*args)
            self.release = lambda: calls.append("release") or give()

    condition = mp.Condition(Loud(ctx=mp))
    condition.acquire()
    assert condition.wait(0) is False
    condition.release()
    assert calls == ["acquire", "release", "acquire", "release"]


def test_a_barrier_is_passed_together(mp: Any) -> None:
    barrier = mp.Barrier(3)
    numbers = mp.Array("i", 3)

    def meet() -> None:
        for _ in range(50):
            number = barrier.wait(PATIENCE)
            with numbers.get_lock():
                numbers[number] += 1

    children = [child_of(mp, meet) for _ in range(3)]
    for child in children:
        finish(child)
    assert list(numbers) == [50] * 3
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_a_barrier_calls_its_action_once(mp: Any) -> None:
    calls = mp.Value("i", 0)

    def act() -> None:
        calls.value += 1

    barrier = mp.Barrier(2, act)
    child = child_of(mp, barrier.wait)
    barrier.wait(PATIENCE)
    assert calls.value == 1
    finish(child)


def test_a_barrier_breaks(mp: Any) -> None:
    barrier = mp.Barrier(2, timeout=SHORT)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
    barrier.reset()
    assert not barrier.broken
    hand = Hand(barrier.wait, PATIENCE)
    until(lambda: barrier.n_waiting == 1)
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()

    def fail() -> None:
        raise Stop

    barrier = mp.Barrier(1, fail)
    with pytest.raises(Stop):
        barrier.wait()
    assert barrier.broken


def test_an_action_may_use_its_barrier(our: Any) -> None:
    barrier = our.Barrier(2, lambda: barrier.abort())
    hand = Hand(barrier.wait, PATIENCE)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()


WAITS = {
    "Lock": lambda mp: _held(mp.Lock()).acquire,
    "Lock.__enter__": lambda mp: _held(mp.Lock()).__enter__,
    "RLock": lambda mp: _owned(mp.RLock()).acquire,
    "Semaphore": lambda mp: mp.Semaphore(0).acquire,
    "Event": lambda mp: mp.Event().wait,
    "Condition": lambda mp: _entered(mp.Condition()).wait,
    "Barrier": lambda mp: mp.Barrier(2).wait,
}


def _held(lock: Any) -> Any:
    lock.acquire()
    return lock


def _entered(condition: Any) -> Any:
    condition.acquire()
    condition.acquire()
    return condition


def _owned(lock: Any) -> Any:
    """Owned by a thread that ends when told so."""
    there, lock.end = threading.Event(), threading.Event()

    def own() -> None:
        lock.acquire()
        there.set()
        lock.end.wait(PATIENCE)

    lock.owner = Hand(own)
    there.wait()
    return lock


def _interrupt() -> threading.Timer:
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(SHORT, signal.pthread_kill, (main, signal.SIGUSR1))
    timer.start()
    return timer


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_signal_handler_that_raises_ends_the_wait(mp: Any, wait: Any) -> None:
    def handle(number: int, frame: Any) -> None:
        raise Stop

    wait = wait(mp)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        timer = _interrupt()
        with pytest.raises(Stop):
            wait()
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    shared = getattr(wait, "__self__", None)
    if hasattr(shared, "owner"):
        shared.end.set()
        shared.owner.finish()
    if hasattr(shared, "_waiters"):
        assert repr(shared).endswith(", 0)>")
        assert shared._lock._semlock._count() == 2, "it has its lock back"
    if hasattr(shared, "n_waiting"):
        assert shared.n_waiting == 0
        assert not shared.broken


@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "Event"])
def test_a_signal_handler_runs_while_its_thread_waits(mp: Any, kind: str) -> None:
    if kind == "Event" and mp is stdlib.get_context("fork"):
        pytest.skip("the standard library's waits for itself")
    shared = getattr(mp, kind)()
    give = shared.set if kind == "Event" else shared.release
    take = shared.wait if kind == "Event" else shared.acquire
    if kind != "Event":
        shared.acquire()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: give())
    try:
        timer = _interrupt()
        assert take() is True
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_condition_that_is_interrupted_twice_gives_up_its_lock(our: Any) -> None:
    condition = our.Condition(our.Lock())
    timers: list[threading.Timer] = []

    def handle(number: int, frame: Any) -> None:
        if not timers:
            timers.append(_interrupt())
        raise Stop

    def hold() -> None:
        with condition:
            os.kill(parent, signal.SIGUSR1)
            signal.pause()

    parent, before = os.getpid(), signal.signal(signal.SIGUSR1, handle)
    try:
        condition.acquire()
        child = child_of(our, hold)
        with pytest.raises(Stop):
            condition.wait()
        assert not condition._lock._semlock._is_mine()
        timers[0].join()
    finally:
        signal.signal(signal.SIGUSR1, before)
        child.kill()
        child.join()
        child.close()


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_all_start_methods_share_them(method: str) -> None:
    mp = ours.get_context(method)
    shared = [getattr(mp, kind)() for kind in ALL] + [mp.Barrier(2)]
    child = mp.Process(target=use_all, args=(*shared,))
    child.start()
    use_all(*shared)
    finish(child)
    if method != "fork":
        # The processes that start others stay: they are not what a test leaves behind.
        assert repr(shared[0]) == "<Lock(owner=None)>"


def use_all(
    lock: Any, rlock: Any, semaphore: Any, bounded: Any, event: Any, condition: Any, barrier: Any
) -> None:
    for one in (lock, rlock, semaphore, bounded):
        for _ in range(100):
            with one:
                pass
    barrier.wait(PATIENCE)
    with condition:
        if event.is_set():
            condition.notify()
        else:
            event.set()
            assert condition.wait(PATIENCE)
    barrier.wait(PATIENCE)
    assert event.wait(PATIENCE)


def test_an_object_made_without_its_init_says_so(our: Any) -> None:
    lock_type = type(our.Lock())
    empty = lock_type.__new__(lock_type)
    with pytest.raises(RuntimeError, match="not initialized"):
        empty.acquire()
    with pytest.raises(RuntimeError, match="not initialized"):
        empty.release()
