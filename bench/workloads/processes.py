"""Starting processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

from bench.workloads import workload

#: A main module that imports what many do; the one of all else here imports next to nothing.
USUAL_SCRIPT = Path(__file__).parents[1] / "usual_script.py"

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

    @workload(f"processes: start and join in a usual script, {method}", "process", *NEEDS)
    def usual_script(of: SimpleNamespace) -> tuple[int, float]:
        command = [sys.executable, USUAL_SCRIPT, of.multiprocessing.__name__, method, str(count)]
        said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        told = json.loads(said)
        return told["count"], told["seconds"]


for _method, _count in STARTS.items():
    _define(_method, _count)
