"""Channels of a connection, and files over them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NoReturn

from . import _ssh_errors as errors
from .file import BufferedFile
from .ssh_exception import SSHException
from .util import ClosingContextManager, asbytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .transport import Transport


class Channel(ClosingContextManager):
    """A command, shell, subsystem or forwarded connection, with the methods of a socket.

    Any number of threads may use it. What the server sends is kept until it is read, so no read of
    one output, or of the exit status, depends on another. After `settimeout`, calls that wait
    longer raise `socket.timeout`.
    """

    def __init__(self, transport: Transport, native: Any) -> None:
        self.transport = transport
        self.chanid = native.id
        self.remote_chanid = native.id
        self._native = native
        self._name = str(native.id)
        self.timeout: float | None = None
        self.combine_stderr = False
        self.origin_addr: Any = None
        self.eof_sent = False
        self._reads_no_more = False
        #: The address that the server connects it to, of one of that kind.
        self._leads_to: tuple[str, int] | None = None

    def __repr__(self) -> str:
        state = (
            " (closed)" if self.closed else " (EOF received)" if self.eof_received else " (open)"
        )
        return f"<paramiko.Channel {self.chanid}{state} -> {self.transport!r}>"

    @property
    def closed(self) -> bool:
        """Whether it is closed, by either side."""
        return bool(self._native.is_closed)

    @property
    def active(self) -> bool:
        """Whether it is open."""
        return not self.closed

    @property
    def eof_received(self) -> bool:
        """Whether no more output will come."""
        return self._reads_no_more or bool(self._native.is_ended)

    def _request(self, method: str, *args: Any) -> None:
        if self.closed or self.eof_received or self.eof_sent:
            raise SSHException("Channel is not open")
        try:
            getattr(self._native, method)(*args, self.transport.channel_timeout)
        except errors.NativeError as error:
            if error.args[0] == "denied":
                self.close()
            raise errors.of_request(error) from None

    def get_pty(
        self,
        term: str | bytes = "vt100",
        width: int = 80,
        height: int = 24,
        width_pixels: int = 0,
        height_pixels: int = 0,
    ) -> None:
        """Ask for a terminal, before a command or shell; SSHException if the server refuses."""
        size = (width, height, width_pixels, height_pixels)
        self._request("pty", asbytes(term).decode(), size)

    def invoke_shell(self) -> None:
        """Start the user's shell; SSHException if the server refuses."""
        self._request("shell")

    def exec_command(self, command: str | bytes) -> None:
        """Run a command; SSHException if the server refuses."""
        self._request("exec", asbytes(command))

    def invoke_subsystem(self, subsystem: str | bytes) -> None:
        """Start a subsystem, say "sftp"; SSHException if the server refuses."""
        self._request("subsystem", asbytes(subsystem).decode())

    def resize_pty(
        self, width: int = 80, height: int = 24, width_pixels: int = 0, height_pixels: int = 0
    ) -> None:
        """Tell the server the size of the terminal."""
        self._request("resize", (width, height, width_pixels, height_pixels))

    def update_environment(self, environment: Mapping[Any, Any]) -> None:
        """Set variables for what is run; servers ignore those that they do not allow."""
        for name, value in environment.items():
            self.set_environment_variable(name, value)

    def set_environment_variable(self, name: Any, value: Any) -> None:
        """Set a variable for what is run; servers ignore those that they do not allow."""
        self._request("env", asbytes(name).decode(), asbytes(value).decode())

    def request_forward_agent(self, handler: Callable[..., Any]) -> bool:
        """Offer the agent of this side to what is started next; True. `handler(channel)` is called
        for each connection to it, in a thread. `AgentRequestHandler` does all of that."""
        self._request("offer_agent")
        incoming = self.transport._incoming_channels()
        incoming.on_agent = handler
        incoming.welcome()
        return True

    def request_x11(
        self,
        screen_number: int = 0,
        auth_protocol: str | None = None,
        auth_cookie: str | bytes | None = None,
        single_connection: bool = False,
        handler: Callable[..., Any] | None = None,
    ) -> str | bytes:
        """Offer the display of this side to what is started next; the cookie that connections to it
        will show, a random one if none is given.

        `handler(channel, (address, port))` is called for each, in a thread; without a handler
        `Transport.accept` returns the channels. SSHException if the server refuses.
        """
        cookie = os.urandom(16).hex().encode() if auth_cookie is None else auth_cookie
        incoming = self.transport._incoming_channels()
        before, incoming.on_display = incoming.on_display, handler
        incoming.welcome()
        protocol = auth_protocol or "MIT-MAGIC-COOKIE-1"
        try:
            self._request(
                "offer_x11", single_connection, protocol, asbytes(cookie).decode(), screen_number
            )
        except BaseException:
            incoming.on_display = before
            raise
        return cookie

    def exit_status_ready(self) -> bool:
        """Whether `recv_exit_status` would not wait."""
        return bool(self._native.is_exit_known)

    def recv_exit_status(self) -> int:
        """Wait for the end of the command, whether or not its output was read; -1 if the server
        does not tell its status, as after a signal or when the connection ends."""
        return self._exit_status(None)

    def _exit_status(self, timeout: float | None) -> int:
        try:
            return int(self._native.exit(timeout))
        except errors.NativeError as error:
            if error.args[0] in ("closed", "channel", "io"):
                return -1
            raise errors.of_stream(error) from None

    @property
    def exit_status(self) -> int:
        """The exit status, -1 if it is not known yet or never."""
        return self._exit_status(0) if self.exit_status_ready() else -1

    @property
    def status_event(self) -> _StatusEvent:
        """An event, to be waited for only, that is set when the command has ended."""
        return _StatusEvent(self)

    def send_exit_status(self, status: int) -> NoReturn:
        """Raise NotImplementedError: servers do that."""
        raise NotImplementedError("manyhands.paramiko does not offer the server side of SSH")

    def get_transport(self) -> Transport:
        """The connection."""
        return self.transport

    def set_name(self, name: str) -> None:
        """Give it a name, for logs."""
        self._name = name

    def get_name(self) -> str:
        """Its name; its number if it was given none."""
        return self._name

    def get_id(self) -> int:
        """Its number on this side."""
        return int(self.chanid)

    def set_combine_stderr(self, combine: bool) -> bool:
        """Have standard error go to standard output, or no longer; returns how it was."""
        with errors.of_streams():
            before = bool(self._native.combine_outputs(bool(combine)))
        self.combine_stderr = bool(combine)
        return before

    def settimeout(self, timeout: float | None) -> None:
        """How many seconds a read or write may wait; None for ever, 0 not at all."""
        self.timeout = timeout

    def gettimeout(self) -> float | None:
        """What `settimeout` has set."""
        return self.timeout

    def setblocking(self, blocking: bool) -> None:
        """As `settimeout(None)` or `settimeout(0)`."""
        self.settimeout(None if blocking else 0.0)

    def getpeername(self) -> Any:
        """The address of the server."""
        return self.transport.getpeername()

    def close(self) -> None:
        """Close it; what has come can still be read."""
        self._native.close()

    def recv_ready(self) -> bool:
        """Whether there is output to read."""
        return bool(self._native.unread(False))

    def recv(self, nbytes: int) -> bytes:
        """At most so many bytes of output; none at its end. `socket.timeout` after the timeout."""
        return self._recv(False, nbytes)

    def recv_stderr_ready(self) -> bool:
        """Whether there is standard error to read."""
        return bool(self._native.unread(True))

    def recv_stderr(self, nbytes: int) -> bytes:
        """As `recv`, of standard error."""
        return self._recv(True, nbytes)

    def _recv(self, of_errors: bool, nbytes: int) -> bytes:
        try:
            return bytes(self._native.recv(of_errors, nbytes, self.timeout))
        except errors.NativeError as error:
            if error.args[0] == "closed":
                return b""
            raise errors.of_stream(error) from None

    def send_ready(self) -> bool:
        """Whether a `send` would not wait; as after the end, where it raises."""
        return self.closed or self.eof_sent or bool(self._native.is_writable)

    def send(self, s: Any) -> int:
        """Send some of these bytes; how many. `socket.timeout`, or OSError if it is closed."""
        with errors.of_streams():
            return int(self._native.send(_bytes(s), self.timeout))

    def send_stderr(self, s: Any) -> int:
        """As `send`, as standard error."""
        with errors.of_streams():
            return int(self._native.send_error(_bytes(s), self.timeout))

    def sendall(self, s: Any) -> None:
        """Send all of these bytes; errors as of `send`, after which some may have been sent."""
        self._send_all(self.send, s)

    def sendall_stderr(self, s: Any) -> None:
        """As `sendall`, as standard error."""
        self._send_all(self.send_stderr, s)

    def _send_all(self, send: Any, data: Any) -> None:
        view = memoryview(asbytes(data))
        while view:
            view = view[send(bytes(view[:_AT_ONCE])) :]

    def makefile(self, *params: Any) -> ChannelFile:
        """A file of output and input; the arguments are mode and size of the buffer."""
        return ChannelFile(self, *params)

    def makefile_stderr(self, *params: Any) -> ChannelStderrFile:
        """A file of standard error."""
        return ChannelStderrFile(self, *params)

    def makefile_stdin(self, *params: Any) -> ChannelStdinFile:
        """A file of input: closing it tells the command that there is no more."""
        return ChannelStdinFile(self, *params)

    def fileno(self) -> int:
        """A descriptor that is readable while there is something to read or no more will come; only
        for `select` and its like."""
        return int(self._native.readiness())

    def shutdown(self, how: int) -> None:
        """As of a socket: 0 no more reads, 1 no more writes, 2 neither."""
        if how in (0, 2):
            self._reads_no_more = True
        if how in (1, 2) and not self.eof_sent:
            self.eof_sent = True
            if not self.closed:
                with errors.of_streams():
                    self._native.send_eof(self.timeout)

    def shutdown_read(self) -> None:
        """Say that nothing more will be read. The server is not told, as SSH has no message for
        that; what comes is kept until the channel is closed."""
        self.shutdown(0)

    def shutdown_write(self) -> None:
        """Tell the server that nothing more will be sent."""
        self.shutdown(1)


