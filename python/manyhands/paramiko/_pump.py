"""What a connection runs on: a socket, a `Channel`, or what is only like a socket."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import sys
import threading
from typing import TYPE_CHECKING, Any

from .channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 64 * 1024

# How often who receives looks whether that is still wanted, in seconds.
_LOOK = 0.1


def wire_of(sock: Any) -> tuple[Any, bool]:
    """A channel of the engine's, or a descriptor of our own that is as good as the socket; and
    whether it is a local one."""
    if type(sock) is Channel:
        return sock._native, True
    if _is_plain(sock):
        return os.dup(sock.fileno()), sock.family == socket.AF_UNIX
    ours, theirs = socket.socketpair()
    # The descriptor is for a thread that is not Python's: no hub is to know of it.
    join_with(ours, sock)
    return theirs.detach(), True


def join_with(ours: socket.socket, sock: Any) -> None:
    """Have a thread copy both ways between a socket and something that is only like one."""
    threading.Thread(target=_copy, args=(ours, sock), name="paramiko proxy", daemon=True).start()


def _is_plain(sock: Any) -> bool:
    """Whether what is sent goes into its descriptor as it is."""
    ssl = sys.modules.get("ssl")
    if (ssl is not None and isinstance(sock, ssl.SSLSocket)) or not hasattr(sock, "family"):
        return False
    try:
        return stat.S_ISSOCK(os.fstat(sock.fileno()).st_mode)
    except OSError:
        return False


def _copy(ours: socket.socket, sock: Any) -> None:
    """Copy both ways until either side ends; then both have ended."""
    forth = threading.Thread(target=_forth, args=(ours, sock), name="paramiko proxy", daemon=True)
    forth.start()
    with contextlib.suppress(Exception):
        receive = _receiving(sock, forth.is_alive)
        while data := receive():
            ours.sendall(data)
    with contextlib.suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)
    forth.join()
    ours.close()


def _forth(ours: socket.socket, sock: Any) -> None:
    with contextlib.suppress(Exception):
        while data := ours.recv(_CHUNK):
            view = memoryview(data)
            while view:
                view = view[sock.send(bytes(view)) :]
    with contextlib.suppress(Exception):
        sock.close()


def _receiving(sock: Any, is_wanted: Callable[[], bool]) -> Callable[[], bytes]:
    """What receives from it, as much as there is, until nobody wants it any more."""

    def from_command() -> bytes:
        # Its own `recv` waits until it has all that it was asked for.
        select.select([sock], [], [])
        return os.read(sock.fileno(), _CHUNK)

    def from_anything() -> bytes:
        while is_wanted():
            with contextlib.suppress(TimeoutError):
                return bytes(sock.recv(_CHUNK))
        return b""

    from .proxy import ProxyCommand

    if isinstance(sock, ProxyCommand):
        return from_command
    if not isinstance(sock, Channel) and hasattr(sock, "settimeout"):
        # Not all wake who receives when they are closed.
        sock.settimeout(_LOOK)
    return from_anything
