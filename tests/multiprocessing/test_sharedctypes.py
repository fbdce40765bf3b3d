"""ctypes objects in shared memory, with and without a lock."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import weakref
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest
from manyhands import _native
from manyhands.multiprocessing import heap, sharedctypes
from manyhands.multiprocessing.sharedctypes import (
    Array,
    RawArray,
    RawValue,
    Synchronized,
    SynchronizedArray,
    SynchronizedBase,
    SynchronizedString,
    Value,
    copy,
    synchronized,
)
from support import in_fork, start_all


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_int))


class Watched:
    """A lock that counts."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.taken = 0
        self.depth = 0

    def acquire(self, *args: Any) -> bool:
        self.lock.acquire()
        self.taken += 1
        self.depth += 1
        return True

    def release(self) -> None:
        self.depth -= 1
        self.lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


CODES = "cbBhHiIlLqQfdu"


@pytest.mark.parametrize("code", CODES)
def test_what_is_new_is_zero(code: str) -> None:
    type_ = sharedctypes.typecode_to_type[code]
    # What was there before is gone, too.
    for _ in range(3):
        value = RawValue(code)
        assert type(value) is type_
        assert bytes(value) == bytes(ctypes.sizeof(type_))
        ctypes.memset(ctypes.addressof(value), 0xFF if code not in "u" else 1, ctypes.sizeof(type_))
        array = RawArray(type_, 1000)
        assert bytes(array) == bytes(1000 * ctypes.sizeof(type_))
        ctypes.memset(array, 1, ctypes.sizeof(array))
        del value, array


def test_values_and_arrays_are_initialised() -> None:
    assert RawValue("i", 5).value == 5
    assert RawValue(ctypes.c_double, 2.5).value == 2.5
    point = RawValue(Point, 1.5, 2)
    assert (point.x, point.y) == (1.5, 2)
    assert RawArray("h", [1, 2, 3])[:] == [1, 2, 3]
    assert RawArray("c", b"abc").value == b"abc"
    assert [p.y for p in RawArray(Point, [(1, 2), (3, 4)])] == [2, 4]
    assert len(RawArray("i", 0)) == 0
    assert RawArray("i", range(4))[-1] == 3
    with pytest.raises(ValueError, match="0"):
        RawArray("i", -1)
    with pytest.raises(TypeError):
        RawValue("i", "five")


def test_without_lock_there_is_no_wrapper() -> None:
    assert type(Value("i", 3, lock=False)) is ctypes.c_int
    assert isinstance(Array("i", 3, lock=False), ctypes.Array)
    with pytest.raises(AttributeError, match="no method 'acquire'"):
        Value("i", lock=5)
    with pytest.raises(AttributeError, match="no method 'acquire'"):
        Array("i", 3, lock="lock")


def test_a_synchronized_value_is_used_under_its_lock() -> None:
    lock = Watched()
    value = Value("i", 5, lock=lock)
    assert type(value) is Synchronized
    assert value.get_lock() is lock
    assert value.get_lock() is value._lock
    assert type(value.get_obj()) is ctypes.c_int
    assert value.get_obj() is value._obj
    assert value.value == 5
    assert (lock.taken, lock.depth) == (1, 0)
    value.value += 1
    assert (lock.taken, lock.depth) == (3, 0)
    with value:
        assert lock.depth == 1
        value.value *= 2
    assert lock.depth == 0
    value.acquire()
    assert lock.depth == 1
    value.release()
    assert value.get_obj().value == 12
    assert repr(value) == "<Synchronized wrapper for c_int(12)>"
    with pytest.raises(TypeError):
        value.value = "x"
    assert lock.depth == 0
    with pytest.raises(AttributeError):
        value.missing  # noqa: B018
    with pytest.raises(AttributeError):
        del value.value


def test_a_synchronized_array_is_used_under_its_lock() -> None:
    lock = Watched()
    array = Array("i", range(5), lock=lock)
    assert type(array) is SynchronizedArray
    assert len(array) == 5
    assert lock.taken == 0
    assert array[0] == 0
    assert array[-1] == 4
    assert array[1:3] == [1, 2]
    array[1] = 7
    array[2:4] = [8, 9]
    assert lock.taken == 5
    assert list(array) == [0, 7, 8, 9, 4]
    for wrong in (5, -6, "x"):
        with pytest.raises((IndexError, TypeError)):
            array[wrong]
    assert lock.depth == 0
    with pytest.raises(IndexError):
        array[5] = 1
    with pytest.raises(TypeError):
        array[0] = "x"
    assert lock.depth == 0
    assert repr(array).startswith("<SynchronizedArray wrapper for <")


