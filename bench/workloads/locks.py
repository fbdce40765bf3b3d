"""What is done alike with locks of one process and with those between processes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

Measured = tuple[int, float]


def acquire_release(lock, count: int) -> Measured:
    acquire, release = lock.acquire, lock.release
    begin = perf_counter()
    for _ in range(count):
        acquire()
        release()
    return count, perf_counter() - begin


def enter(lock, count: int) -> Measured:
    begin = perf_counter()
    for _ in range(count):
        with lock:
            pass
    return count, perf_counter() - begin


def set_clear(event, count: int) -> Measured:
    set_, clear = event.set, event.clear
    begin = perf_counter()
    for _ in range(count):
        set_()
        clear()
    return count, perf_counter() - begin


def wait(event, count: int) -> Measured:
    """For what has been set."""
    event.set()
    wait = event.wait
    begin = perf_counter()
    for _ in range(count):
        wait()
    return count, perf_counter() - begin


def notify(condition, count: int) -> Measured:
    notify = condition.notify
    begin = perf_counter()
    for _ in range(count):
        with condition:
            notify()
    return count, perf_counter() - begin


def round_trips(there, back, count: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """What the two do who give each other the semaphores, in turns."""

    def ask() -> None:
        for _ in range(count):
            there.release()
            back.acquire()

    def answer() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    return ask, answer
