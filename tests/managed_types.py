"""Types that tests register with managers; children and other programs can import them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Counter:
    """An object with methods that are public, and others."""

    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, by: int = 1) -> int:
        self.value += by
        return self.value

    def numbers(self) -> Iterator[int]:
        yield from range(self.value)

    def fail(self) -> None:
        raise KeyError(self.value)

    def unpicklable(self) -> Any:
        return lambda: None

    def raises_unpicklable(self) -> None:
        raise Unpicklable(threading.Lock())

    def end(self) -> None:
        os._exit(7)

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def pid(self) -> int:
        return os.getpid()

    def _hidden(self) -> str:
        return "hidden"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counter) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


class Unpicklable(Exception):
    """One that cannot be sent."""


def one(start: int = 0) -> Counter:
    """The same for all who ask."""
    return ONE


ONE = Counter(5)


def set_one(value: int) -> None:
    ONE.value = value
