"""Processes are killed while they hold, wait for, or hand on what others wait for."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing.synchronize import AbandonedLockWarning
from support import PATIENCE, Hand, until

#: How many are killed in each of the tests that do it at random moments.
KILLS = int(os.environ.get("MANYHANDS_KILLS", "60"))

mp: Any = multiprocessing.get_context("fork")


def start(target: Callable[..., Any], *args: Any) -> Any:
    process = mp.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def end(process: Any) -> None:
    process.kill()
    process.join(PATIENCE)
    process.close()


def hold(lock: Any, held: Any) -> None:
    lock.acquire()
    held.set()
    signal.pause()


def killed_holder(lock: Any) -> int:
    """The number of a process that was killed while it held the lock, and is a zombie."""
    held = mp.Event()
    holder = start(hold, lock, held)
    assert held.wait(PATIENCE)
    os.kill(holder.pid, signal.SIGKILL)
    return int(holder.pid)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_killed_holders_lock_passes_on_with_a_warning(kind: str) -> None:
    lock = getattr(mp, kind)()
    assert lock.abandoned is False
    pid = killed_holder(lock)
    with pytest.warns(AbandonedLockWarning, match=f"process {pid}"), lock:
        assert lock.abandoned is True
    lock.abandoned = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lock:
            assert lock.abandoned is False
    multiprocessing.active_children()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_who_waits_already_gets_it(kind: str) -> None:
    lock, held = getattr(mp, kind)(), mp.Event()
    holder = start(hold, lock, held)
    assert held.wait(PATIENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        hand = Hand(lock.acquire, True, PATIENCE).blocks()
        os.kill(holder.pid, signal.SIGKILL)
        assert hand.result() is True
    end(holder)


def test_a_condition_of_a_killed_holder_goes_on() -> None:
    condition = mp.Condition()
    killed_holder(condition._lock)
    with pytest.warns(AbandonedLockWarning), condition:
        condition.notify_all()
    multiprocessing.active_children()


def test_a_warning_that_is_an_error_leaves_the_lock_free() -> None:
    lock = mp.Lock()
    killed_holder(lock)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AbandonedLockWarning):
            lock.acquire()
    assert not lock.locked()
    assert lock.abandoned
    multiprocessing.active_children()


def test_an_rlock_of_an_ended_thread_passes_on() -> None:
    lock = mp.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    with pytest.warns(AbandonedLockWarning):
        assert lock.acquire(timeout=PATIENCE)
    assert lock._semlock._count() == 1


def test_a_killed_waiter_takes_no_notice_away() -> None:
    condition, there = mp.Condition(), mp.Semaphore(0)

    def wait() -> bool:
        with condition:
            there.release()
            return bool(condition.wait(PATIENCE))

    victim = start(wait)
    assert there.acquire(timeout=PATIENCE)
    hand = Hand(wait)
    assert there.acquire(timeout=PATIENCE)
    with condition:
        os.kill(victim.pid, signal.SIGKILL)
        condition.notify()
    assert hand.result() is True
    end(victim)


def test_who_is_killed_at_a_barrier_has_not_come() -> None:
    barrier = mp.Barrier(3)
    victim = start(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    end(victim)
    assert barrier.n_waiting == 0
    hands = [Hand(barrier.wait, PATIENCE) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    barrier.wait(PATIENCE)
    for hand in hands:
        hand.result()


def test_a_barrier_breaks_if_its_action_is_killed() -> None:
    acting = mp.Event()

    def act() -> None:
        acting.set()
        signal.pause()

    barrier = mp.Barrier(2, act)
    hand = Hand(barrier.wait, PATIENCE)
    until(lambda: barrier.n_waiting == 1)
    victim = start(barrier.wait)
    assert acting.wait(PATIENCE)
    end(victim)
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()


def kill_at_random(work: Callable[[], None], workers: int = 3) -> None:
    """Keeps workers busy, kills one again and again, and sees that the others get on."""
    progress = mp.Semaphore(0)

    def run() -> None:
        warnings.simplefilter("ignore", AbandonedLockWarning)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE) * 2)
        while True:
            work()
            if progress.get_value() < 1000:
                progress.release()

    processes = [start(run) for _ in range(workers)]
    generator = random.Random(7)
    try:
        for _ in range(KILLS):
            victim = generator.randrange(workers)
            time.sleep(generator.random() * 0.004)
            end(processes[victim])
            while progress.acquire(False):
                pass
            for _ in range(3):
                assert progress.acquire(timeout=PATIENCE), "nobody gets on"
            processes[victim] = start(run)
    finally:
        for process in processes:
            end(process)


@pytest.mark.patience(180)
@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_killing_holders_leaves_nothing_half_done_unsaid(kind: str) -> None:
    lock = getattr(mp, kind)()
    pair = mp.RawArray("q", 2)

    def work() -> None:
        with lock:
            if lock.abandoned:
                pair[1] = pair[0]
                lock.abandoned = False
            assert pair[0] == pair[1], "two at a time, or it was not said"
            pair[0] += 1
            pair[1] += 1

    kill_at_random(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        assert lock.acquire(timeout=PATIENCE)
    assert lock.abandoned or pair[0] == pair[1]


@pytest.mark.patience(180)
def test_killing_waiters_and_notifiers_of_a_condition() -> None:
    condition = mp.Condition()
    items = mp.RawValue("q", 0)

    def work() -> None:
        with condition:
            if items.value < 3:
                items.value += 2
                condition.notify(2)
            else:
                condition.wait_for(lambda: items.value, PATIENCE)
                items.value -= 1
            if items.value == 0:
                condition.notify()
                condition.wait(0.001)

    kill_at_random(work)


@pytest.mark.patience(180)
def test_killing_who_comes_to_a_barrier() -> None:
    barrier = mp.Barrier(2)
    kill_at_random(lambda: barrier.wait() and None)
    assert not barrier.broken


@pytest.mark.patience(180)
def test_killing_who_sets_and_waits_for_an_event() -> None:
    event = mp.Event()

    def work() -> None:
        event.set()
        assert event.wait(PATIENCE) or True
        event.clear()

    kill_at_random(work)
