"""What clients are told when servers end, stop, or are not there; and what they leave behind."""

from __future__ import annotations

import os
import signal
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import managed_types
import pytest
from connections import free_address
from manyhands.multiprocessing import get_context, managers
from support import Hand, in_fork, until

__all__ = ["free_address"]


class Custom(managers.SyncManager):
    """A manager whose server can be made to end."""


Custom.register("Counter", managed_types.Counter)


@pytest.fixture(params=["AF_UNIX", "AF_INET"])
def manager(request: pytest.FixtureRequest, free_address: Any) -> Iterator[Any]:
    made = Custom(free_address(request.param), ctx=get_context("fork"))
    with made:
        yield weakref.proxy(made)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has lost a server gives it up soon."""
    monkeypatch.setattr("manyhands.multiprocessing._manager_link._PERSISTENCE", 0.3)


def kill(manager: Any) -> None:
    os.kill(manager._process.pid, signal.SIGKILL)
    manager._process.join()


@pytest.mark.parametrize("how", ["stop", "end"])
@pytest.mark.usefixtures("hurried")
def test_a_server_that_dies_in_a_call(manager: Any, how: str) -> None:
    counter = manager.Counter()
    with pytest.raises(managers.ServerLost) as raised:
        getattr(counter, how)()
    assert repr(manager.address) in str(raised.value)
    assert f"{how!r}" in str(raised.value)
    with pytest.raises(
        OSError, match=r"(lost the manager's server|refused|No such file)"
    ) as raised:
        counter.add()
    assert str(manager.address) in str(raised.value)


@pytest.mark.usefixtures("hurried")
def test_a_server_that_dies_while_others_wait(manager: Any) -> None:
    fifo = manager.Queue()
    getters = [Hand(fifo.get) for _ in range(3)]
    for getter in getters:
        getter.blocks()
    kill(manager)
    for getter in getters:
        with pytest.raises(managers.ServerLost, match="'get'"):
            getter.result()


@pytest.mark.usefixtures("hurried")
def test_objects_of_a_dead_server_are_dropped_without_a_word(manager: Any) -> None:
    dropped = [manager.list(), manager.dict()]
    kill(manager)
    dropped.clear()
    with pytest.raises((OSError, EOFError)):
        manager.list()


def test_a_server_that_was_shut_down_is_not_waited_for(manager: Any) -> None:
    shared = manager.list()
    other = Hand(shared.append, 1)
    other.result()
    manager.shutdown()
    with pytest.raises(OSError, match=r"(refused|No such file)") as raised:
        shared.append(2)
    assert str(manager.address) in str(raised.value)


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 1), "/nowhere/to/be/found"], ids=["inet", "unix"]
)
def test_where_nobody_listens(address: Any) -> None:
    manager = managers.SyncManager(address, authkey=b"key")
    with pytest.raises(OSError, match=r"(refused|No such file)") as raised:
        manager.connect()
    assert str(address) in str(raised.value)
    with pytest.raises(AssertionError, match="not yet started"):
        manager.list()


def test_a_stopped_server_is_ended_all_the_same() -> None:
    manager = managers.SyncManager(ctx=get_context("fork"), shutdown_timeout=0.1)
    manager.start()
    shared, process = manager.list(), manager._process
    os.kill(process.pid, signal.SIGSTOP)
    manager.shutdown()
    assert not process.is_alive()
    assert process.exitcode == -signal.SIGKILL
    del shared


def test_dropping_an_object_of_a_stopped_server_does_not_wait_for_it(manager: Any) -> None:
    dropped = [manager.list(), manager.list()]
    os.kill(manager._process.pid, signal.SIGSTOP)
    try:
        Hand(dropped.pop).result()
        Hand(dropped.clear).result()
    finally:
        os.kill(manager._process.pid, signal.SIGCONT)


def test_a_silent_address_is_left_alone_in_time() -> None:
    """Somebody listens there, but it is no server."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = managers.Way(managers.connection.Client, b"key", "pickle")
        with pytest.raises(TimeoutError, match="does not answer in time"):
            way.connect_in_haste(silent.getsockname(), 0.05)


def test_proxies_after_a_bare_fork(manager: Any) -> None:
    """Also of os.fork(), which tells nobody of multiprocessing."""
    shared = manager.list()
    shared.append("before")

    def child() -> None:
        shared.append("child")
        assert list(shared) == ["before", "child"]

    in_fork(child)
    shared.append("after")
    assert list(shared) == ["before", "child", "after"]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_objects_and_threads_leave_no_descriptors(manager: Any) -> None:
    shared = manager.list()
    shared.append(0)
    before = descriptors()
    for number in range(10):
        other = manager.dict()
        Hand(other.update, {number: 1}).result()
        Hand(shared.append, number).result()
        del other
    until(lambda: descriptors() == before, "threads to let go of their connections")
    assert manager._number_of_objects() == 1


def test_a_connected_manager_leaves_no_descriptors(manager: Any) -> None:
    before = descriptors()
    key = bytes(manager._authkey)
    address = manager.address

    def use() -> None:
        other = managers.SyncManager(address, authkey=key)
        other.connect()
        shared = other.list([1])
        assert shared.pop() == 1

    for _ in range(5):
        Hand(use).result()
    until(lambda: descriptors() == before, "threads to let go of their connections")
    assert manager._number_of_objects() == 0
