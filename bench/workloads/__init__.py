"""What is measured: functions of a contender's namespace, the same for each.

A workload is registered with `@workload(name, unit of work, classes)`; it does its work and returns
how many units that were and how many seconds they took.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from types import SimpleNamespace

Measure = Callable[[SimpleNamespace], tuple[int, float]]


@dataclass(frozen=True)
class Workload:
    name: str
    #: What one unit of work is.
    unit: str
    #: The classes that a contender must have.
    needs: tuple[str, ...]
    measure: Measure


WORKLOADS: dict[str, Workload] = {}


def workload(name: str, unit: str, *needs: str) -> Callable[[Measure], Measure]:
    def register(measure: Measure) -> Measure:
        WORKLOADS[name] = Workload(name, unit, needs, measure)
        return measure

    return register


def run_threads(*targets: Callable[[], None]) -> float:
    """Runs each target in a thread of its own; returns the seconds from first start to last end."""
    threads = [threading.Thread(target=target) for target in targets]
    begin = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter() - begin


for _module in ("queues", "sync"):
    import_module(f"{__name__}.{_module}")
