"""Arrays in queues between processes: copied once, used where they are."""

from __future__ import annotations

from typing import Any

import pytest
from manyhands import _native, multiprocessing
from shared_locks import finish

numpy = pytest.importorskip("numpy")

statistics = _native.multiprocessing.arena_statistics


def test_what_is_got_is_memory_of_its_own() -> None:
    items = multiprocessing.Queue()
    before = statistics()["blocks"]
    array = numpy.arange(100_000)
    items.put(array)
    items.put(array)
    first, second = items.get(), items.get()
    first += 1
    assert (second == array).all()
    assert (first == array + 1).all()
    assert statistics()["blocks"] == before + 2
    view = first[10:20]
    del first, second
    assert statistics()["blocks"] == before + 1
    assert view[0] == 11
    del view
    assert statistics()["blocks"] == before


def add_one(arrays: Any, sums: Any) -> None:
    while (array := arrays.get()) is not None:
        array += 1
        sums.put(array)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_large_arrays_go_from_process_to_process(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    to, back = context.Queue(), context.Queue()
    before = statistics()["blocks"]
    child = context.Process(target=add_one, args=(to, back))
    child.start()
    for kind in ("float64", "int16", "complex128"):
        array = numpy.arange(1_000_000).astype(kind).reshape(1000, 1000)
        for sent in (array, array.T, array[::3, 5:]):
            to.put(sent)
            got = back.get()
            assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
            assert (got == sent + 1).all()
            got += 1
        assert (array.ravel() == numpy.arange(1_000_000).astype(kind)).all(), "it is still ours"
    to.put(None)
    finish(child)
    del got
    assert statistics()["blocks"] == before
