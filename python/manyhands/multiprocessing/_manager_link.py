"""A thread's connection with a manager's server: how requests go over it, and how it is mended.

A server of ours answers `accept_connection` with a dict. With such a one all that a thread wants
goes over this connection, also what the standard library opens a new one for each time, and each
request has a number: one that is sent again, after the connection broke, is carried out once.
"""

import contextlib
import errno
import socket
import threading
import time
import weakref

from manyhands import _native as _engine
from manyhands._stdlib import original
from manyhands.multiprocessing import connection as _connection

_native = _engine.multiprocessing
_stdlib = original("multiprocessing.managers")
_process = original("multiprocessing.process")
_ForkingPickler = original("multiprocessing.reduction").ForkingPickler

#: What is in the answer of a server of ours to `accept_connection`.
OURS = "manyhands"

#: Seconds between two attempts to connect again: the first, and the most.
_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

#: For how long that goes on.
_PERSISTENCE = 5.0

#: The most seconds that letting go of an object may take where it needs a connection of its own.
_HASTE = 1.0

#: What may also be asked of another server than before.
_FOR_ANY_SERVER = frozenset(("create", "debug_info", "dummy", "number_of_objects", "shutdown"))


class ServerLost(ConnectionResetError, EOFError):
    """The connection with a manager's server is lost, and could not be made again."""


ServerLost.__module__ = "manyhands.multiprocessing.managers"


def dispatch(c, id, methodname, args=(), kwds={}):  # noqa: B006
    """Make a request over a connection and return what it gives, or raise what it raises."""
    c.send((id, methodname, args, kwds))
    kind, result = c.recv()
    if kind == "#RETURN":
        return result
    try:
        raise _stdlib.convert_to_error(kind, result)
    finally:
        # An exception that refers to this frame is a cycle otherwise.
        del result


class Way:
    """How servers are reached: by which kind of connection, with which key."""

    __slots__ = ("authkey", "client", "is_pickled")

    def __init__(self, client, authkey, serializer):
        self.client = client
        self.authkey = authkey
        self.is_pickled = serializer == "pickle"

    def connect(self, address, tls=None):
        """Open a connection; an error that has no more to say names the address."""
        try:
            if tls is not None:
                return self._secured(address, tls)
            return self.client(address, authkey=self.authkey)
        except EOFError as error:
            text = f"the server at {address!r} hung up before it knew who is there"
            if tls is None:
                text += ": if it wants TLS, give the manager tls="
            raise EOFError(text) from error
        except OSError as error:
            if error.errno is None or error.filename is not None:
                raise
            if tls is not None and repr(address) in str(error):
                raise
            raise type(error)(error.errno, error.strerror, address) from None

    def _secured(self, address, tls, limit=None):
        made = tls.connect(address, limit)
        ready = made if limit is None else _Hasty(made, limit)
        with _connection._closed_on_error(made):
            if self.authkey is not None:
                _connection.answer_challenge(ready, self.authkey)
                _connection.deliver_challenge(ready, self.authkey)
        return ready

    def connect_in_haste(self, address, limit=_HASTE, tls=None):
        """Open a connection, or raise TimeoutError when it takes too long."""
        if tls is not None:
            return self._secured(address, tls, limit)
        if self.client is not _connection.Client:
            return self.connect(address)
        connected = socket.socket(getattr(socket, _connection.address_type(address)))
        try:
            connected.settimeout(limit)
            connected.connect(address)
            made = _connection._connection_over(connected)
        except BaseException:
            connected.close()
            raise
        hasty = _Hasty(made, limit)
        with _connection._closed_on_error(made):
            if self.authkey is not None:
                _connection.answer_challenge(hasty, self.authkey)
                _connection.deliver_challenge(hasty, self.authkey)
        return hasty


class _Hasty:
    """A connection whose other end has to answer in time."""

    def __init__(self, connection, limit):
        self._connection = connection
        self._deadline = time.monotonic() + limit
        self.send, self.send_bytes = connection.send, connection.send_bytes
        self.close = connection.close

    def _await(self):
        if not self._connection.poll(max(0.0, self._deadline - time.monotonic())):
            raise TimeoutError("the manager's server does not answer in time")

    def recv(self):
        self._await()
        return self._connection.recv()

    def recv_bytes(self, maxlength=None):
        self._await()
        return self._connection.recv_bytes(maxlength)


