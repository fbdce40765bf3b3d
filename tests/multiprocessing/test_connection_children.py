"""Connections that are given to children and to others: pickling, listeners, addresses."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
from connections import FAMILIES, both, free_address, ours, stdlib
from support import PATIENCE, Hand

__all__ = ["free_address"]

pytestmark = pytest.mark.patience(180)

METHODS = ["fork", "spawn", "forkserver"]


def _echo(end: Any) -> None:
    while True:
        message = end.recv()
        if message is None:
            break
        end.send((type(end).__module__, end.readable, end.writable, message))
    end.close()


def _shout(end: Any) -> None:
    end.send((type(end).__module__, end.readable, end.writable))


def _pass_on(end: Any) -> None:
    given = end.recv()
    given.send("from afar")
    given.close()
    end.send("passed on")
    end.recv()


@pytest.mark.parametrize("method", METHODS)
def test_an_argument_of_a_process(method: str) -> None:
    here, there = ours.Pipe()
    with here:
        process = multiprocessing.get_context(method).Process(target=_echo, args=(there,))
        process.start()
        there.close()
        here.send("hello")
        assert here.recv() == (ours.__name__, True, True, "hello")
        here.send(None)
        with pytest.raises(EOFError):
            here.recv()
        process.join(PATIENCE)
        assert process.exitcode == 0
        process.close()


@pytest.mark.parametrize("method", METHODS)
def test_one_end_of_a_simplex_pipe(method: str) -> None:
    reader, writer = ours.Pipe(duplex=False)
    with reader:
        process = multiprocessing.get_context(method).Process(target=_shout, args=(writer,))
        process.start()
        writer.close()
        assert reader.recv() == (ours.__name__, False, True)
        process.join(PATIENCE)
        process.close()


def test_a_connection_through_a_connection() -> None:
    from multiprocessing import resource_sharer

    here, there = ours.Pipe()
    near, far = ours.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_pass_on, args=(there,))
    process.start()
    there.close()
    with here, near, far:
        here.send(far)
        assert near.recv() == "from afar"
        assert here.recv() == "passed on"
        here.send("bye")
        process.join(PATIENCE)
        assert process.exitcode == 0
        process.close()
    resource_sharer.stop()


def test_a_copy_is_another_descriptor() -> None:
    from multiprocessing import resource_sharer

    one, other = ours.Pipe()
    with one, other:
        with pickle.loads(pickle.dumps(one)) as copy:
            assert copy.fileno() != one.fileno()
            copy.send("by the copy")
            assert other.recv() == "by the copy"
        one.send("by the first")
        assert other.recv() == "by the first"
    resource_sharer.stop()


def test_children_do_not_inherit_over_exec() -> None:
    for duplex in (True, False):
        one, other = ours.Pipe(duplex)
        with one, other:
            assert not os.get_inheritable(one.fileno())
            assert not os.get_inheritable(other.fileno())


@both
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("key", [None, b"", b"key"], ids=["open", "empty", "key"])
def test_listener_and_client(
    module: ModuleType, family: str, key: bytes | None, free_address: Any
) -> None:
    if key == b"" and module is stdlib and sys.version_info < (3, 13):
        pytest.skip("an empty key was taken for none by the listener")
    address = free_address(family)
    with module.Listener(address, family, authkey=key) as listener:
        assert listener.last_accepted is None
        hand = Hand(lambda: module.Client(listener.address, authkey=key))
        with listener.accept() as end, hand.result() as client:
            assert type(end) is module.Connection
            client.send(["hello"])
            assert end.recv() == ["hello"]
            if family == "AF_INET":
                assert listener.last_accepted[0] == "127.0.0.1"
    if family == "AF_UNIX":
        assert not os.path.exists(address)
    with pytest.raises(OSError, match="listener is closed"):
        listener.accept()
    listener.close()


def test_tcp_is_told_to_hurry(free_address: Any) -> None:
    with ours.Listener(free_address("AF_INET")) as listener:
        hand = Hand(ours.Client, listener.address)
        with listener.accept() as end, hand.result() as client:
            for connection in (end, client):
                with socket.socket(fileno=os.dup(connection.fileno())) as view:
                    assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                    assert view.getblocking()


@both
def test_addresses(module: ModuleType) -> None:
    with module.Listener() as listener:
        assert module.address_type(listener.address) == "AF_UNIX"
        with pytest.raises(OSError, match="Address already in use"):
            module.Listener(listener.address)
    with module.Listener("\0a name in no file system") as listener:
        hand = Hand(module.Client, "\0a name in no file system")
        with listener.accept() as end, hand.result() as client:
            client.send(1)
            assert end.recv() == 1
    assert module.address_type(("localhost", 1)) == "AF_INET"
    with pytest.raises((TypeError, ValueError), match="address type of 5 unrecognized"):
        module.address_type(5)
    for wrong in (r"\\.\pipe\name", r"\\.\test"):
        with pytest.raises(ValueError, match="Family AF_PIPE is not recognized"):
            module.Listener(wrong)
        with pytest.raises(ValueError, match="Family AF_PIPE is not recognized"):
            module.Client(wrong)
    with pytest.raises(ValueError, match="unrecognized family"):
        module.arbitrary_address("AF_OTHER")
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        module.Client("/a path that is nowhere")


def test_a_key_of_another_type() -> None:
    """Unlike the standard library's, ours leave no socket open."""
    with pytest.raises(TypeError, match="authkey should be a byte string"):
        ours.Listener(authkey="text")
    with (
        ours.Listener() as listener,
        pytest.raises(TypeError, match="authkey should be a byte string"),
    ):
        ours.Client(listener.address, authkey="text")


