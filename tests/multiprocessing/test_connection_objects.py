"""What objects become on their way through a connection."""

from __future__ import annotations

import gc
import io
import pickle
import threading
from types import ModuleType
from typing import Any

import pytest
from connections import both, ends, ours
from support import Hand

__all__ = ["ends"]


OBJECTS: list[Any] = [
    None,
    True,
    0,
    -(1 << 100),
    2.5,
    "text",
    "\udc80",
    b"",
    [],
    {},
    (1, [2, {"three": {4}}], "five" * 1000),
    [b"large" * 100_000, bytearray(b"changing" * 100_000), "text" * 100_000],
    range(10),
    io.UnsupportedOperation("an exception"),
    len,
    int.__add__,
    "text".upper,
]


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: repr(value)[:20])
def test_objects(ends: Any, value: Any) -> None:
    reader, writer = ends
    sending = Hand(writer.send, value)
    got = reader.recv()
    sending.result()
    if isinstance(value, Exception):
        assert type(got) is type(value)
        assert got.args == value.args
    elif callable(value) and not isinstance(value, type):
        assert getattr(got, "__name__", None) == value.__name__
    else:
        assert got == value
        assert type(got) is type(value)


def test_pickles_are_the_standard_librarys(ends: Any) -> None:
    reader, writer = ends
    for value in OBJECTS:
        sending = Hand(writer.send, value)
        message = reader.recv_bytes()
        sending.result()
        assert message == bytes(ours._ForkingPickler.dumps(value))


def test_an_object_is_let_go_of_when_it_was_sent(ends: Any) -> None:
    import weakref

    reader, writer = ends
    value = Registered("x")
    gone = weakref.ref(value)
    ours._ForkingPickler.register(Registered, _reduce_registered)
    writer.send([value, value])
    del value
    gc.collect()
    assert gone() is None
    first, second = reader.recv()
    assert first is second
    assert first.how == "forking x"


class Registered:
    def __init__(self, how: str) -> None:
        self.how = how


def _reduce_registered(value: Registered) -> Any:
    return Registered, (f"forking {value.how}",)


def _reduce_otherwise(value: Registered) -> Any:
    return Registered, (f"otherwise {value.how}",)


def test_reducers_that_are_registered_at_any_time_count(ends: Any) -> None:
    import copyreg

    reader, writer = ends

    class_ = type("Late", (Registered,), {"__module__": __name__})
    globals()["Late"] = class_

    def through() -> str:
        writer.send(class_("x"))
        got = reader.recv()
        return str(got.how)

    try:
        assert through() == "x"
        copyreg.pickle(class_, _reduce_otherwise)
        assert through() == "otherwise x"
        ours._ForkingPickler.register(class_, _reduce_registered)
        assert through() == "forking x"
        ours._ForkingPickler.register(class_, _reduce_otherwise)
        assert through() == "otherwise x"
    finally:
        del globals()["Late"]
        copyreg.dispatch_table.pop(class_, None)
        ours._ForkingPickler._extra_reducers.pop(class_, None)


class SendsWhilePickled:
    def __init__(self, writer: Any) -> None:
        self.writer = writer

    def __reduce__(self) -> Any:
        self.writer.send("from inside")
        return str, ("outside",)


def test_an_object_may_send_while_it_is_pickled(ends: Any) -> None:
    reader, writer = ends
    writer.send(SendsWhilePickled(writer))
    assert reader.recv() == "from inside"
    assert reader.recv() == "outside"


@both
def test_what_cannot_be_pickled_is_not_sent(module: ModuleType) -> None:
    reader, writer = module.Pipe()
    with reader, writer:
        for _ in range(2):
            with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
                writer.send([1, lambda: 0])
        with pytest.raises(TypeError, match="cannot pickle"):
            writer.send(threading.Lock())
        writer.send("afterwards")
        assert reader.recv() == "afterwards"


def test_what_is_broken_when_it_is_unpickled_leaves_the_next_message(ends: Any) -> None:
    reader, writer = ends
    for broken in (b"no pickle", b"no pickle" * 10_000):
        sending = Hand(writer.send_bytes, broken)
        with pytest.raises((pickle.UnpicklingError, ValueError, KeyError, EOFError)):
            reader.recv()
        sending.result()
    writer.send("next")
    assert reader.recv() == "next"
