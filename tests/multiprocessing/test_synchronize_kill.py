"""Processes end while they hold, wait for, or hand on what others wait for."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import connection
from manyhands.multiprocessing.synchronize import AbandonedLockWarning
from shared_locks import LOCKS, SHORT, child_of, end, finish
from support import PATIENCE, Hand, until, until_blocked

mp: Any = multiprocessing.get_context("fork")


def kill_me() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_at_once() -> None:
    os._exit(0)


def return_from_main() -> None:
    """As most children end."""


def kill(process: Any) -> None:
    """Ends it without waiting for it: it stays, as a zombie."""
    os.kill(process.pid, signal.SIGKILL)


def killed_holder(lock: Any, ending: Callable[[], None] = kill_me) -> Any:
    """A process that ended while it held the lock."""
    holder = child_of(mp, lambda: lock.acquire() and ending())
    # Others wait for the descriptor without burying the process.
    connection.wait([holder.sentinel], PATIENCE)
    return holder


def blocked(*waiters: Any) -> None:
    """Waits until each of these processes waits for something."""
    for waiter in waiters:
        until_blocked(waiter.pid, waiter.pid)


@pytest.mark.parametrize("ending", [kill_me, end_at_once, return_from_main])
@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_the_lock_of_one_who_ended_passes_on_with_a_warning(
    kind: str, ending: Callable[[], None]
) -> None:
    lock = getattr(mp, kind)()
    assert lock.abandoned is False
    holder = killed_holder(lock, ending)
    with pytest.warns(AbandonedLockWarning, match=f"process {holder.pid}") as warned, lock:
        assert lock.abandoned is True
    assert warned[0].filename == __file__, "the warning is about the caller's line"
    assert lock.abandoned is True
    lock.abandoned = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lock:
            assert lock.abandoned is False
    end(holder)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_stays_abandoned_until_somebody_says_otherwise(kind: str) -> None:
    lock = getattr(mp, kind)()
    holder = killed_holder(lock)
    with pytest.warns(AbandonedLockWarning):
        lock.acquire()
    lock.release()

    def repair() -> None:
        with lock:
            assert lock.abandoned is True
            lock.abandoned = False

    finish(child_of(mp, repair))
    assert lock.abandoned is False
    end(holder)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_who_waits_already_gets_it(kind: str) -> None:
    lock, held = getattr(mp, kind)(), mp.Event()

    def hold() -> None:
        lock.acquire()
        held.set()
        signal.pause()

    holder = child_of(mp, hold)
    assert held.wait(PATIENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        hand = Hand(lock.acquire, True, PATIENCE).blocks()
        kill(holder)
        assert hand.result() is True
    end(holder)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_who_only_tries_gets_it_too(kind: str) -> None:
    lock = getattr(mp, kind)()
    holder = killed_holder(lock)
    with pytest.warns(AbandonedLockWarning):
        until(lambda: lock.acquire(False))
    assert lock._semlock._is_mine()
    end(holder)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_it_passes_on_as_often_as_holders_die(kind: str) -> None:
    lock = getattr(mp, kind)()

    def die_with_it() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AbandonedLockWarning)
            lock.acquire()
        kill_me()

    holders = [child_of(mp, die_with_it) for _ in range(5)]
    for holder in holders:
        holder.join(PATIENCE)
        assert holder.exitcode == -signal.SIGKILL
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    assert lock._semlock._count() == 1


def test_an_rlock_that_was_acquired_often_is_the_heirs_once() -> None:
    lock = mp.RLock()
    holder = killed_holder(lock, lambda: lock.acquire() and lock.acquire() and kill_me())
    with pytest.warns(AbandonedLockWarning), lock:
        assert lock._semlock._count() == 1
    assert not lock.locked()
    end(holder)


def test_a_warning_that_is_an_error_leaves_the_lock_free() -> None:
    lock = mp.Lock()
    holder = killed_holder(lock)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AbandonedLockWarning):
            lock.acquire()
    assert not lock.locked()
    assert lock.abandoned
    end(holder)


def test_an_rlock_of_an_ended_thread_passes_on() -> None:
    lock = mp.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    assert lock._semlock._count() == 1


def test_a_lock_of_an_ended_thread_does_not_for_anybody_may_release_it() -> None:
    lock = mp.Lock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert lock.acquire(timeout=0.5) is False
    finish(child_of(mp, lock.release))
    assert lock.acquire(False) is True
    assert not lock.abandoned


def test_what_was_taken_from_a_semaphore_stays_taken() -> None:
    semaphore = mp.Semaphore(2)
    holder = killed_holder(semaphore)
    assert semaphore.acquire(False) is True
    assert semaphore.acquire(timeout=0.5) is False
    end(holder)


@pytest.mark.parametrize("kind", LOCKS)
def test_who_is_killed_while_he_waits_takes_nothing(kind: str) -> None:
    lock = getattr(mp, kind)()
    lock.acquire()
    victims = [child_of(mp, lock.acquire) for _ in range(3)]
    blocked(*victims)
    hand = Hand(lock.acquire, True, PATIENCE)
    hand.blocks()
    for victim in victims:
        kill(victim)
    lock.release()
    assert hand.result() is True
    for victim in victims:
        end(victim)


def test_who_is_killed_while_he_waits_for_an_event_is_forgotten() -> None:
    event = mp.Event()
    victims = [child_of(mp, event.wait) for _ in range(3)]
    blocked(*victims)
    hand = Hand(event.wait, PATIENCE).blocks()
    for victim in victims:
        kill(victim)
    event.set()
    assert hand.result() is True
    for victim in victims:
        end(victim)
    assert event.wait(PATIENCE)


def enter_and_wait(condition: Any, there: Any) -> bool:
    with condition:
        there.release()
        return bool(condition.wait(PATIENCE))


def test_a_condition_of_a_killed_holder_goes_on() -> None:
    condition, there = mp.Condition(), mp.Semaphore(0)
    hand = Hand(enter_and_wait, condition, there)
    assert there.acquire(timeout=PATIENCE)
    holder = killed_holder(condition)
    with pytest.warns(AbandonedLockWarning), condition:
        condition.notify_all()
    assert hand.result() is True
    end(holder)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_killed_waiters_take_no_notices_away(kind: str) -> None:
    condition, there = mp.Condition(getattr(mp, kind)()), mp.Semaphore(0)
    victims = [child_of(mp, enter_and_wait, condition, there) for _ in range(3)]
    for _ in victims:
        assert there.acquire(timeout=PATIENCE)
    hands = [Hand(enter_and_wait, condition, there) for _ in range(2)]
    for _ in hands:
        assert there.acquire(timeout=PATIENCE)
    with condition:
        assert condition._waiters() == 5
        for victim in victims:
            kill(victim)
        condition.notify(2)
    assert [hand.result() for hand in hands] == [True, True]
    assert condition._waiters() == 0
    for victim in victims:
        end(victim)


def test_killed_waiters_are_not_counted_and_leave_their_places() -> None:
    condition, there = mp.Condition(), mp.Semaphore(0)
    for _ in range(3):
        victims = [child_of(mp, enter_and_wait, condition, there) for _ in range(15)]
        for _ in victims:
            assert there.acquire(timeout=PATIENCE)
        with condition:
            assert condition._waiters() == 15
        for victim in victims:
            end(victim)
        with condition:
            assert repr(condition).endswith(", 0)>")
            assert condition.wait(0) is False


def test_who_is_killed_after_his_notice_passes_it_on() -> None:
    condition, there = mp.Condition(), mp.Semaphore(0)
    victim = child_of(mp, enter_and_wait, condition, there)
    assert there.acquire(timeout=PATIENCE)
    hand = Hand(enter_and_wait, condition, there)
    assert there.acquire(timeout=PATIENCE)
    with condition:
        os.kill(victim.pid, signal.SIGSTOP)
        condition.notify()
        kill(victim)
    assert hand.result() is True
    end(victim)


@pytest.mark.parametrize("method", ["notify", "notify_all"])
def test_a_notifier_who_is_killed_before_he_releases_has_notified(method: str) -> None:
    condition, there = mp.Condition(), mp.Semaphore(0)
    hand = Hand(enter_and_wait, condition, there)
    assert there.acquire(timeout=PATIENCE)

    def notify_and_die() -> None:
        condition.acquire()
        getattr(condition, method)()
        kill_me()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        notifier = child_of(mp, notify_and_die)
        assert hand.result() is True
    assert condition._lock.abandoned is True
    end(notifier)


def test_who_is_killed_at_a_barrier_has_not_come() -> None:
    barrier = mp.Barrier(3)
    victims = [child_of(mp, barrier.wait) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    kill(victims[0])
    end(victims[1])
    until(lambda: barrier.n_waiting == 0)
    hands = [Hand(barrier.wait, PATIENCE) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    numbers = {barrier.wait(PATIENCE), *(hand.result() for hand in hands)}
    assert numbers == {0, 1, 2}
    end(victims[0])


def test_a_barrier_breaks_if_its_action_is_killed() -> None:
    acting = mp.Event()

    def act() -> None:
        acting.set()
        signal.pause()

    barrier = mp.Barrier(2, act)
    hand = Hand(barrier.wait, PATIENCE)
    until(lambda: barrier.n_waiting == 1)
    victim = child_of(mp, barrier.wait)
    assert acting.wait(PATIENCE)
    end(victim)
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()
    assert barrier.broken


@pytest.mark.parametrize("method", ["terminate", "kill"])
def test_ending_a_worker_by_its_process_object_is_as_harmless(method: str) -> None:
    lock, there = mp.Lock(), mp.Event()

    def hold() -> None:
        with lock:
            there.set()
            signal.pause()

    worker = child_of(mp, hold)
    assert there.wait(PATIENCE)
    assert lock.acquire(timeout=SHORT) is False
    getattr(worker, method)()
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    worker.join(PATIENCE)
    worker.close()
