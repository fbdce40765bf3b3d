"""Queues between processes."""

from __future__ import annotations

from time import perf_counter
from types import SimpleNamespace
from typing import Any

from bench.workloads import run_processes, workload

#: How many items go through a queue; of eight processes on few processors, enough for what it takes
#: to wake each of them and to hear of its end not to matter.
ITEMS = {1: 40_000, 4: 200_000}
ROUND_TRIPS = 1_000

SMALL = {
    "int": 12345,
    "str of 64": "x" * 64,
    "None": None,
    "tuple": (1, "two", 3.0),
    "dict": {"id": 7, "name": "seven", "tags": ["a", "b"]},
}


def _through(of: SimpleNamespace, item: object, count: int, many: int) -> tuple[int, float]:
    queue = of.ProcessQueue()

    def produce() -> None:
        put = queue.put
        for _ in range(count // many):
            put(item)
        _flush(queue)

    def consume() -> None:
        get = queue.get
        for _ in range(count // many):
            get()

    return count, run_processes(*[produce] * many, *[consume] * many)


def _flush(queue: Any) -> None:
    """Waits for the feeder thread of the stdlib's queue, as a process does at its end; but these
    end with os._exit()."""
    if hasattr(queue, "join_thread"):
        queue.close()
        queue.join_thread()


def _small(name: str, item: object, many: int) -> None:
    @workload(f"mp queue: {name}, {many}P{many}C", "item", "ProcessQueue")
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        return _through(of, item, ITEMS[many], many)


for _name, _item in SMALL.items():
    _small(_name, _item, 1)
for _name in ("int", "str of 64", "tuple"):
    _small(_name, SMALL[_name], 4)


@workload("mp queue: 1 MiB of bytes, 1P1C", "item", "ProcessQueue")
def megabyte(of: SimpleNamespace) -> tuple[int, float]:
    return _through(of, b"x" * (1 << 20), 100, 1)


@workload("mp queue: array of 8 MB, 1P1C", "item", "ProcessQueue")
def array(of: SimpleNamespace) -> tuple[int, float]:
    import numpy

    return _through(of, numpy.arange(1e6), 20, 1)


@workload("mp queue: round trip", "round trip", "RoundTripQueue")
def round_trip(of: SimpleNamespace) -> tuple[int, float]:
    there, back = of.RoundTripQueue(), of.RoundTripQueue()

    def answer() -> None:
        for _ in range(ROUND_TRIPS):
            back.put(there.get())
        _flush(back)

    def ask() -> None:
        for _ in range(ROUND_TRIPS):
            there.put(1)
            back.get()

    return ROUND_TRIPS, run_processes(ask, answer)


@workload("mp queue: new and close", "object", "multiprocessing")
def create(of: SimpleNamespace) -> tuple[int, float]:
    context, count = of.multiprocessing.get_context("fork"), 200
    begin = perf_counter()
    for _ in range(count):
        context.Queue().close()
    return count, perf_counter() - begin