class Link(_native.Link):
    """A thread's connection with a server.

    How a request is made is native, and `connection` is None where it is to be opened again.
    `session` is what the server answered to `accept_connection`: a dict if it is ours. While a
    request is under way a signal handler, or a finalizer, may want to make another: that one goes
    over the `inner` link, or, if it needs no answer, is sent `later`. What another greenlet of the
    thread asks goes over its own, `beside` this one.
    """

    __slots__ = ("beside", "inner", "is_own", "later", "peer", "session", "way")

    def __init__(self, peer, way):
        self.peer = peer
        self.way = way
        self.session = None
        self.inner = None
        self.later = []
        self.beside = None
        #: Whether it is that of one greenlet.
        self.is_own = False

    def open(self):
        """Connect; return whether the server is the one that it was before."""
        name = _process.current_process().name
        if threading.current_thread().name != "MainThread":
            name += "|" + threading.current_thread().name
        before = self.session
        connection = self.way.connect(self.peer.address, self.peer.tls)
        try:
            if self.way.is_pickled:
                says = {"name": name}
                if before is not None:
                    says["session"] = before.get("session")
                    # Else the request that was under way is sent again.
                    says["given_up"] = not self.is_broken
                answer = dispatch(connection, None, "accept_connection", (), says)
            else:
                answer = dispatch(connection, None, "accept_connection", (name,))
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        self.session = answer if isinstance(answer, dict) and OURS in answer else None
        self.is_numbered = self.peer.is_ours = self.session is not None
        if before is None:
            return self.session is None
        is_known = self.session is not None and (
            self.session.get("session") == before.get("session")
        )
        if not is_known:
            self.number = 0
            self.later.clear()
        self._send_what_is_left()
        return is_known

    def close(self):
        """Close the connection. What is asked next opens it again."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
        if self.inner is not None:
            self.inner.close()
        if self.is_own and self.is_busy and not self.is_broken and self.session is not None:
            # The greenlet was killed, and may not come back to say that it has given up: the server
            # would keep for it what it has asked for.
            with contextlib.suppress(OSError, EOFError):
                self.open()

    def tell(self, message):
        """Send what needs no answer; later if it cannot be sent now."""
        self.later.append(message)
        self.has_left = True
        self._send_what_is_left()

    def _send_what_is_left(self):
        if self.is_busy or self.connection is None:
            return
        self.is_busy = True
        try:
            while self.later:
                self.connection.send(self.later[0])
                del self.later[0]
            self.has_left = False
        except (ConnectionError, EOFError):
            # It goes on with the next connection.
            self.close()
        except BaseException:
            self.close()
            raise
        finally:
            self.is_busy = False

    def _nested(self, request, number, error):
        if self.inner is None:
            self.inner = Link(self.peer, self.way)
        return self.inner.request(*request)

    def _beside(self):
        import greenlet

        if self.beside is None:
            self.beside = weakref.WeakKeyDictionary()
        current = greenlet.getcurrent()
        link = self.beside.get(current)
        if link is None:
            link = self.beside[current] = Link(self.peer, self.way)
            link.is_beside = link.is_own = True
        return link

    def _swap(self, connection, message):
        """Send a request and receive the answer, over a connection that is not native."""
        # What cannot be pickled is an error of who wants it sent; no harm is done. Copied, as the
        # pickler's own memory must not outlive it, which it would in an error's traceback.
        pickled = None if self.peer.tls is None else bytes(_ForkingPickler.dumps(message))
        try:
            if pickled is None:
                connection.send(message)
            else:
                connection.send_bytes(pickled)
            self.is_sent = True
            if pickled is None:
                return connection.recv()
            answer = connection.recv_bytes()
        except (ConnectionError, EOFError):
            self.is_broken = True
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        return _ForkingPickler.loads(answer)

    def _persist(self, request, number=None, error=None):
        """Make a request after all, as its connection is not there; or broke, by `error`."""
        if error is not None and (self.peer.is_over or (self.session is None and self.is_sent)):
            raise self._lost(request, error) from error
        pause = _PAUSE
        give_up = time.monotonic() + _PERSISTENCE
        while True:
            before = self.session
            try:
                is_known = self.open()
            except (OSError, EOFError) as failed:
                if before is None and error is None:
                    raise
                if before is None or not self._may_come_back(failed, give_up - pause):
                    raise self._lost(request, error or failed) from failed
            else:
                if not is_known:
                    if before is not None and not _is_for_any(request):
                        raise self._replaced(request) from error
                    number = None
                try:
                    return self._exchange(request, number)
                except Exception as failed:
                    if not self.is_broken:
                        raise
                    error = failed
                    if self.session is None or time.monotonic() > give_up - pause:
                        raise self._lost(request, error) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _may_come_back(self, failed, give_up):
        if self.peer.is_over or time.monotonic() > give_up:
            return False
        # A socket in the file system that nobody listens at is one of a server that has ended.
        is_path = _connection.address_type(self.peer.address) == "AF_UNIX"
        if is_path and isinstance(failed, (FileNotFoundError, ConnectionRefusedError)):
            return False
        return isinstance(failed, (ConnectionError, EOFError)) or (
            isinstance(failed, OSError) and failed.errno in _PASSING
        )

    def _lost(self, request, error):
        text = f"lost the manager's server at {self.peer.address!r} ({_reason(error)})"
        if self.is_sent:
            text += f"; whether it has carried out {request[1]!r} is not known"
        else:
            text += f"; it has not carried out {request[1]!r}"
        return ServerLost(text)

    def _replaced(self, request):
        return ServerLost(
            f"the manager's server at {self.peer.address!r} is another one than before, and has "
            f"none of its objects; whether that one carried out {request[1]!r} is not known: make "
            "or get the objects again"
        )


#: Errors of a network that may be right again soon.
_PASSING = frozenset(
    (errno.EAGAIN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.ETIMEDOUT)
)


def _is_for_any(request):
    return request[0] is None and request[1] in _FOR_ANY_SERVER


def _reason(error):
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
