"""Sockets whose operations let the other greenlets run until they are done."""

import _socket
import errno
import os
import socket as __socket__
import time

from manyhands.gevent import _green, _socketcommon
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._hub_primitives import wait_on_socket, wait_on_watcher
from manyhands.gevent._socketcommon import _as_enum, _resolve_addr, cancel_wait_ex
from manyhands.gevent._socketfiles import _Files
from manyhands.gevent._socketparts import _ClosedSocket, _RawSocket, _SocketEvent

__implements__ = _socketcommon._implements
__extensions__ = _socketcommon.__extensions__
__imports__ = _socketcommon.__imports__
__dns__ = _socketcommon.__dns__

globals().update((name, getattr(_socketcommon, name)) for name in (*__imports__, *__dns__))

AddressFamily, SocketKind = __socket__.AddressFamily, __socket__.SocketKind
SocketIO = __socket__.SocketIO
AF_INET, SOCK_STREAM = AddressFamily.AF_INET, SocketKind.SOCK_STREAM
SOL_SOCKET, SO_ERROR = __socket__.SOL_SOCKET, __socket__.SO_ERROR

#: Has the system make a socket that does not block at once; 0 where it cannot.
_NONBLOCK = getattr(_socket, "SOCK_NONBLOCK", 0)
_DONTWAIT = getattr(_socket, "MSG_DONTWAIT", 0)
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)
#: How long one that connects to a full Unix socket waits before it tries again.
_FULL = 0.005


