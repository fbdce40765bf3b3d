"""What has no encoding of its own is pickled, as the standard library's queues pickle it."""

from __future__ import annotations

import array
import copyreg
import decimal
import gc
import multiprocessing.reduction
import pickle
import threading
import weakref
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest
from manyhands import _native
from support import start_all

encode = _native.multiprocessing.encode
decode = _native.multiprocessing.decode


def there_and_back(value: Any) -> Any:
    return decode(*encode(value))


class Plain:
    def __init__(self, value: Any = None) -> None:
        self.value = value


class Reduced:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: int) -> Any:
        return Reduced, (protocol,)


class Foreign:
    pass


class Nested:
    """Encodes something else while it is encoded."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def __reduce__(self) -> Any:
        inner = there_and_back(Nested(self.depth - 1)) if self.depth else None
        return list, ([self.depth, inner, bytes(9000)],)


class Refuses:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __getstate__(self) -> Any:
        raise LookupError("not me")


class Buffered:
    """Gives its buffer away, as an array does."""

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer

    def __reduce_ex__(self, protocol: int) -> Any:
        return Buffered, (pickle.PickleBuffer(self.buffer),)


def test_objects_are_pickled_with_their_state() -> None:
    shared = [1]
    result = there_and_back([Plain(shared), Plain(shared)])
    assert result[0].value == [1]
    assert result[0].value is result[1].value
    assert there_and_back(Reduced(1)).value == 5
    assert there_and_back(decimal.Decimal("1.10")) == decimal.Decimal("1.10")
    assert there_and_back(array.array("d", range(10_000))) == array.array("d", range(10_000))


def test_what_cannot_be_pickled_gives_the_error_of_pickle() -> None:
    def local() -> None: ...

    for value in (lambda: 1, local, threading.Lock(), (n for n in "ab"), Plain(lambda: 1)):
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError)) as theirs:
            ForkingPickler.dumps(value, 5)
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError)) as ours:
            encode(value)
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value) == str(theirs.value)


def test_an_error_leaves_nothing_behind() -> None:
    kept = Plain()
    kept_weakly = weakref.ref(kept)
    with pytest.raises(LookupError, match="not me"):
        encode([kept, bytes(10_000), Refuses(kept)])
    del kept
    gc.collect()
    assert kept_weakly() is None
    assert there_and_back([1, Plain(2)])[1].value == 2


def test_nothing_is_kept_of_what_was_encoded() -> None:
    value = Plain(bytearray(10_000))
    encode(value)
    encode([value, 1])
    watched = weakref.ref(value)
    del value
    assert watched() is None


def test_what_is_registered_later_is_seen() -> None:
    with pytest.raises(LookupError):
        encode(Refuses(1))
    copyreg.pickle(Refuses, lambda refuses: (Plain, (refuses.value,)))
    try:
        result = there_and_back(Refuses(1))
        assert type(result) is Plain
        ForkingPickler.register(Refuses, lambda refuses: (Reduced, ("forking",)))
        try:
            result = there_and_back(Refuses(1))
            assert type(result) is Reduced
        finally:
            del ForkingPickler._extra_reducers[Refuses]
    finally:
        del copyreg.dispatch_table[Refuses]
    with pytest.raises(LookupError):
        encode(Refuses(1))


def test_what_only_forking_pickler_knows_is_known() -> None:
    method = Plain(5).__init__
    result = there_and_back(method)
    result(6)
    assert result.__self__.value == 6
    # A method of a built-in class, for which copyreg has nothing.
    assert there_and_back(str.upper)("a") == "A"
    assert multiprocessing.reduction.ForkingPickler is ForkingPickler


def test_encoding_while_encoding_is_fine() -> None:
    result = there_and_back(Nested(4))
    for depth in (4, 3, 2, 1, 0):
        assert result[0] == depth
        assert result[2] == bytes(9000)
        result = result[1]
    assert result is None


def test_threads_encode_at_the_same_time() -> None:
    def work() -> None:
        for n in range(300):
            value = {"n": n, "more": [Plain(n), bytes(9000)]}
            result = there_and_back(value)
            assert result["more"][0].value == n

    for hand in start_all([work] * 4):
        hand.result()


def test_a_list_that_changes_meanwhile_does_no_harm() -> None:
    value: list[Any] = [[n] for n in range(1000)]
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            value.append([1])
            value[:10] = [[n] for n in range(10)]
            del value[1000:]

    (hand,) = start_all([change])
    try:
        for _ in range(200):
            assert len(there_and_back(value)) >= 990
    finally:
        done.set()
        hand.result()


@pytest.mark.parametrize("size", [0, 10, 4095])
def test_small_buffers_are_in_the_pickle(size: int) -> None:
    head, buffers = encode(Buffered(bytearray(size)))
    assert not buffers
    result = decode(head, buffers)
    assert result.buffer == bytearray(size)
    assert type(result.buffer) is bytearray


@pytest.mark.parametrize("writable", [False, True])
def test_large_buffers_are_mapped_and_as_writable_as_they_were(writable: bool) -> None:
    content = bytearray(b"abc" * 5000) if writable else b"abc" * 5000
    head, buffers = encode([Buffered(content), bytes(100_000)])
    assert len(head) < 300_000
    assert buffers[0].readonly is not writable
    result = decode(head, buffers)[0].buffer
    assert isinstance(result, memoryview)
    assert result == content
    assert result.readonly is not writable
    if writable:
        result[0] = 7
        assert buffers[0][0] == 7, "it was copied"


def test_a_buffer_lives_as_long_as_its_object() -> None:
    head, buffers = encode(Buffered(bytearray(b"x" * 10_000)))
    memory = bytearray(buffers[0])
    result = decode(head, [memory])
    with pytest.raises(BufferError):
        memory.append(1)
    view = result.buffer[10:20]
    del result
    gc.collect()
    assert bytes(view) == b"x" * 10
    with pytest.raises(BufferError):
        memory.append(1)
    del view
    gc.collect()
    memory.append(1)


def test_a_source_of_a_payload_can_be_resized_again_afterwards() -> None:
    content = bytearray(10_000)
    encode(content)
    encode(Buffered(content))
    content.append(1)


def test_large_pickles_are_payloads() -> None:
    value = [Plain(n) for n in range(3000)]
    value.append(value)
    head, buffers = encode([value, Buffered(bytes(5000))])
    assert len(head) == 1
    assert len(buffers[0]) == 5000
    result = decode(head, buffers)
    assert [plain.value for plain in result[0][:-1]] == list(range(3000))
    assert result[0][-1] is result[0]
    assert bytes(result[1].buffer) == bytes(5000)
