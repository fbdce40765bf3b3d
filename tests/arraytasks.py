"""What workers do with arrays in tests of pools; a module, for those who do not inherit it."""

from __future__ import annotations

import os
import signal
from typing import Any

#: An event that tasks wait for, if there is one; arrays that this process keeps.
GATE: list[Any] = []
KEPT: list[Any] = []


def wait_at(gate: Any) -> None:
    GATE.append(gate)


def _pass() -> None:
    for gate in GATE:
        gate.wait()


def ends(array: Any, number: int = 0) -> tuple[float, float, int]:
    """Its first and last item, and the number."""
    _pass()
    return float(array[0]), float(array[-1]), number


def ends_of(pair: Any) -> tuple[float, float, int]:
    return ends(*pair)


def ends_of_two(one: Any, two: Any, number: int) -> tuple[float, float, int]:
    assert float(one[-1]) == float(one[0])
    assert float(two[-1]) == float(two[0])
    return float(one[0]), float(two[-1]), number


def write(array: Any, number: int) -> tuple[float, float]:
    """Its least and largest item, before they are all another."""
    found = float(array.min()), float(array.max())
    array[:] = -1 - number
    assert array.min() == array.max() == -1 - number
    return found


def length(data: bytes, number: int) -> int:
    return len(data) + number


def is_writable(array: Any, _number: int) -> bool:
    return bool(array.flags.writeable)


def keep(array: Any, _number: int) -> int:
    KEPT.append(array)
    return os.getpid()


def kept(_number: int) -> list[tuple[float, float]]:
    return [(float(array.min()), float(array.max())) for array in KEPT]


def give_back(array: Any, _number: int) -> Any:
    return array


def die_at_three(array: Any, number: int) -> float:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(array[-1])


def die_without(array: Any, number: int, path: str) -> float:
    """Dies if there is no such file yet."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return float(array[number])
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_holding(array: Any, number: int) -> int:
    array[number] = 1
    KEPT.append(array)
    os.kill(os.getpid(), signal.SIGKILL)
    return number