def test_a_synchronized_string_has_a_value_too() -> None:
    lock = Watched()
    string = Array("c", 10, lock=lock)
    assert type(string) is SynchronizedString
    string.value = b"hello"
    assert string.value == b"hello"
    assert string.raw == b"hello" + bytes(5)
    assert string[0] == b"h"
    assert lock.taken == 4


def test_structures_have_their_fields() -> None:
    lock = Watched()
    point = Value(Point, 1, 2, lock=lock)
    assert type(point).__name__ == "SynchronizedPoint"
    assert isinstance(point, SynchronizedBase)
    assert (point.x, point.y) == (1.0, 2)
    point.x = 5
    assert point.get_obj().x == 5.0
    assert lock.taken == 3
    assert type(Value(Point, lock=lock)) is type(point)


def test_a_lock_that_cannot_be_had_lets_nobody_in() -> None:
    class Refuses:
        def acquire(self) -> None:
            raise RuntimeError("no")

        def release(self) -> None:
            raise AssertionError

    value = Value("i", 5, lock=Refuses())
    with pytest.raises(RuntimeError, match="no"):
        value.value = 6
    assert value.get_obj().value == 5


def test_copies_are_of_their_own() -> None:
    point = RawValue(Point, 1, 2)
    other = copy(point)
    point.x = 10
    assert (other.x, other.y) == (1.0, 2)
    assert copy(RawArray("i", [1, 2]))[:] == [1, 2]


def test_nothing_is_synchronized_twice() -> None:
    with pytest.raises(AssertionError, match="already synchronized"):
        synchronized(Value("i", lock=threading.RLock()), threading.RLock())


def test_wrappers_can_be_subclassed() -> None:
    class Counter(Synchronized):
        def __init__(self, start: int) -> None:
            super().__init__(RawValue("i", start), threading.RLock())
            self.label = "counter"

        def increment(self) -> int:
            with self.get_lock():
                self.value += 1
                return self.value

    counter = Counter(4)
    assert counter.increment() == 5
    assert counter.label == "counter"
    assert weakref.ref(counter)() is counter


def test_only_children_that_are_started_get_one() -> None:
    lock = threading.RLock()
    for shared in (
        RawValue("i"),
        RawArray("i", 3),
        Value("i", lock=lock),
        Array("i", 3, lock=lock),
        heap.BufferWrapper(3),
    ):
        for pickle in (ForkingPickler.dumps, _native.multiprocessing.encode):
            with pytest.raises(RuntimeError, match="should only be shared between processes"):
                pickle(shared)


def test_threads_do_not_lose_increments() -> None:
    value = Value("i", lock=threading.RLock())
    array = Array("i", 2, lock=threading.RLock())

    def work() -> None:
        for _ in range(2000):
            with value.get_lock():
                value.value += 1
            with array:
                array[1] += 1

    for hand in start_all([work] * 4):
        hand.result()
    assert value.value == 8000
    assert array[:] == [0, 8000]


def test_a_forked_child_shares_the_memory() -> None:
    value = RawValue("q")
    array = RawArray("d", 100_000)
    pointer = ctypes.pointer(array)

    def child() -> None:
        value.value = os.getpid()
        pointer[0][99_999] = 2.5

    in_fork(child)
    assert value.value not in (0, os.getpid())
    assert array[99_999] == 2.5


def statistics() -> dict[str, int]:
    gc.collect()
    result: dict[str, int] = _native.multiprocessing.arena_statistics()
    return result


def test_memory_lives_as_long_as_what_lies_in_it() -> None:
    before = statistics()
    array = RawArray("i", 1_000_000)
    pointer = ctypes.cast(array, ctypes.POINTER(ctypes.c_int))
    view = memoryview(array).cast("B")
    assert statistics()["bytes"] >= before["bytes"] + 4_000_000
    array[999_999] = 5
    del array
    assert view[4 * 999_999] == 5
    view.release()
    assert pointer[999_999] == 5
    del view, pointer
    assert statistics()["bytes"] == before["bytes"]


def test_what_cannot_be_had_is_an_error() -> None:
    with pytest.raises((OSError, MemoryError)):
        RawArray("d", 1 << 44)
    for wrong, error in ((-1, ValueError), (1 << 63, OverflowError)):
        with pytest.raises(error):
            heap.BufferWrapper(wrong)
    assert len(heap.BufferWrapper(0).create_memoryview()) == 0
    assert len(heap.BufferWrapper(5).create_memoryview()) == 5


@pytest.mark.parametrize("make", [lambda: RawValue("i"), lambda: RawArray("i", 10)])
def test_memory_is_used_again(make: Callable[[], Any]) -> None:
    for _ in range(3):
        make()
    before = statistics()
    for _ in range(1000):
        make()
    after = statistics()
    assert after["blocks"] == before["blocks"]
    assert after["resident"] == before["resident"]
