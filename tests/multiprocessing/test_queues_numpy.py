"""Arrays in queues between processes: copied once, used where they are."""

from __future__ import annotations

import pytest
from manyhands import _native, multiprocessing

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
