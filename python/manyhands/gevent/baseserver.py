"""What servers have in common: they accept, and have somebody handle what they got."""

import _socket
import errno
import sys
import time

from manyhands.gevent._hub_local import get_hub
from manyhands.gevent.event import Event
from manyhands.gevent.greenlet import Greenlet
from manyhands.gevent.pool import Pool

__all__ = ["BaseServer"]

#: What the system says when it has no room for another connection, until somebody gives some back.
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
#: After how many seconds that is told again.
_TOLD_AGAIN = 60


def _handle_and_close(handle, close, args):
    try:
        return handle(*args)
    finally:
        close(*args)


def _handle_two_and_close(handle, close, first, second):
    # Since CPython 3.11 such a call takes nothing of the C stack, of which each that is parked has
    # a copy.
    try:
        return handle(first, second)
    finally:
        close(first, second)


class BaseServer:
    """Accepts at a listening socket, or an address, and has `handle` called with what it got.

    `listener` is a listening socket, or an address: `(host, port)`, "host:port", a port, or the
    path of a Unix socket. `spawn` says how it is handled: "default", each in a greenlet of its
    own; a number, in a pool of so many, and nobody is accepted while that is full; a pool; a
    function such as `gevent.spawn`; None, at once, in the hub's greenlet, where nothing may wait.
    """

    #: For how long accepting pauses, in seconds, when it fails: at first, and at most, as it gets
    #: longer from time to time. With a negative `min_delay` it does not pause.
    min_delay = 0.01
    max_delay = 1

    #: How many are accepted before others have their turn.
    max_accept = 100

    #: How long stop() waits for those who are being handled, if nothing else is said.
    stop_timeout = 1

    #: After these errors there is nothing to accept at any more.
    fatal_errors = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)

    _spawn = Greenlet.spawn
    _told_again = 0.0

    def __init__(self, listener, handle=None, spawn="default"):
        self._stop_event = Event()
        self._stop_event.set()
        self._watcher = None
        self._timer = None
        self._handle = None
        self.pool = None
        try:
            self.set_listener(listener)
            self.set_spawn(spawn)
            self.set_handle(handle)
            self.delay = self.min_delay
            self.loop = get_hub().loop
            if self.max_accept < 1:
                raise ValueError(f"max_accept must be positive int: {self.max_accept!r}")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.stop()

    def set_listener(self, listener):
        """Say where to accept."""
        if hasattr(listener, "accept"):
            if hasattr(listener, "do_handshake"):
                raise TypeError(f"Expected a regular socket, not SSLSocket: {listener!r}")
            self.family = listener.family
            self.address = listener.getsockname()
            self.socket = listener
        else:
            self.family, self.address = parse_address(listener)

    def set_spawn(self, spawn):
        """Say how to have it handled."""
        self.pool = None
        if spawn == "default":
            self._spawn = type(self)._spawn
        elif hasattr(spawn, "spawn"):
            self.pool = spawn
            self._spawn = spawn.spawn
        elif isinstance(spawn, int):
            self.pool = Pool(spawn)
            self._spawn = self.pool.spawn
        else:
            self._spawn = spawn
        if hasattr(self.pool, "full"):
            self.full = self.pool.full
        if self.pool is not None:
            self.pool._semaphore.rawlink(self._start_accepting_if_started)

    def set_handle(self, handle):
        """Say who handles it."""
        if handle is not None:
            self.handle = handle
        if not hasattr(self, "handle"):
            raise TypeError("'handle' must be provided")
        self._handle = self.handle

    def _start_accepting_if_started(self, _event=None):
        if self.started:
            self.start_accepting()

    def start_accepting(self):
        """Accept, from now on."""
        if self._watcher is None:
            self._watcher = self.loop.io(self.socket.fileno(), 1)
            self._watcher.start(self._do_read)

    def stop_accepting(self):
        """Accept no more, for now."""
        for name in ("_watcher", "_timer"):
            watcher = getattr(self, name)
            setattr(self, name, None)
            if watcher is not None:
                watcher.close()

    def _pause(self):
        if self.delay >= 0:
            self.stop_accepting()
            self._timer = self.loop.timer(self.delay)
            self._timer.start(self._start_accepting_if_started)
            self.delay = min(self.max_delay, self.delay * 2)

    def do_handle(self, *args):
        """Have it handled, and closed afterwards."""
        try:
            if self._spawn is None:
                _handle_and_close(self._handle, self.do_close, args)
            elif len(args) == 2:
                self._spawn(_handle_two_and_close, self._handle, self.do_close, *args)
            else:
                self._spawn(_handle_and_close, self._handle, self.do_close, args)
        except BaseException:
            self.do_close(*args)
            raise

    def do_close(self, *args):
        """Close what was accepted."""

    def do_read(self):
        """Accept: the arguments for `handle`, or None if there is nobody."""
        raise NotImplementedError("do_read() is to be there in what derives from BaseServer")

    def _do_read(self):
        for _ in range(self.max_accept):
            if self.full():
                # The pool says when it has room again.
                self.stop_accepting()
                if self.pool is not None:
                    self.pool._semaphore.rawlink(self._start_accepting_if_started)
                return
            try:
                args = self.do_read()
                self.delay = self.min_delay
                if not args:
                    return
            except BaseException as error:
                self._tell(error)
                if self.is_fatal_error(error):
                    self.close()
                    sys.stderr.write(f"ERROR: {self} failed with {error or repr(error)}\n")
                    return
                self._pause()
                return
            try:
                self.do_handle(*args)
            except BaseException:
                self.loop.handle_error((args[1:], self), *sys.exc_info())
                self._pause()
                return

    def _tell(self, error):
        # With room for one connection after the other, each of them is followed by a failure.
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            now = time.monotonic()
            if now < self._told_again:
                return
            self._told_again = now + _TOLD_AGAIN
        self.loop.handle_error(self, type(error), error, error.__traceback__)

    def full(self):
        """Whether nobody is to be accepted, as too many are being handled."""
        return False

    def __repr__(self):
        return f"<{type(self).__name__} at {hex(id(self))} {self._formatinfo()}>"

    def __str__(self):
        return f"<{type(self).__name__} {self._formatinfo()}>"

    def _formatinfo(self):
        if hasattr(self, "socket"):
            try:
                result = f"fileno={self.socket.fileno()}"
            except Exception as error:
                result = str(error) or repr(error)
        else:
            result = "not started"
        address = getattr(self, "address", None)
        if isinstance(address, tuple):
            result += f" address={address[0]}:{address[1]}"
        elif address is not None:
            result += f" address={address}"
        handle = self.__dict__.get("handle")
        if handle is not None:
            own = getattr(handle, "__self__", None) is self
            name = f"<bound method {handle.__func__.__qualname__} of self>" if own else repr(handle)
            result += f" handle={name}"
        return result

    @property
    def server_host(self):
        """The host that it listens at; None for Unix sockets."""
        return self.address[0] if isinstance(self.address, tuple) else None

    @property
    def server_port(self):
        """The port that it listens at; None for Unix sockets."""
        return self.address[1] if isinstance(self.address, tuple) else None

    def init_socket(self):
        """Listen, if that is still to be done; start() calls it."""

    @property
    def started(self):
        """Whether it was started and not stopped."""
        return not self._stop_event.is_set()

    def start(self):
        """Listen and accept."""
        self.init_socket()
        self._stop_event.clear()
        try:
            self.start_accepting()
        except BaseException:
            self.close()
            raise

    def close(self):
        """Accept no more and close the listening socket. Who is being handled is not disturbed."""
        self._stop_event.set()
        self.stop_accepting()
        listener = self.__dict__.pop("socket", None)
        if listener is not None:
            listener.close()
        # What refers to this, or to others, goes: who keeps a server keeps nothing else.
        for name in ("handle", "_handle", "_spawn", "full"):
            self.__dict__.pop(name, None)
        if self.pool is not None:
            self.pool._semaphore.unlink(self._start_accepting_if_started)

    @property
    def closed(self):
        """Whether it was closed."""
        return not hasattr(self, "_handle")

    def stop(self, timeout=None):
        """Close it. With a pool, wait for those who are being handled, for at most so many seconds
        (None: `stop_timeout`), and kill those who are left."""
        self.close()
        if timeout is None:
            timeout = self.stop_timeout
        if self.pool is not None:
            self.pool.join(timeout=timeout)
            self.pool.kill(block=True, timeout=1)

    def serve_forever(self, stop_timeout=None):
        """Start it, if that was not done, and wait until it is stopped."""
        if not self.started:
            self.start()
        try:
            self._stop_event.wait()
        finally:
            Greenlet.spawn(self.stop, timeout=stop_timeout).join()

    def is_fatal_error(self, ex):
        """Whether nothing can be accepted any more after this error."""
        return isinstance(ex, OSError) and ex.errno in self.fatal_errors


def _family_of(host):
    if host.startswith("[") and host.endswith("]"):
        return _socket.AF_INET6, host[1:-1]
    return _socket.AF_INET, host


def _parse(address):
    if isinstance(address, tuple):
        if not address[0] or ":" in address[0]:
            return _socket.AF_INET6, address
        return _socket.AF_INET, address
    if isinstance(address, int):
        # With no host: all of this machine's addresses.
        return _socket.AF_INET6, ("", address)
    if not isinstance(address, str):
        raise TypeError(f"Expected tuple or string, got {type(address)}")
    host, colon, port = address.rpartition(":")
    if not colon:
        if address.isdigit():
            return _socket.AF_INET6, ("", int(address))
        return _socket.AF_UNIX, address
    if not port.isdigit():
        return _socket.AF_UNIX, address
    family, host = _family_of(host)
    if host == "*":
        host = ""
    return family, (host, int(port))


def parse_address(address):
    """The family and the address that a socket is bound to: of `(host, port)`, "host:port", a port,
    or the path of a Unix socket."""
    try:
        return _parse(address)
    except ValueError as error:
        raise ValueError(f"Failed to parse address {address!r}: {error}") from None
