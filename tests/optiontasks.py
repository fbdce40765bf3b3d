"""What workers do in tests of `with_options`."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any


class Thing:
    """Something of which only the class is told."""


def wait_for_ever() -> None:
    while True:
        signal.pause()


def hang(thing: Any) -> None:
    wait_for_ever()


def begin() -> None:
    """An initializer, that of a module which then is loaded before the first call is."""


def hang_when_asked_where(asks: int) -> None:
    """Does not come to say where it is for a moment, as if others had the processor."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {asks})
    while asks not in signal.sigpending():
        time.sleep(0.001)
    time.sleep(0.03)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {asks})
    wait_for_ever()


def hang_when_saying_where(asks: int) -> None:
    """Has taken the question, and is not let go on for a moment, as if others had the processor."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {asks})
    signal.sigwait({asks})
    time.sleep(0.03)
    os.kill(os.getpid(), asks)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {asks})
    wait_for_ever()


def hang_at_two(number: int) -> int:
    if number == 2:
        wait_for_ever()
    return number


def say_and_hang(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    wait_for_ever()


def keep_busy(gate: str) -> str:
    while not Path(gate).exists():
        time.sleep(0.01)
    return "done"


def allocate(size: int) -> int:
    return len(bytearray(size))


def crash(thing: Any) -> None:
    ctypes.memset(0, 0, 1)


def die_at_first(times: int, folder: str, thing: Any) -> tuple[int, Any]:
    """Ends the process so many times, of which the folder keeps count; then returns the number."""
    begun = len(os.listdir(folder))
    Path(folder, str(begun)).touch()
    if begun < times:
        os._exit(7)
    return begun, thing


def die_with(how: int, *things: Any, **named: Any) -> None:
    """Ends the process with that exit code; a negative one is that of a signal."""
    if how < 0:
        os.kill(os.getpid(), -how)
        wait_for_ever()
    os._exit(how)