# As much of what is sent is copied at a time.
_AT_ONCE = 1 << 18


def _bytes(data: Any) -> bytes:
    """What is to be sent: text, bytes, any buffer, or what has an `asbytes()`."""
    return bytes(memoryview(asbytes(data)))


class _StatusEvent:
    """Looks like a `threading.Event` that is set when a command has ended."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def is_set(self) -> bool:
        return self._channel.exit_status_ready()

    isSet = is_set

    def wait(self, timeout: float | None = None) -> bool:
        with contextlib.suppress(TimeoutError):
            self._channel._exit_status(timeout)
        return self.is_set()


class ChannelFile(BufferedFile):
    """A file over a channel; closing it does not close the channel."""

    _CHUNK = 1 << 18

    def __init__(self, channel: Channel, mode: str = "r", bufsize: int = -1) -> None:
        super().__init__()
        self.channel = channel
        self._set_mode(mode, bufsize)

    def __repr__(self) -> str:
        return f"<paramiko.ChannelFile from {self.channel!r}>"

    def _read(self, size: int) -> bytes:
        return self.channel.recv(size)

    def _write(self, data: bytes) -> int:
        self.channel.sendall(data)
        return len(data)


class ChannelStderrFile(ChannelFile):
    """A file of standard error."""

    def _read(self, size: int) -> bytes:
        return self.channel.recv_stderr(size)

    def _write(self, data: bytes) -> int:
        self.channel.sendall_stderr(data)
        return len(data)


class ChannelStdinFile(ChannelFile):
    """A file of input: closing it tells the command that there is no more."""

    def close(self) -> None:
        """Send what is in the buffer, and an end of file."""
        if not self.closed:
            super().close()
            self.channel.shutdown_write()
