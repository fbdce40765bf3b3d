"""What is measured: functions of a contender's namespace, the same for each.

A workload is registered with `@workload(name, unit of work, classes)`; it does its work and returns
how many units that were and how many seconds they took, or a dict of such for more than one figure.
Where the unit is bytes, they are bytes instead of seconds.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from types import SimpleNamespace

Measured = tuple[int, float] | dict[str, tuple[int, float]]
Measure = Callable[[SimpleNamespace], Measured]


@dataclass(frozen=True)
class Workload:
    name: str
    #: What one unit of work is.
    unit: str
    #: The classes that a contender must have, or their methods: "Pool.imap".
    needs: tuple[str, ...]
    measure: Measure
    #: The contender that others are compared with.
    base: str = "stdlib"


WORKLOADS: dict[str, Workload] = {}


def has(contender: SimpleNamespace, name: str) -> bool:
    found: object = contender
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def workload(
    name: str, unit: str, *needs: str, base: str = "stdlib"
) -> Callable[[Measure], Measure]:
    def register(measure: Measure) -> Measure:
        WORKLOADS[name] = Workload(name, unit, needs, measure, base)
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


def run_processes(*targets: Callable[[], None]) -> float:
    """Runs each target in a forked process of its own; returns the seconds from the moment when all
    were there to the end of the last."""
    go, set_go = os.pipe()
    children: dict[int, int] = {}
    try:
        for target in targets:
            told, tell = os.pipe()
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    os.write(tell, b"x")
                    os.read(go, 1)
                    target()
                    os.write(tell, b"x")
                    status = 0
                finally:
                    os._exit(status)
            os.close(tell)
            children[told] = pid
        hear(*children)
        begin = perf_counter()
        os.write(set_go, b"x" * len(targets))
        hear(*children)
        seconds = perf_counter() - begin
    except BaseException:
        for pid in children.values():
            os.kill(pid, signal.SIGKILL)
        raise
    finally:
        for end in (go, set_go, *children):
            os.close(end)
        statuses = [os.waitpid(pid, 0)[1] for pid in children.values()]
    if any(statuses):
        raise RuntimeError("a measured process failed")
    return seconds


def hear(*ends: int) -> None:
    """Waits until each process has said something at its end; one that has died closes it."""
    silent = set(ends)
    while silent:
        for end in select.select(silent, [], [])[0]:
            if not os.read(end, 1):
                raise RuntimeError("a measured process failed")
            silent.remove(end)


_MODULES = (
    "queues",
    "sync",
    "process_queues",
    "processes",
    "processes_sync",
    "pipes",
    "values",
    "pools",
    "managers",
    "greenlets",
    "ssh",
)

for _module in _MODULES:
    if find_spec(f"{__name__}.{_module}") is not None:
        import_module(f"{__name__}.{_module}")
