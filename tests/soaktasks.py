"""What workers do in the soak; a module, so that also those find it who do not inherit it."""

from __future__ import annotations

import faulthandler
import os
import signal
import time


class Planned(Exception):
    """What a call is to raise."""


def begin() -> None:
    """Be a worker that tells on demand where it is."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def square(number: int) -> int:
    return number * number


def add(left: int, right: int) -> int:
    return left + right


def reverse(text: bytes) -> bytes:
    return text[::-1]


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fail(number: int) -> None:
    raise Planned(number)


def leave(code: int) -> None:
    """The worker's end, of which nobody is told."""
    os._exit(code)
