"""What a socket is made of: the interpreter's own, or what stands for that, and watchers."""

import _socket
import errno
import os
import weakref

from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._watchers import io as _io_watcher


class _RawSocket(_socket.socket):
    """The interpreter's own socket; weak references to it are possible, as the module ssl needs."""

    __slots__ = ("__weakref__",)


class _ClosedSocket:
    """In the place of a raw socket that was closed or detached."""

    __slots__ = ("_number", "_why", "family", "proto", "type")

    def __init__(self, sock, why):
        self.family, self.type, self.proto = sock.family, sock.type, sock.proto
        self._number = sock.fileno()
        self._why = why

    def __bool__(self):
        return False

    def fileno(self):
        return -1

    detach = fileno

    def close(self):
        pass

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _bad_descriptor

    def __repr__(self):
        return f"<socket object [closed proxy at {id(self):#x} fd={self._number} {self._why}]>"


def _bad_descriptor(*args, **kwargs):
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _SocketEvent(_io_watcher):
    """A watcher of a socket, for those who want one; the socket itself waits without."""

    def __init__(self, sock, write):
        super().__init__(get_hub().loop, sock.fileno(), 2 if write else 1, sock.ref)
        self._socket = weakref.ref(sock)
        self._write = write

    @property
    def callback(self):
        sock = self._socket()
        greenlet = None if sock is None else sock._waiter(self._write)
        return self._callback if greenlet is None else greenlet.switch

    @callback.setter
    def callback(self, callback):
        _io_watcher.callback.fset(self, callback)
