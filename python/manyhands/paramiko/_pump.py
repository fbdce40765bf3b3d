"""A socket for something that is only like a socket: a `Channel`, a `ProxyCommand`."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import stat
import threading
import time
from typing import Any

from .proxy import ProxyCommand

_CHUNK = 64 * 1024


def descriptor_of(sock: Any) -> tuple[int, bool]:
    """A descriptor of our own that is as good as the socket, and whether it is a local one."""
    if _is_plain(sock):
        return os.dup(sock.fileno()), sock.family == socket.AF_UNIX
    ours, theirs = socket.socketpair()
    # The descriptor is for a thread that is not Python's: no hub is to know of it.
    threading.Thread(target=_copy, args=(ours, sock), name="paramiko proxy", daemon=True).start()
    return theirs.detach(), True


def _is_plain(sock: Any) -> bool:
    """Whether what is sent goes into its descriptor as it is."""
    if isinstance(sock, ssl.SSLSocket) or not hasattr(sock, "family"):
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
        while data := _received(sock):
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


def _received(sock: Any) -> bytes:
    if isinstance(sock, ProxyCommand):
        # Its own `recv` waits until it has all that it was asked for.
        select.select([sock], [], [])
        return os.read(sock.fileno(), _CHUNK)
    while True:
        try:
            return bytes(sock.recv(_CHUNK))
        except TimeoutError:
            time.sleep(0.001)
