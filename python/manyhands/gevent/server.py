"""Servers for streams and datagrams."""

import _socket
import os
import sys

from manyhands.gevent.baseserver import BaseServer
from manyhands.gevent.socket import socket as _GreenSocket

__all__ = ["DatagramServer", "StreamServer"]

#: Whether an address may be listened at again at once after its last listener has gone.
DEFAULT_REUSE_ADDR = 0 if sys.platform == "win32" else 1


class _SocketServer(BaseServer):
    """One of which the socket is always of our class."""

    def set_listener(self, listener):
        BaseServer.set_listener(self, listener)
        if "socket" in self.__dict__ and not isinstance(self.socket, _GreenSocket):
            # One of the standard library's, which would block: the same one, in our class.
            given = self.socket
            self.socket = _GreenSocket(
                given.family, given.type, given.proto, fileno=os.dup(given.fileno())
            )
            self._given = given

    def close(self):
        BaseServer.close(self)
        given = self.__dict__.pop("_given", None)
        if given is not None:
            given.close()


class StreamServer(_SocketServer):
    """Accepts connections, and calls `handle(socket, address)` for each, which is closed
    afterwards.

    Keyword arguments beyond `backlog` and `spawn` are those of `ssl.SSLContext.wrap_socket`, or
    `ssl_context`: then the sockets speak TLS.
    """

    #: How many may wait to be accepted.
    backlog = 128
    reuse_addr = DEFAULT_REUSE_ADDR

    def __init__(self, listener, handle=None, backlog=None, spawn="default", **ssl_args):
        BaseServer.__init__(self, listener, handle=handle, spawn=spawn)
        try:
            if ssl_args:
                ssl_args.setdefault("server_side", True)
                if "ssl_context" in ssl_args:
                    context = ssl_args.pop("ssl_context")
                    self.wrap_socket = context.wrap_socket
                    self.ssl_args = ssl_args
                else:
                    from manyhands.gevent.ssl import PROTOCOL_TLS_SERVER, wrap_socket

                    if ssl_args["server_side"]:
                        ssl_args.setdefault("ssl_version", PROTOCOL_TLS_SERVER)
                    self.wrap_socket = wrap_socket
                    self.ssl_args = ssl_args
            else:
                self.ssl_args = None
            if backlog is not None:
                if hasattr(self, "socket"):
                    raise TypeError("backlog must be None when a socket instance is passed")
                self.backlog = backlog
        except BaseException:
            self.close()
            raise

    @property
    def ssl_enabled(self):
        """Whether the sockets speak TLS."""
        return self.ssl_args is not None

    def init_socket(self):
        if not hasattr(self, "socket"):
            self.socket = self.get_listener(self.address, self.backlog, self.family)
            self.address = self.socket.getsockname()
        if self.ssl_args:
            self._handle = self.wrap_socket_and_handle
        else:
            self._handle = self.handle

    @classmethod
    def get_listener(cls, address, backlog=None, family=None):
        """A socket that listens there."""
        backlog = cls.backlog if backlog is None else backlog
        return _tcp_listener(address, backlog, cls.reuse_addr, family)

    def do_read(self):
        listener = self.socket
        try:
            descriptor, address = listener._accept()
        except BlockingIOError:
            if not listener.timeout:
                return None
            raise
        return (
            _GreenSocket(listener.family, listener.type, listener.proto, fileno=descriptor),
            address,
        )

    def do_close(self, sock, *args):
        sock.close()

    def wrap_socket_and_handle(self, client_socket, address):
        """Shake hands, then have it handled."""
        with self.wrap_socket(client_socket, **self.ssl_args) as secured:
            return self.handle(secured, address)


class DatagramServer(_SocketServer):
    """Receives datagrams, and calls `handle(data, address)` for each."""

    reuse_addr = DEFAULT_REUSE_ADDR

    def __init__(self, *args, **kwargs):
        BaseServer.__init__(self, *args, **kwargs)
        from manyhands.gevent.lock import Semaphore

        self._writelock = Semaphore()

    def init_socket(self):
        if not hasattr(self, "socket"):
            self.socket = self.get_listener(self.address, self.family)
            self.address = self.socket.getsockname()
        self._socket = self.socket
        self._handle = self.handle

    @classmethod
    def get_listener(cls, address, family=None):
        """A socket that receives there."""
        return _udp_socket(address, reuse_addr=cls.reuse_addr, family=family)

    def do_read(self):
        try:
            return _socket.socket.recvfrom(self._socket._sock, 8192)
        except BlockingIOError:
            return None

    def sendto(self, *args):
        """Send a datagram from the server's socket; one greenlet after the other."""
        with self._writelock:
            self.socket.sendto(*args)


def _tcp_listener(address, backlog=50, reuse_addr=None, family=_socket.AF_INET):
    sock = _bound(_GreenSocket(family=family), address, reuse_addr)
    try:
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(0)
    return sock


def _udp_socket(address, backlog=50, reuse_addr=None, family=_socket.AF_INET):
    sock = _GreenSocket(family=family, type=_socket.SOCK_DGRAM)
    return _bound(sock, address, reuse_addr)


def _bound(sock, address, reuse_addr):
    try:
        if reuse_addr is not None:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, reuse_addr)
        if sock.family == _socket.AF_INET6 and isinstance(address, tuple) and not address[0]:
            # All of this machine's addresses, of both kinds.
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            strerror = error.strerror or str(error)
            raise type(error)(error.errno, f"{strerror}: {address!r}") from None
        raise
    return sock
