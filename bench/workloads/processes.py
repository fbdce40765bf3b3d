"""Starting processes."""

from __future__ import annotations

import os
from time import perf_counter
from types import SimpleNamespace

from bench.workloads import workload

#: How many processes are started by each start method.
STARTS = {"fork": 100, "forkserver": 60, "spawn": 20}

AT_ONCE = 40

NEEDS = ("multiprocessing",)


def _context(of: SimpleNamespace, method: str):
    """The context of a start method, which has started a process before."""
    context = of.multiprocessing.get_context(method)
    _start_and_join(context, 1)
    return context


def _start_and_join(context, count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        process = context.Process(target=os.getpid)
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a started process failed: {process.exitcode}")
    return perf_counter() - begin


def _define(method: str, count: int) -> None:
    @workload(f"processes: start and join, {method}", "process", *NEEDS)
    def one_by_one(of: SimpleNamespace) -> tuple[int, float]:
        return count, _start_and_join(_context(of, method), count)

    @workload(f"processes: {AT_ONCE} at once, {method}", "process", *NEEDS)
    def at_once(of: SimpleNamespace) -> tuple[int, float]:
        context = _context(of, method)
        processes = [context.Process(target=os.getpid) for _ in range(AT_ONCE)]
        begin = perf_counter()
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return AT_ONCE, perf_counter() - begin


for _method, _count in STARTS.items():
    _define(_method, _count)