class socket(_green.SocketBase, _Files):
    """As the standard library's; while an operation waits the other greenlets run."""

    __slots__ = ("__weakref__", "_closed", "_events", "_io_refs", "_sock")

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        timeout = _socket.getdefaulttimeout()
        if fileno is None:
            family = AF_INET if family == -1 else family
            type = SOCK_STREAM if type == -1 else type
            proto = 0 if proto == -1 else proto
            if _NONBLOCK and type & _NONBLOCK:
                timeout = 0.0
            sock = self._make_raw(family, type | _NONBLOCK, proto, None)
        else:
            sock = self._make_raw(family, type, proto, fileno)
        if fileno is not None or not _NONBLOCK:
            sock.setblocking(False)
        self._use(sock, timeout)

    _make_raw = _RawSocket

    def _use(self, sock, timeout):
        self._closed = False
        self._io_refs = 0
        self._events = None
        self._sock = sock
        self._open(sock.fileno(), timeout)

    def __getattr__(self, name):
        if name == "_sock":  # made without __init__, or it failed
            raise AttributeError(name)
        return getattr(self._sock, name)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if not self._closed:
            self.close()

    def __repr__(self):
        try:
            shown = repr(self._sock)
        except Exception as error:
            shown = f"<socket [{error!r}]>"
        if not shown.startswith("<socket object"):
            return shown
        closed = " [closed]" if getattr(self, "_closed", False) else ""
        kind = self.__class__
        name = f"{kind.__module__}.{kind.__name__}{closed}"
        return f"<{name} at {id(self):#x}{self._extra_repr()}{shown[7:]}"

    def _extra_repr(self):
        return ""

    def __getstate__(self):
        raise TypeError("Cannot serialize socket object")

    # What it is.

    @property
    def hub(self):
        """The hub of this thread."""
        return get_hub()

    @property
    def family(self):
        """The family of addresses."""
        return _as_enum(self._sock.family, AddressFamily)

    @property
    def type(self):
        """The kind of socket."""
        return _as_enum(self._sock.type, SocketKind)

    @property
    def proto(self):
        """The protocol's number."""
        return self._sock.proto

    @property
    def closed(self):
        """Whether it was closed."""
        return self._closed

    @property
    def ref(self):
        """Whether the loop may not end while an operation of this socket waits."""
        return self._keeps

    @ref.setter
    def ref(self, value):
        self._keeps = bool(value)
        for event in self._events or ():
            event.ref = self._keeps

    def _event(self, write):
        if not self._sock:
            return None
        if self._events is None:
            self._events = (_SocketEvent(self, False), _SocketEvent(self, True))
        return self._events[write]

    @property
    def _read_event(self):
        return self._event(False)

    @property
    def _write_event(self):
        return self._event(True)

    _wait = wait_on_socket

    def _wait_by_watcher(self, write, seconds):
        """False if the time is up."""
        mine = TimeoutError("timed out")
        try:
            wait_on_watcher(self._event(write), seconds, mine)
        except TimeoutError as error:
            if error is not mine:
                raise
            return False
        return True

    def getsockname(self):
        return self._sock.getsockname()

    def getpeername(self):
        return self._sock.getpeername()

    def getsockopt(self, *args):
        return self._sock.getsockopt(*args)

    def setsockopt(self, *args):
        return self._sock.setsockopt(*args)

    def get_inheritable(self):
        """Whether programs that are started inherit it."""
        return os.get_inheritable(self.fileno())

    def set_inheritable(self, inheritable):
        """Say whether programs that are started inherit it."""
        os.set_inheritable(self.fileno(), inheritable)

    def bind(self, address):
        return self._sock.bind(address)

    def listen(self, *args):
        return self._sock.listen(*args)

    # Its end.

    def _let_go(self, why):
        """The raw socket, which is this one's no more."""
        sock = self._sock
        self._sock = _ClosedSocket(sock, why)
        events, self._events = self._events, None
        for event in events or ():
            if event.active:
                get_hub().cancel_wait(event, cancel_wait_ex, True)
        self._shut(sock.fileno())
        return sock

    def _real_close(self):
        if self._sock:
            self._let_go("closed").close()

    def close(self):
        """Close it; if files were made of it, when these are. Who waits for it gets an OSError."""
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def detach(self):
        """Give the descriptor away, which stays open; this is a closed socket then."""
        self._closed = True
        if not self._sock:
            return -1
        return self._let_go("detached").detach()

    def _decref_socketios(self):
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()

    def shutdown(self, how):
        """End receiving (0), sending (1), both (2). Greenlets that wait for that get an OSError."""
        if how != __socket__.SHUT_WR:
            self._cancel_waiter(False)
        if how != __socket__.SHUT_RD:
            self._cancel_waiter(True)
        self._sock.shutdown(how)

    def _cancel_waiter(self, write):
        if self._waiter(write) is not None:
            get_hub().cancel_wait(self._event(write), cancel_wait_ex)

    def dup(self):
        """Another socket, of the same connection."""
        sock = self.__class__(self.family, self.type, self.proto, fileno=os.dup(self.fileno()))
        sock.settimeout(self.gettimeout())
        return sock

    # Connections.

    def _accept(self):
        return self._sock._accept()

    def accept(self):
        """Wait for a connection: its socket, and the address of its other end."""
        raw = self._sock
        family, kind, proto = raw.family, raw.type, raw.proto
        if family == AF_INET and _NONBLOCK:
            fd, address = self._accept_inet()
            kind |= _NONBLOCK
        else:
            fd, address = self._until_done(False, 0, raw._accept, ())
        try:
            made = _RawSocket(family, kind, proto, fd)
        except BaseException:
            os.close(fd)
            raise
        if not kind & _NONBLOCK:
            made.setblocking(False)
        sock = socket.__new__(socket)
        sock._use(made, _socket.getdefaulttimeout())
        return sock, address

    def connect(self, address):
        """Connect to an address."""
        self._internal_connect(address)

    def connect_ex(self, address):
        """As connect(), but the error's number is returned; 0: none."""
        try:
            return self._internal_connect(address) or 0
        except TimeoutError:
            return errno.EAGAIN
        except __socket__.gaierror:
            raise
        except OSError as error:
            if not error.errno:
                raise
            return error.errno

    def _internal_connect(self, address):
        limit = self.timeout
        if limit == 0.0:
            return self._sock.connect(address)
        if limit is None:
            return self._connect(_resolve_addr(self._sock, address), None)
        deadline = time.monotonic() + limit
        if self.family in _socketcommon._WITH_NAMES:
            from manyhands.gevent.timeout import Timeout

            with Timeout(limit, TimeoutError("timed out")):
                address = _resolve_addr(self._sock, address)
        return self._connect(address, deadline)

    def _connect(self, address, deadline):
        while True:
            result = self._sock.connect_ex(address)
            if result in (0, errno.EISCONN):
                return
            if result not in _UNDER_WAY:
                raise OSError(result, os.strerror(result))
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if result == errno.EAGAIN:
                # Only sockets of this machine: nobody tells when their line has room again.
                if left == 0.0:
                    raise TimeoutError("timed out")
                _green.sleep(_FULL if left is None else min(left, _FULL))
                continue
            self._wait_for(True, left)
            result = self._sock.getsockopt(SOL_SOCKET, SO_ERROR)
            if result:
                raise OSError(result, os.strerror(result))

    # Operations that are not in the native half.

    def _until_done(self, write, flags, operation, args):
        while True:
            try:
                return operation(*args)
            except BlockingIOError:
                if self.timeout == 0.0 or flags & _DONTWAIT:
                    raise
            self._wait_for(write, self.timeout)

    def recvfrom(self, *args):
        return self._until_done(False, _flags(args, 1), self._sock.recvfrom, args)

    def recvfrom_into(self, *args):
        return self._until_done(False, _flags(args, 2), self._sock.recvfrom_into, args)

    def recvmsg(self, *args):
        return self._until_done(False, _flags(args, 2), self._sock.recvmsg, args)

    def recvmsg_into(self, *args):
        return self._until_done(False, _flags(args, 2), self._sock.recvmsg_into, args)

    def sendto(self, *args):
        flags = args[1] if len(args) > 2 else 0
        if args and self.family in _socketcommon._WITH_NAMES and self.timeout != 0.0:
            args = (*args[:-1], _resolve_addr(self._sock, args[-1]))
        return self._until_done(True, flags, self._sock.sendto, args)

    def sendmsg(self, buffers, ancdata=(), flags=0, address=None):
        args = (buffers, ancdata, flags, address)
        return self._until_done(True, flags, self._sock.sendmsg, args)


def _flags(args, index):
    return args[index] if len(args) > index else 0


for _name, _method in list(vars(socket).items()):
    _original = getattr(__socket__.socket, _name, None)
    if not _name.startswith("_") and not getattr(_method, "__doc__", "") and _original is not None:
        _method.__doc__ = _original.__doc__
del _name, _method, _original

SocketType = socket


def fromfd(fd, family, type, proto=0):
    """A socket of a copy of the descriptor."""
    return socket(family, type, proto, os.dup(fd))


def socketpair(family=None, type=SOCK_STREAM, proto=0):
    """Two sockets that are connected to each other."""
    if family is None:
        family = getattr(AddressFamily, "AF_UNIX", AF_INET)
    pair = _socket.socketpair(family, type, proto)
    first, second = (socket(family, type, proto, it.detach()) for it in pair)
    return first, second


if hasattr(__socket__, "_fallback_socketpair"):
    _fallback_socketpair = __socket__._fallback_socketpair

__all__ = __implements__ + __extensions__ + __imports__
for _name in ("close", "TCP_KEEPALIVE", "TCP_KEEPCNT"):
    if hasattr(__socket__, _name):
        globals()[_name] = getattr(__socket__, _name)
        if _name not in __all__:
            __all__.append(_name)
del _name