@both
def test_nobody_listens(module: ModuleType) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            module.Client(bound.getsockname())


class FakeConnection:
    """Says what it was told to say."""

    def __init__(self, *said: bytes) -> None:
        self.said = iter(said)
        self.heard: list[bytes] = []

    def recv_bytes(self, size: int | None = None) -> bytes:
        return next(self.said, b"")

    def send_bytes(self, data: bytes) -> None:
        self.heard.append(bytes(data))


def test_challenges() -> None:
    for said, why in [
        ([b"something bogus"], "Protocol error, expected challenge: message=b'something bogus'"),
        ([ours._CHALLENGE], "challenge too short"),
        ([ours._CHALLENGE + b"x" * 30], "unsupported message length"),
        ([ours._CHALLENGE + b"{sha1}" + b"x" * 30], "unsupported message length"),
        ([ours._CHALLENGE + b"{sha256}" + b"x" * 30, b"something bogus"], "digest sent was reje"),
        ([ours._CHALLENGE + b"x" * 20, b"something bogus"], "digest sent was rejected"),
    ]:
        with pytest.raises(ours.AuthenticationError, match=why):
            ours.answer_challenge(FakeConnection(*said), b"abc")
    for response in (b"something bogus", b"x" * 16, b"{sha256}" + b"x" * 32, b"{md5}short", b""):
        fake = FakeConnection(response)
        with pytest.raises(ours.AuthenticationError):
            ours.deliver_challenge(fake, b"abc")
        assert fake.heard[1:] == [ours._FAILURE]
        assert fake.heard[0].startswith(ours._CHALLENGE + b"{sha256}")
        assert len(fake.heard[0]) == 11 + 8 + 40
    for function in (ours.answer_challenge, ours.deliver_challenge):
        with pytest.raises(ValueError, match="Authkey must be bytes"):
            function(FakeConnection(), "abc")
    first, second = FakeConnection(b""), FakeConnection(b"")
    for fake in (first, second):
        with pytest.raises(ours.AuthenticationError):
            ours.deliver_challenge(fake, b"abc")
    assert first.heard[0] != second.heard[0]


def test_many_clients_at_once(free_address: Any) -> None:
    with ours.Listener(free_address("AF_INET"), backlog=16, authkey=b"key") as listener:

        def ask(number: int) -> Any:
            with ours.Client(listener.address, authkey=b"key") as client:
                client.send(number)
                return client.recv()

        hands = [Hand(ask, number) for number in range(16)]
        for _ in hands:
            with listener.accept() as end:
                end.send(end.recv() * 2)
        assert [hand.result() for hand in hands] == [number * 2 for number in range(16)]


@both
def test_xml(module: ModuleType, free_address: Any) -> None:
    with module.XmlListener(free_address("AF_UNIX"), authkey=b"key") as listener:
        hand = Hand(lambda: module.XmlClient(listener.address, authkey=b"key"))
        end, client = listener.accept(), hand.result()
        client.send({"one": [1, 2.5, "text"]})
        assert end.recv() == {"one": [1, 2.5, "text"]}
        end.close()
        client.close()


def test_the_standard_library_at_the_other_end_in_one_process(free_address: Any) -> None:
    for one, other in [(ours, stdlib), (stdlib, ours)]:
        with one.Listener(free_address("AF_INET"), authkey=b"key") as listener:
            hand = Hand(lambda: other.Client(listener.address, authkey=b"key"))  # noqa: B023
            with listener.accept() as end, hand.result() as client:
                client.send({"a": threading.get_ident()})
                assert end.recv() == {"a": threading.get_ident()}
