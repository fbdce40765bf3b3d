"""Shared values: what they cost in the process that uses them."""

from __future__ import annotations

from time import perf_counter
from types import SimpleNamespace

from bench.workloads import workload

COUNT = 50_000


@workload("values: Value += 1 under its lock", "increment", "multiprocessing")
def value_increment(of: SimpleNamespace) -> tuple[int, float]:
    value = of.multiprocessing.Value("i", 0)
    begin = perf_counter()
    for _ in range(COUNT):
        with value.get_lock():
            value.value += 1
    seconds = perf_counter() - begin
    assert value.value == COUNT
    return COUNT, seconds


@workload("values: Value get", "get", "multiprocessing")
def value_get(of: SimpleNamespace) -> tuple[int, float]:
    value = of.multiprocessing.Value("d", 2.5)
    begin = perf_counter()
    for _ in range(COUNT):
        value.value  # noqa: B018
    return COUNT, perf_counter() - begin


@workload("values: Array set+get", "pair", "multiprocessing")
def array_set_get(of: SimpleNamespace) -> tuple[int, float]:
    array = of.multiprocessing.Array("d", 100)
    begin = perf_counter()
    for number in range(COUNT):
        array[number % 100] = 2.5
        array[number % 100]
    return COUNT, perf_counter() - begin


@workload("values: Value new", "object", "multiprocessing")
def value_new(of: SimpleNamespace) -> tuple[int, float]:
    make = of.multiprocessing.Value
    count = COUNT // 25
    begin = perf_counter()
    for _ in range(count):
        make("i", 0)
    return count, perf_counter() - begin


def _segments(of: SimpleNamespace, data: bytes) -> tuple[int, float]:
    make = of.SharedMemory
    count = COUNT // 100
    begin = perf_counter()
    for _ in range(count):
        segment = make(create=True, size=64 << 10)
        segment.buf[: len(data)] = data
        segment.close()
        segment.unlink()
    return count, perf_counter() - begin


@workload("values: SharedMemory create+close+unlink, 64 KiB", "segment", "SharedMemory")
def segment(of: SimpleNamespace) -> tuple[int, float]:
    return _segments(of, b"")


@workload("values: SharedMemory create+fill+close+unlink, 64 KiB", "segment", "SharedMemory")
def filled_segment(of: SimpleNamespace) -> tuple[int, float]:
    return _segments(of, bytes(64 << 10))
