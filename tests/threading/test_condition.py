"""Condition."""

from __future__ import annotations

import _thread
import threading as stdlib_threading
from typing import Any

import pytest
from support import Engine, Hand, alarm, until


class Interruption(Exception):
    """Raised by a signal handler."""


def interrupt() -> None:
    raise Interruption


LOCKS = ["Lock", "RLock", "none", "_thread.lock", "stdlib RLock", "stdlib Lock", "Semaphore"]


@pytest.fixture(params=LOCKS)
def condition(request: pytest.FixtureRequest, engine: Engine) -> Any:
    """A condition over each kind of lock."""
    if request.param == "none":
        return engine.threading.Condition()
    makers: dict[str, Any] = {
        "_thread.lock": _thread.allocate_lock,
        "stdlib RLock": stdlib_threading.RLock,
        "stdlib Lock": stdlib_threading.Lock,
    }
    make = makers.get(request.param) or getattr(engine.threading, request.param)
    return engine.threading.Condition(make())


def waiting(condition: Any, timeout: float | None = None) -> Hand:
    def wait() -> Any:
        with condition:
            return condition.wait(timeout)

    return Hand(wait).blocks()


def notify(condition: Any, *args: Any, **kwargs: Any) -> None:
    with condition:
        condition.notify(*args, **kwargs)


def test_a_notice_wakes_one(condition: Any) -> None:
    hands = [waiting(condition), waiting(condition)]
    notify(condition)
    until(lambda: [hand.is_alive for hand in hands].count(False) == 1)
    notify(condition)
    assert [hand.result() for hand in hands] == [True, True]


def test_who_waits_longest_is_woken_first(engine: Engine) -> None:
    condition = engine.threading.Condition()
    hands = [waiting(condition) for _ in range(4)]
    for hand in hands:
        notify(condition)
        hand.result()


def test_notify_wakes_as_many_as_asked_for(engine: Engine) -> None:
    condition = engine.threading.Condition()
    hands = [waiting(condition) for _ in range(4)]
    notify(condition, 3)
    for hand in hands[:3]:
        hand.result()
    assert hands[3].is_alive
    notify(condition, n=100)
    hands[3].result()


def test_notify_all_wakes_all(condition: Any) -> None:
    hands = [waiting(condition) for _ in range(3)]
    with condition:
        condition.notify_all()
    assert [hand.result() for hand in hands] == [True] * 3


def test_a_notice_that_nobody_waits_for_is_forgotten(condition: Any) -> None:
    notify(condition, 5)
    with condition:
        assert condition.wait(0.01) is False


@pytest.mark.parametrize("n", [0, -1])
def test_notify_of_none_wakes_none(engine: Engine, n: int) -> None:
    condition = engine.threading.Condition()
    hand = waiting(condition)
    notify(condition, n)
    hand.blocks()
    notify(condition)
    hand.result()


def test_the_lock_is_given_up_while_waiting_and_held_after(condition: Any) -> None:
    hand = waiting(condition)
    with condition:
        condition.notify()
        # It was notified, and cannot go on while the lock is held here.
        hand.blocks()
    assert hand.result()


def test_all_levels_of_an_rlock_are_given_up_and_restored(engine: Engine) -> None:
    lock = engine.threading.RLock()
    condition = engine.threading.Condition(lock)

    def wait() -> None:
        with lock, lock, condition:
            assert condition.wait()
            for _ in range(2):
                lock.release()
                assert lock._is_owned()
            for _ in range(2):
                lock.acquire()

    hand = Hand(wait).blocks()
    notify(condition)
    hand.result()
    assert lock.acquire(blocking=False)
    lock.release()


def test_wait_and_notify_want_the_lock_held(condition: Any) -> None:
    with pytest.raises(RuntimeError, match="cannot wait on un-acquired lock"):
        condition.wait()
    with pytest.raises(RuntimeError, match="cannot notify on un-acquired lock"):
        condition.notify()
    with pytest.raises(RuntimeError, match="cannot notify on un-acquired lock"):
        condition.notify_all()


def test_an_rlock_held_by_another_thread_does_not_do(engine: Engine) -> None:
    condition = engine.threading.Condition()
    with condition, pytest.raises(RuntimeError, match="un-acquired"):
        Hand(condition.notify).result()


def test_wait_for_waits_until_the_predicate_holds(condition: Any) -> None:
    state = [0]

    def wait() -> Any:
        with condition:
            return condition.wait_for(lambda: state[0] >= 3 and "enough")

    hand = Hand(wait).blocks()
    for _ in range(3):
        with condition:
            state[0] += 1
            condition.notify()
    assert hand.result() == "enough"


