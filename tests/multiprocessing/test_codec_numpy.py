"""Arrays of numpy arrive as they were, and without a copy."""

from __future__ import annotations

from typing import Any

import pytest
from manyhands import _native

numpy = pytest.importorskip("numpy")

encode = _native.multiprocessing.encode
decode = _native.multiprocessing.decode

BASE = numpy.arange(120_000, dtype="f8").reshape(300, 400)


def readonly(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [
        BASE,
        numpy.asfortranarray(BASE),
        BASE[::2, ::3],
        BASE.T,
        BASE[:10],
        BASE[5:5],
        numpy.zeros((0, 3)),
        numpy.array(5.0),
        readonly(BASE),
        numpy.arange(3),
        numpy.array([1, "a", None, [2]], dtype=object),
        numpy.arange(50_000).astype("M8[s]"),
        numpy.zeros(1000, dtype=[("a", "i4"), ("b", "U5")]),
        numpy.float32(1.5),
    ],
    ids=lambda array: f"{array.dtype} {array.shape} {array.flags.f_contiguous}",
)
def test_an_array_arrives_as_it_was(array: Any) -> None:
    for value in (array, [array], {"a": (array, 1)}):
        result = decode(*encode(value))
        while not isinstance(result, (numpy.ndarray, numpy.generic)):
            result = result["a"][0] if isinstance(result, dict) else result[0]
        assert result.dtype == array.dtype
        assert result.shape == array.shape
        assert numpy.array_equal(result, array)
        assert result.flags.writeable == array.flags.writeable


def test_an_array_is_used_where_it_lies() -> None:
    head, buffers = encode(BASE)
    assert len(head) < 500
    result = decode(head, buffers)
    result[0, 0] = 42
    assert numpy.frombuffer(buffers[0], "f8")[0] == 42


def test_two_names_of_one_array_stay_one() -> None:
    first, second = decode(*encode([BASE, BASE]))
    assert first is second
