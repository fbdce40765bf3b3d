"""A socket for something that is only like a socket: a `Channel`, a `ProxyCommand`."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

_CHUNK = 64 * 1024


def descriptor_of(sock: Any) -> tuple[int, bool]:
    """A descriptor of our own that is as good as the socket, and whether it is a local one."""
    if isinstance(sock, socket.socket):
        with sock.dup() as twin:
            return twin.detach(), sock.family == socket.AF_UNIX
    ours, theirs = socket.socketpair()
    for copy, name in ((_forth, "to"), (_back, "from")):
        threading.Thread(
            target=copy, args=(ours, sock), name=f"paramiko {name} proxy", daemon=True
        ).start()
    return theirs.detach(), True


def _forth(ours: socket.socket, sock: Any) -> None:
    with contextlib.suppress(Exception):
        while data := ours.recv(_CHUNK):
            view = memoryview(data)
            while view:
                view = view[sock.send(bytes(view)) :]
    with contextlib.suppress(Exception):
        sock.close()


def _back(ours: socket.socket, sock: Any) -> None:
    with contextlib.suppress(Exception):
        while data := _received(sock):
            ours.sendall(data)
    with contextlib.suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)


def _received(sock: Any) -> bytes:
    while True:
        try:
            return bytes(sock.recv(_CHUNK))
        except TimeoutError:
            time.sleep(0.001)
