"""The standard library's managers of each version, with ours at the other end.

The same operations, through the standard library's client at the standard library's server, have to
give the same.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import managed
import pytest
from connections import free_address, stock
from manyhands.multiprocessing import managers
from support import PATIENCE, Hand

__all__ = ["free_address", "stock"]

PROGRAM = str(Path(managed.__file__))

STOCK, OURS = "multiprocessing", "manyhands.multiprocessing"

#: The standard library of this very version, for a comparison.
BARE = getattr(sys, "_base_executable", None) or sys.executable


@contextlib.contextmanager
def serving(python: str, package: str, address: Any) -> Iterator[str]:
    command = [python, PROGRAM, "serve", package, repr(address)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        # It ends its pool's processes.
        server.terminate()
        server.communicate(timeout=PATIENCE)


def outcomes(server: tuple[str, str], client: tuple[str, str], address: Any) -> list[str]:
    """What the client prints of the server."""
    with serving(*server, address) as found:
        python, package = client
        command = [python, PROGRAM, "ask", package, found]
        asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    lines = asked.stdout.splitlines()
    assert asked.returncode == 0, lines
    assert len(lines) == len(managed.OPERATIONS.strip().splitlines())
    return lines


@functools.cache
def among_themselves(server: str, client: str) -> list[str]:
    """The same between two standard libraries."""
    return outcomes((server, STOCK), (client, STOCK), None)


FAMILIES = pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])


@FAMILIES
def test_their_client_at_our_server(stock: str, family: str, free_address: Any) -> None:
    found = outcomes((sys.executable, OURS), (stock, STOCK), free_address(family))
    assert found == among_themselves(BARE, stock)


@FAMILIES
def test_our_client_at_their_server(stock: str, family: str, free_address: Any) -> None:
    found = outcomes((stock, STOCK), (sys.executable, OURS), free_address(family))
    assert found == among_themselves(stock, BARE)


@FAMILIES
def test_our_client_at_our_server(family: str, free_address: Any) -> None:
    ours = sys.executable, OURS
    assert outcomes(ours, ours, free_address(family)) == among_themselves(BARE, BARE)


def test_atomic_changes_need_a_server_of_ours() -> None:
    with serving(BARE, STOCK, None) as address:
        manager = managers.SyncManager(eval(address), authkey=managed.KEY)
        manager.connect()
        shared = manager.dict()
        for call in (lambda: shared.increment("a"), lambda: shared.update_with("a", str)):
            with pytest.raises(NotImplementedError, match=r"needs a server of manyhands.*Lock\(\)"):
                call()


def test_a_stock_server_that_has_ended_is_told_of() -> None:
    """What a call did is not known; what was never sent is another matter."""
    with serving(BARE, STOCK, None) as found:
        address = eval(found)
        manager = managers.SyncManager(address, authkey=managed.KEY)
        manager.connect()
        shared, fifo = manager.dict(), manager.Queue()
        shared["a"] = 1
        getter = Hand(fifo.get)
        getter.blocks()
    with pytest.raises(managers.ServerLost, match="whether it has carried out 'get' is not known"):
        getter.result()
    with pytest.raises(managers.ServerLost, match="it has not carried out '__getitem__'") as raised:
        shared["a"]
    assert repr(address) in str(raised.value)


def test_a_connection_that_a_stock_server_has_closed_is_made_again() -> None:
    with serving(BARE, STOCK, None) as address:
        manager = managers.SyncManager(eval(address), authkey=managed.KEY)
        manager.connect()
        shared = manager.dict(a=1)
        assert shared["a"] == 1
        with socket.socket(fileno=os.dup(shared._tls.connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
        assert shared["a"] == 1
