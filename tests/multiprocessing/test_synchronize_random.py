"""Processes are killed at random moments while they use what others use: those get on."""

from __future__ import annotations

import os
import random
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing.synchronize import AbandonedLockWarning
from shared_locks import child_of, end
from support import PATIENCE

#: How many are killed in each of the tests.
KILLS = int(os.environ.get("MANYHANDS_KILLS", "60"))

mp: Any = multiprocessing.get_context("fork")


def kill_at_random(work: Callable[[], None], alone: bool = True) -> None:
    """Keeps three workers busy, kills one again and again, and sees that the others get on.

    They do it alone, or with the one that takes the dead one's place.
    """
    progress = mp.Semaphore(0)

    def run() -> None:
        warnings.simplefilter("ignore", AbandonedLockWarning)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE) * 2)
        while True:
            work()
            if progress.get_value() < 1000:
                progress.release()

    def replace() -> None:
        processes[victim] = child_of(mp, run)

    processes = [child_of(mp, run) for _ in range(3)]
    generator = random.Random(7)
    try:
        for _ in range(KILLS):
            victim = generator.randrange(len(processes))
            time.sleep(generator.random() * 0.004)
            end(processes[victim])
            while progress.acquire(False):
                pass
            if not alone:
                replace()
            for _ in range(3):
                assert progress.acquire(timeout=PATIENCE), "nobody gets on"
            if alone:
                replace()
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
        assert event.wait(PATIENCE)
        event.clear()

    # If the only one that was about to set it is killed, the others wait for ever.
    kill_at_random(work, alone=False)


@pytest.mark.patience(180)
def test_killing_who_waits_for_a_semaphore() -> None:
    semaphore = mp.Semaphore(0)

    def work() -> None:
        semaphore.release()
        semaphore.release()
        semaphore.acquire()

    kill_at_random(work)
