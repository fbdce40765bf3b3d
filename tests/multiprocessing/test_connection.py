"""One connection after the other: messages, arguments, errors, closing."""

from __future__ import annotations

import array
import gc
import os
import socket
import struct
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
from connections import both, ends, ours, stdlib
from support import Hand

__all__ = ["ends"]


SIZES = [0, 1, 64, 4096, 16384, 16385, 32768, 32769, 65536, 1 << 20, 5_000_000, 64 << 20]


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_all_sizes(ends: Any, size: int) -> None:
    reader, writer = ends
    message = os.urandom(min(size, 4096)) * (size // 4096) if size > 4096 else os.urandom(size)
    sending = Hand(writer.send_bytes, message)
    assert reader.recv_bytes() == message
    sending.result()
    sending = Hand(writer.send, message)
    assert reader.recv() == message
    sending.result()
    target = bytearray(len(message) + 3)
    sending = Hand(writer.send_bytes, message)
    assert reader.recv_bytes_into(target, 3) == len(message)
    assert target == b"\0\0\0" + message
    sending.result()


@both
def test_parts_of_a_buffer(module: ModuleType) -> None:
    reader, writer = module.Pipe()
    with reader, writer:
        letters = b"abcdefghijklmnopqrstuvwxyz"
        for buffer in (letters, bytearray(letters), memoryview(letters)):
            for arguments, part in [
                ((), letters),
                ((5,), letters[5:]),
                ((7, 8), letters[7:15]),
                ((26,), b""),
                ((26, 0), b""),
                ((0, None), letters),
            ]:
                writer.send_bytes(buffer, *arguments)
                assert reader.recv_bytes() == part
            writer.send_bytes(buf=buffer, offset=1, size=2)
            assert reader.recv_bytes() == b"bc"
            for wrong, why in [
                ((27,), "buffer length < offset"),
                ((22, 5), "buffer length < offset"),
                ((26, 1), "buffer length < offset"),
                ((-1,), "offset is negative"),
                ((4, -1), "size is negative"),
            ]:
                with pytest.raises(ValueError, match=why):
                    writer.send_bytes(buffer, *wrong)
        numbers = array.array("i", range(4))
        writer.send_bytes(numbers)
        assert reader.recv_bytes() == numbers.tobytes()
        with pytest.raises(TypeError):
            writer.send_bytes("text")
        assert not reader.poll()


def test_a_buffer_with_gaps(ends: Any) -> None:
    """Only CPython 3.10 takes those, too."""
    reader, writer = ends
    writer.send_bytes(memoryview(array.array("i", range(8)))[::2])
    assert reader.recv_bytes() == array.array("i", [0, 2, 4, 6]).tobytes()
    with pytest.raises((TypeError, BufferError)):
        reader.recv_bytes_into(memoryview(bytearray(8))[::2])


@both
def test_receiving_into_a_buffer(module: ModuleType) -> None:
    reader, writer = module.Pipe()
    with reader, writer:
        numbers = array.array("i", range(4))
        writer.send_bytes(numbers)
        target = array.array("i", [9] * 10)
        assert reader.recv_bytes_into(target, 3 * target.itemsize) == 16
        assert list(target) == [9, 9, 9, 0, 1, 2, 3, 9, 9, 9]
        # Bytes that are no whole item are left out, and an offset inside an item is rounded.
        writer.send_bytes(struct.pack("iih", 1, 2, 3))
        target = array.array("i", [9] * 4)
        assert reader.recv_bytes_into(target, 5) == 10
        assert list(target) == [9, 1, 2, 9]
        writer.send_bytes(b"")
        assert reader.recv_bytes_into(bytearray(0)) == 0
        message = b"does not fit" * 10_000
        for room in (bytearray(40), bytearray(len(message) - 1), array.array("i", [0])):
            sending = Hand(writer.send_bytes, message)
            with pytest.raises(module.BufferTooShort) as caught:
                reader.recv_bytes_into(room)
            assert caught.value.args == (message,)
            sending.result()
        with pytest.raises(ValueError, match="negative offset"):
            reader.recv_bytes_into(bytearray(3), -1)
        with pytest.raises(ValueError, match="offset too large"):
            reader.recv_bytes_into(bytearray(3), 4)
        writer.send_bytes(b"abc")
        with pytest.raises(TypeError):
            reader.recv_bytes_into(b"constant")


@both
@pytest.mark.parametrize("duplex", [True, False])
def test_too_long_a_message_ends_receiving(module: ModuleType, duplex: bool) -> None:
    reader, writer = module.Pipe(duplex)
    with reader, writer:
        writer.send_bytes(b"ten bytes!")
        writer.send_bytes(b"ten bytes!")
        with pytest.raises(ValueError, match="negative maxlength"):
            reader.recv_bytes(-1)
        assert reader.recv_bytes(10) == b"ten bytes!"
        with pytest.raises(OSError, match="bad message length"):
            reader.recv_bytes(9)
        if duplex:
            assert not reader.readable
            assert not reader.closed
            with pytest.raises(OSError, match="connection is write-only"):
                reader.recv()
            reader.send("can still answer")
            assert writer.recv() == "can still answer"
        else:
            assert reader.closed


@both
def test_simplex_ends_do_only_one_thing(module: ModuleType) -> None:
    reader, writer = module.Pipe(duplex=False)
    with reader, writer:
        assert (reader.readable, reader.writable) == (True, False)
        assert (writer.readable, writer.writable) == (False, True)
        for call in (lambda: reader.send(1), lambda: reader.send_bytes(b"1")):
            with pytest.raises(OSError, match="connection is read-only"):
                call()
        for call in (
            writer.recv,
            writer.recv_bytes,
            writer.poll,
            lambda: writer.recv_bytes_into(bytearray(1)),
        ):
            with pytest.raises(OSError, match="connection is write-only"):
                call()


@both
def test_a_closed_connection(module: ModuleType) -> None:
    one, other = module.Pipe()
    assert not one.closed
    one.close()
    one.close()
    assert one.closed
    for call in (
        one.recv,
        one.recv_bytes,
        one.poll,
        one.fileno,
        lambda: one.send(1),
        lambda: one.send_bytes(b"1"),
        lambda: one.recv_bytes_into(bytearray(1)),
    ):
        with pytest.raises(OSError, match="handle is closed"):
            call()
    with other:
        assert other.poll()
        assert other.poll(None)
        for receive in (other.recv, other.recv_bytes, lambda: other.recv_bytes_into(bytearray(1))):
            with pytest.raises(EOFError) as caught:
                receive()
            assert caught.value.args == ()
        with pytest.raises(BrokenPipeError) as broken:
            other.send_bytes(b"1")
        assert broken.value.errno == 32
    with pytest.raises(OSError, match="handle is closed"), other:
        other.fileno()


@both
def test_a_connection_is_closed_with_its_last_reference(module: ModuleType) -> None:
    one, other = module.Pipe()
    number = one.fileno()
    del one
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    other.close()


@both
def test_handles(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="invalid handle"):
        module.Connection(-1)
    with pytest.raises(ValueError, match="at least one of `readable` and `writable` must be True"):
        module.Connection(0, False, False)
    with pytest.raises((AttributeError, TypeError)):
        module.Connection("0")
    one, other = socket.socketpair()
    with module.Connection(one.detach()) as end, other:
        other.sendall(b"\0\0\0\3abc")
        assert end.recv_bytes() == b"abc"
        end.send_bytes(b"defg")
        assert other.recv(100) == b"\0\0\0\4defg"


@both
def test_a_handle_that_is_not_open(module: ModuleType) -> None:
    end = module.Connection(1_000_000)
    for call in (end.recv, lambda: end.send(1)):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()
    end.poll()
    with pytest.raises(OSError, match="Bad file descriptor"):
        end.close()
    assert end.closed
    end = module.Connection(1_000_000)
    end._handle = None
    assert end.closed


@both
@pytest.mark.parametrize("duplex", [True, False])
def test_ends_in_the_middle(module: ModuleType, duplex: bool) -> None:
    """Where a message ends too early says how."""
    cases: list[tuple[bytes, type[Exception], str]] = [
        (b"", EOFError, "^$"),
        (b"\0\0", OSError, "got end of file during message"),
        (b"\0\0\0\5", EOFError, "^$"),
        (b"\0\0\0\5abc", OSError, "got end of file during message"),
        (b"\xff\xff\xff\xff", EOFError, "^$"),
        (b"\xff\xff\xff\xff\0\0", OSError, "got end of file during message"),
    ]
    for sent, error, text in cases:
        reader, writer = module.Pipe(duplex)
        os.write(writer.fileno(), sent)
        writer.close()
        with reader, pytest.raises(error, match=text):
            reader.recv_bytes()


def test_large_headers(ends: Any) -> None:
    """Nobody believes a length before the bytes have come."""
    reader, writer = ends
    os.write(writer.fileno(), struct.pack("!iQ", -1, 5) + b"small")
    assert reader.recv_bytes() == b"small"
    os.write(writer.fileno(), struct.pack("!iQ", -1, 1 << 62) + b"x" * 1000)
    writer.close()
    with pytest.raises(OSError, match="got end of file during message"):
        reader.recv_bytes()


def test_a_header_of_4_gib_is_refused_by_its_length(ends: Any) -> None:
    reader, writer = ends
    os.write(writer.fileno(), struct.pack("!iQ", -1, 1 << 32))
    with pytest.raises(OSError, match="bad message length"):
        reader.recv_bytes((1 << 32) - 1)


def test_a_negative_length_is_refused(ends: Any) -> None:
    reader, writer = ends
    os.write(writer.fileno(), struct.pack("!i", -2))
    with pytest.raises(OSError, match="bad message length"):
        reader.recv()


def test_a_message_that_comes_byte_by_byte(ends: Any) -> None:
    reader, writer = ends
    message = struct.pack("!i", 40) + bytes(range(40))

    def trickle() -> None:
        for byte in message:
            os.write(writer.fileno(), bytes([byte]))

    receiving = Hand(reader.recv_bytes)
    trickle()
    assert receiving.result() == bytes(range(40))


def test_it_is_the_standard_librarys_too() -> None:
    one, other = ours.Pipe()
    with one, other:
        assert isinstance(one, stdlib.Connection)
        assert isinstance(one, ours._ConnectionBase)
        assert stdlib.wait([one], 0) == []
        one.anything = "goes"
        # The methods that others call below the public ones are there, and agree with these.
        one._send_bytes(b"below")
        assert other.recv_bytes() == b"below"
        one.send_bytes(b"above")
        assert other._recv_bytes().getvalue() == b"above"
        assert not other._poll(0)


class Counting(ours.Connection):  # type: ignore[misc]
    """Overrides what is below the public methods."""

    sent = 0
    received = 0

    def _send_bytes(self, buf: Any) -> None:
        self.sent += 1
        super()._send_bytes(buf)

    def _recv_bytes(self, maxsize: int | None = None) -> Any:
        self.received += 1
        return super()._recv_bytes(maxsize)


def test_a_subclass_may_override_what_is_below() -> None:
    one, other = socket.socketpair()
    here, there = Counting(one.detach()), ours.Connection(other.detach())
    with here, there:
        here.send("object")
        here.send_bytes(b"bytes")
        assert here.sent == 2
        assert [there.recv(), there.recv_bytes()] == ["object", b"bytes"]
        there.send("object")
        there.send_bytes(b"bytes")
        assert [here.recv(), here.recv_bytes()] == ["object", b"bytes"]
        assert here.received == 2


def test_many_threads_use_one_connection(ends: Any) -> None:
    """Small messages are whole, whoever sends and receives at the same time."""
    reader, writer = ends
    count, hands = 300, 4

    def send(who: int) -> None:
        for number in range(count):
            writer.send((who, number))

    lock = threading.Lock()
    got: list[tuple[int, int]] = []

    def receive() -> None:
        for _ in range(count):
            with lock:
                got.append(reader.recv())

    working = [Hand(send, who) for who in range(hands)] + [Hand(receive) for _ in range(hands)]
    for hand in working:
        hand.result()
    for who in range(hands):
        assert [number for by, number in got if by == who] == list(range(count))


def test_others_run_while_one_waits(ends: Any) -> None:
    reader, writer = ends
    receiving = Hand(reader.recv).blocks()
    writer.send("at last")
    assert receiving.result() == "at last"


def test_names() -> None:
    """Whatever the standard library's module has that is not of another system."""
    foreign = {"PipeClient", "PipeListener", "PipeConnection", "xmlrpclib", "selectors"}
    modules = {name for name in vars(stdlib) if isinstance(getattr(stdlib, name), ModuleType)}
    internal = {"_winapi", "_multiprocessing", "_mmap_counter", "_WaitSelector"}
    internal |= {"_get_digest_name_and_payload"}
    expected = set(vars(stdlib)) - foreign - modules - internal
    assert not {name for name in expected if not name.startswith("__")} - set(dir(ours))
    # Of what does something only this is passed on, as it has nothing to do with connections.
    passed_on = {name for name in expected if getattr(ours, name) is getattr(stdlib, name)}
    done_there = "multiprocessing.connection"
    assert {
        name for name in passed_on if getattr(vars(stdlib)[name], "__module__", "") == done_there
    } <= {
        "ConnectionWrapper",
        "_ConnectionBase",
        "_check_timeout",
        "_init_timeout",
        "_validate_family",
        "_xml_dumps",
        "_xml_loads",
        "address_type",
        "arbitrary_address",
        "default_family",
    }
    assert ours.__all__ == stdlib.__all__
    assert sys.modules[ours.__name__] is ours
