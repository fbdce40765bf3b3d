"""Shared ctypes objects and segments in children, however these are started."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing.heap import BufferWrapper
from manyhands.multiprocessing.shared_memory import ShareableList, SharedMemory
from shared_locks import finish

METHODS = ["fork", "spawn", "forkserver"]
pytestmark = pytest.mark.patience(180)

COUNT = 2000


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_int))


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def run(context: Any, target: Any, *args: Any, processes: int = 1) -> None:
    started = [context.Process(target=target, args=args) for _ in range(processes)]
    for process in started:
        process.start()
    for process in started:
        finish(process)


def double(number: Any, point: Any, array: Any, text: Any, raw: Any) -> None:
    number.value *= 2
    point.x *= 2
    for index in range(len(array)):
        array[index] *= 2
    text.value *= 2
    raw[len(raw) - 1] *= 2


@pytest.mark.parametrize("lock", [True, False])
def test_a_child_shares_values_and_arrays(context: Any, lock: bool) -> None:
    number = context.Value("q", 2**40, lock=lock)
    point = context.Value(Point, 1.5, 2, lock=lock)
    array = context.Array("d", range(10), lock=lock)
    text = context.Array("c", 10, lock=lock)
    text.value = b"ab"
    raw = context.RawArray("i", [0] * 100_000 + [3])
    run(context, double, number, point, array, text, raw)
    assert number.value == 2**41
    assert (point.x, point.y) == (3.0, 2)
    assert array[:] == [2.0 * index for index in range(10)]
    assert text.value == b"abab"
    assert raw[100_000] == 6


def increment(value: Any, array: Any) -> None:
    for _ in range(COUNT):
        with value.get_lock():
            value.value += 1
        with array:
            array[1] += 1


def test_no_increment_is_lost(context: Any) -> None:
    value, array = context.Value("i"), context.Array("i", 2)
    run(context, increment, value, array, processes=4)
    assert value.value == 4 * COUNT
    assert array[:] == [0, 4 * COUNT]


def pass_on(context_name: str, value: Any) -> None:
    run(multiprocessing.get_context(context_name), set_to_pid, value)


def set_to_pid(value: Any) -> None:
    assert value.value == 5
    value.value = os.getpid()


def test_a_grandchild_shares_as_well(context: Any) -> None:
    value = context.Value("q", 5)
    run(context, pass_on, context.get_start_method(), value)
    assert value.value not in (5, os.getpid())


def write(block: Any) -> None:
    block.create_memoryview()[:3] = b"abc"


def test_a_child_has_a_block_of_the_heap(context: Any) -> None:
    block = BufferWrapper(10)
    run(context, write, block)
    assert bytes(block.create_memoryview()) == b"abc" + bytes(7)


def fill(segment: SharedMemory, name: str, items: Any) -> None:
    again = SharedMemory(name)
    again.buf[:3] = b"xyz"
    again.close()
    assert bytes(segment.buf[:3]) == b"xyz"
    segment.buf[3] = 7
    segment.close()
    items[1] = "changed"
    items.shm.close()


def test_a_child_attaches_to_segments(context: Any) -> None:
    segment = SharedMemory(create=True, size=10)
    items = ShareableList([1, "a string", None])
    try:
        run(context, fill, segment, segment.name, items)
        # The child's end has ended nothing.
        assert os.path.exists(f"/dev/shm/{segment.name}")
        assert bytes(segment.buf[:4]) == b"xyz\x07"
        assert items[1] == "changed"
    finally:
        for each in (segment, items.shm):
            each.close()
            each.unlink()


def create(names: Any) -> None:
    segment = SharedMemory(create=True, size=10)
    segment.buf[0] = 7
    names.value = segment.name.encode()


def test_what_a_child_created_outlives_it(context: Any) -> None:
    name = context.Array("c", 100)
    run(context, create, name)
    segment = SharedMemory(name.value.decode())
    assert segment.buf[0] == 7
    segment.close()
    segment.unlink()
