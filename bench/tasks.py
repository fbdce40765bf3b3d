"""What the workers of pools do. Apart from all else, so that a spawned worker imports no more."""

from __future__ import annotations

from time import thread_time
from typing import Any


def nothing(_: object) -> None:
    pass


def busy(_: object) -> None:
    """Uses a core for 1 ms: by the thread's own clock, which stands still while others have it."""
    end = thread_time() + 1e-3
    while thread_time() < end:
        pass


def total(array: Any) -> float:
    return float(array.sum())


def total_and(pair: tuple[Any, int]) -> float:
    array, number = pair
    return float(array.sum()) + number


def plus_one(array: Any) -> Any:
    return array + 1