def test_wait_for_returns_what_the_predicate_returned_last(condition: Any) -> None:
    with condition:
        assert condition.wait_for(list, timeout=0.01) == []
        assert condition.wait_for(lambda: "yes", timeout=-1) == "yes"
        assert condition.wait_for(lambda: 0, 0) == 0


def test_wait_for_counts_all_its_waits_as_one_timeout(engine: Engine) -> None:
    condition = engine.threading.Condition()
    stop = False

    def disturb() -> None:
        while not stop:
            notify(condition)

    hand = Hand(disturb)
    with condition:
        assert not condition.wait_for(lambda: False, 0.05)
    stop = True
    hand.result()


def test_a_predicate_that_raises_ends_the_wait(engine: Engine) -> None:
    condition = engine.threading.Condition()
    with pytest.raises(ZeroDivisionError), condition:
        condition.wait_for(lambda: 1 / 0)
    assert Hand(condition.acquire, False).result()


def test_arguments_and_results_of_the_lock_pass_through(engine: Engine) -> None:
    condition = engine.threading.Condition(engine.threading.Lock())
    assert condition.acquire(True, 1) is True
    assert condition.acquire(blocking=False) is False
    assert condition.acquire(timeout=0.01) is False
    assert condition.release() is None
    assert condition.__enter__() is True
    assert condition.__exit__(None, None, None) is None


def test_several_conditions_share_a_lock(engine: Engine) -> None:
    lock = engine.threading.Lock()
    first, second = (engine.threading.Condition(lock) for _ in range(2))
    hands = [waiting(first), waiting(second)]
    with lock:
        first.notify()
    hands[0].result()
    assert hands[1].is_alive
    with lock:
        second.notify()
    hands[1].result()


class Recorder:
    """A lock of the program's own making."""

    def __init__(self) -> None:
        self.lock = _thread.allocate_lock()
        self.calls: list[str] = []

    def acquire(self, *args: Any) -> bool:
        self.calls.append("acquire")
        return self.lock.acquire(*args)

    def release(self) -> None:
        self.calls.append("release")
        self.lock.release()

    def __enter__(self) -> str:
        self.lock.acquire()
        return "entered"

    def __exit__(self, *args: Any) -> None:
        self.lock.release()


class Saver(Recorder):
    """One that says more about itself."""

    def _is_owned(self) -> bool:
        self.calls.append("is_owned")
        return self.lock.locked()

    def _release_save(self) -> str:
        self.calls.append("release_save")
        self.lock.release()
        return "state"

    def _acquire_restore(self, state: str) -> None:
        assert state == "state"
        self.calls.append("acquire_restore")
        self.lock.acquire()


def test_a_lock_of_ones_own_is_used_through_its_methods(engine: Engine) -> None:
    lock = Recorder()
    condition = engine.threading.Condition(lock)
    with condition as entered:
        assert entered == "entered"
        lock.calls.clear()
        assert not condition.wait(0.001)
    # Whether it is held is found out by trying to acquire it.
    assert lock.calls == ["acquire", "release", "acquire"]


def test_a_lock_that_can_save_its_state_is_asked_to(engine: Engine) -> None:
    lock = Saver()
    condition = engine.threading.Condition(lock)
    with condition:
        assert not condition.wait(0.001)
        condition.notify()
    assert lock.calls == ["is_owned", "release_save", "acquire_restore", "is_owned"]


def test_something_that_is_no_lock_is_refused(engine: Engine) -> None:
    with pytest.raises(AttributeError, match="acquire"):
        engine.threading.Condition(object())
    with pytest.raises(AttributeError):
        engine.threading.Condition(0)


def test_an_exception_of_a_handler_comes_after_the_lock_is_held_again(engine: Engine) -> None:
    for lock in (engine.threading.RLock(), engine.threading.Lock()):
        condition = engine.threading.Condition(lock)
        with condition:
            with alarm(interrupt), pytest.raises(Interruption):
                condition.wait()
            condition.notify()
        assert Hand(lock.acquire, False).result()


def test_a_notice_is_not_lost_with_one_who_gives_up() -> None:
    """Ours only: the stdlib's waiter that is interrupted takes its notice with it."""
    from manyhands import threading

    condition = threading.Condition()
    with alarm(interrupt), pytest.raises(Interruption), condition:
        condition.wait()
    hand = waiting(condition)
    notify(condition)
    assert hand.result()


def test_a_signal_handler_runs_while_the_lock_is_awaited_again(engine: Engine) -> None:
    condition = engine.threading.Condition(engine.threading.Lock())
    go, done = _thread.allocate_lock(), _thread.allocate_lock()
    done.acquire()
    go.acquire()

    def keep() -> None:
        with condition:
            go.release()
            condition.notify()
            done.acquire()

    with condition:
        hand = Hand(keep)
        with alarm(done.release, after=0.05) as ran:
            assert condition.wait()
        assert ran
    go.acquire()
    hand.result()
