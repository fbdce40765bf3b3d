"""Sockets that are connected to a host."""

from __future__ import annotations

import socket
import sys
from errno import ECONNREFUSED, EHOSTUNREACH
from typing import TYPE_CHECKING, Any

from .ssh_exception import NoValidConnectionsError

if TYPE_CHECKING:
    from manyhands._awaited import _Call


def dial(hostname: str, port: int, timeout: float | None) -> socket.socket:
    """A socket that is connected to the first address that answers; each has that many seconds."""
    found: dict[Any, OSError] = {}
    stack = _stack()
    for family, address in _addresses(stack, hostname, port):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if stack is None:
                sock.settimeout(timeout)
                sock.connect(address)
            else:
                _connect(stack, sock, address, timeout)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError) or error.errno not in (ECONNREFUSED, EHOSTUNREACH):
                raise
            found[address] = error
        else:
            return sock
    raise NoValidConnectionsError(found)


def _stack() -> _Call | None:
    """The call of this that a coroutine awaits, if it is one: then its event loop is to go on."""
    module = sys.modules.get("manyhands._awaited")
    stack: _Call | None = None if module is None else module.here()
    return stack


def _addresses(stack: _Call | None, hostname: str, port: int) -> list[tuple[Any, Any]]:
    kinds = (socket.AF_UNSPEC, socket.SOCK_STREAM)
    if stack is None:
        found = socket.getaddrinfo(hostname, port, *kinds)
    else:
        family, kind = kinds
        found = stack.wait_for(stack.loop.getaddrinfo(hostname, port, family=family, type=kind))
    return [(family, address) for family, _, _, _, address in found]


def _connect(stack: _Call, sock: socket.socket, address: Any, timeout: float | None) -> None:
    import asyncio

    sock.setblocking(False)
    try:
        stack.wait_for(asyncio.wait_for(stack.loop.sock_connect(sock, address), timeout))
    except asyncio.TimeoutError:
        raise TimeoutError("timed out") from None
    sock.settimeout(timeout)
