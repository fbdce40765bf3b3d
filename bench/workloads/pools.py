"""Pools of processes, executors, and pools of threads, each of two workers."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from bench import tasks
from bench.workloads import workload

#: How many pools are started by each start method.
STARTS = {"fork": 4, "forkserver": 3, "spawn": 2}

#: For the workers to be there when the measurement begins.
WARM_UP = range(4)


def _pooled(of: SimpleNamespace, way: str, task: Any, items: Sequence[Any], *args: int):
    """Measures one method of a pool, which has been used in that way before."""
    with of.Pool("fork") as pool:
        call = getattr(pool, way)
        call(tasks.nothing, WARM_UP, *args)
        begin = perf_counter()
        results = call(task, items, *args)
        seconds = perf_counter() - begin
    return _all(items, results), seconds


def _all(items: Sequence[Any], results: list[Any]) -> int:
    if len(results) != len(items):
        raise RuntimeError(f"{len(results)} results of {len(items)} items")
    return len(items)


def _no_op(name: str, unit: str, way: str, count: int, *args: int) -> None:
    @workload(f"pool: {name}", unit, f"Pool.{way}")
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        return _pooled(of, way, tasks.nothing, range(count), *args)


_no_op("map of a no-op, 100k, default chunks", "item", "map", 100_000)
_no_op("map, chunks of 100", "item", "map_chunks", 50_000, 100)
_no_op("imap, one by one", "item", "imap", 5_000)
_no_op("imap_unordered, one by one", "item", "imap_unordered", 5_000)
_no_op("apply, round trip", "call", "apply", 1_000)
_no_op("apply_async x 20k, then get", "call", "apply_async", 20_000)


@workload("pool: tasks of 1 ms, one by one", "task", "Pool.map_chunks")
def busy(of: SimpleNamespace) -> tuple[int, float]:
    return _pooled(of, "map_chunks", tasks.busy, range(200), 1)


def _arrays(name: str, task: Any, mebibytes: int, count: int) -> None:
    @workload(f"pool: map of arrays of {mebibytes} MiB to {name}", "array", "Pool.map_chunks")
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        import numpy

        # Arrays of their own, as pickle writes one that is twice in a chunk only once.
        arrays = [numpy.full(mebibytes << 17, float(number)) for number in range(count)]
        return _pooled(of, "map_chunks", task, arrays, 1)


@workload("pool: map of one array of 16 MiB and numbers to a float", "call", "Pool.map_chunks")
def same_array(of: SimpleNamespace) -> tuple[int, float]:
    import numpy

    array = numpy.full(16 << 17, 1.0)
    return _pooled(of, "map_chunks", tasks.total_and, [(array, each) for each in range(64)], 1)


_arrays("a float", tasks.total, 1, 60)
_arrays("a float", tasks.total, 16, 6)
_arrays("an array of 1 MiB", tasks.plus_one, 1, 40)


def _start(method: str, count: int) -> None:
    @workload(f"pool: Pool(2), start to first result to join, {method}", "pool", "Pool.apply")
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        _use_once(of, method)
        begin = perf_counter()
        for _ in range(count):
            _use_once(of, method)
        return count, perf_counter() - begin


def _use_once(of: SimpleNamespace, method: str) -> None:
    with of.Pool(method) as pool:
        pool.apply(tasks.nothing, range(1))


for _method, _count in STARTS.items():
    _start(_method, _count)


def _submit(kind: str, needs: str, count: int, trips: int) -> None:
    @workload(f"{kind}: submit x {count // 1000}k, then results", "call", needs)
    def at_once(of: SimpleNamespace) -> tuple[int, float]:
        with getattr(of, needs)() as executor:
            list(executor.map(tasks.nothing, WARM_UP))
            submit = executor.submit
            begin = perf_counter()
            futures = [submit(tasks.nothing, number) for number in range(count)]
            for future in futures:
                future.result()
            return count, perf_counter() - begin

    @workload(f"{kind}: submit, round trip", "call", needs)
    def round_trip(of: SimpleNamespace) -> tuple[int, float]:
        with getattr(of, needs)() as executor:
            list(executor.map(tasks.nothing, WARM_UP))
            submit = executor.submit
            begin = perf_counter()
            for number in range(trips):
                submit(tasks.nothing, number).result()
            return trips, perf_counter() - begin


_submit("executor", "ProcessExecutor", 20_000, 1_000)
_submit("threads", "ThreadExecutor", 20_000, 5_000)


@workload("executor: map, chunksize 1", "item", "ProcessExecutor")
def executor_map(of: SimpleNamespace) -> tuple[int, float]:
    items = range(4_000)
    with of.ProcessExecutor() as executor:
        list(executor.map(tasks.nothing, WARM_UP))
        begin = perf_counter()
        results = list(executor.map(tasks.nothing, items))
        seconds = perf_counter() - begin
    return _all(items, results), seconds


@workload("threads: ThreadPool.imap", "item", "ThreadPool")
def thread_pool(of: SimpleNamespace) -> tuple[int, float]:
    items = range(20_000)
    pool = of.ThreadPool()
    list(pool.imap(tasks.nothing, WARM_UP))
    begin = perf_counter()
    results = list(pool.imap(tasks.nothing, items))
    seconds = perf_counter() - begin
    pool.close()
    pool.join()
    return _all(items, results), seconds
