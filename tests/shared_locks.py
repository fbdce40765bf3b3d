"""What tests of the locks between processes share."""

from __future__ import annotations

import multiprocessing as stdlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from manyhands import multiprocessing
from support import PATIENCE, Hand, until

ALL = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition")
LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")

#: A short timeout, in seconds.
SHORT = 0.03

#: The standard library keeps open what lies behind its barriers and values.
KEPT = (stdlib.get_context("fork").Barrier(1), stdlib.get_context("fork").Value("i", 0))


class Stop(Exception):
    """What a test raises."""


def child_of(mp: Any, target: Callable[..., Any], *args: Any) -> Any:
    process = mp.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def finish(process: Any) -> None:
    """Waits for the end of a child, which must be a good one."""
    process.join(PATIENCE)
    assert process.exitcode == 0
    process.close()


def end(process: Any) -> None:
    process.kill()
    process.join(PATIENCE)
    process.close()


def signal_soon() -> threading.Timer:
    """Sends SIGUSR1 to the main thread in a moment."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(SHORT, signal.pthread_kill, (main, signal.SIGUSR1))
    timer.start()
    return timer


def stand_still_inside(busy: Callable[[], Any], use: Callable[[], Any], times: int) -> None:
    """Stops a process that is busy, wherever it is, while a thread here uses the same; others
    have to go on.
    """
    ticks = 0
    over = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not over.wait(0.001):
            ticks += 1

    def be_busy() -> None:
        while True:
            busy()

    process = child_of(multiprocessing.get_context("fork"), be_busy)
    ticking = Hand(tick)
    try:
        for _ in range(times):
            os.kill(process.pid, signal.SIGSTOP)
            using = Hand(use)
            before = ticks
            until(lambda before=before: ticks > before + 1)
            os.kill(process.pid, signal.SIGCONT)
            using.result()
    finally:
        os.kill(process.pid, signal.SIGCONT)
        end(process)
        over.set()
        ticking.result()
