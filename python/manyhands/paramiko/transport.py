"""Connections."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from logging import DEBUG
from typing import TYPE_CHECKING, Any, NoReturn

from manyhands._native import ssh

from . import _ssh_errors as errors
from ._authentication import Authentication
from ._facts import Facts
from ._incoming import Incoming
from ._packets import Packets
from ._pump import wire_of
from ._security import Preferences, SecurityOptions, algorithms_of
from ._threadlike import Threadlike
from .channel import Channel
from .common import (
    DEFAULT_MAX_PACKET_SIZE as DEFAULT_MAX_PACKET_SIZE,
    DEFAULT_WINDOW_SIZE as DEFAULT_WINDOW_SIZE,
    MAX_WINDOW_SIZE as MAX_WINDOW_SIZE,
    MIN_PACKET_SIZE as MIN_PACKET_SIZE,
    MIN_WINDOW_SIZE as MIN_WINDOW_SIZE,
    OPEN_FAILED_UNKNOWN_CHANNEL_TYPE,
)
from .message import Message
from .ssh_exception import ChannelException, SSHException
from .util import ClosingContextManager, get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .pkey import PKey

__all__ = ["SecurityOptions", "ServiceRequestingTransport", "Transport"]


class Transport(Facts, Threadlike, Authentication, Preferences, ClosingContextManager):
    """A connection to a server, over a socket, or to an address: "host:port" or `(host, port)`.

    `start_client` or `connect` begins it. Close it when it is done.
    """

    _PROTO_ID = "2.0"
    _CLIENT_ID = ssh.software()

    server_mode = False
    advertise_strict_kex = True

    def __init__(
        self,
        sock: Any,
        default_window_size: int | None = None,
        default_max_packet_size: int | None = None,
        disabled_algorithms: Mapping[str, Iterable[str]] | None = None,
        server_sig_algs: bool = True,
        strict_kex: bool = True,
        packetizer_class: Any = None,
        gss_kex: bool = False,
        gss_deleg_creds: bool = True,
    ) -> None:
        if gss_kex or packetizer_class is not None or not strict_kex:
            raise NotImplementedError(
                "manyhands.paramiko offers no GSSAPI, no other Packetizer and no lax key exchange"
            )
        self.sock = _connected(sock)
        self.disabled_algorithms = dict(disabled_algorithms or {})
        self.banner_timeout: float | None = 15
        self.handshake_timeout: float | None = 15
        self.auth_timeout: float | None = 30
        self.channel_timeout: float | None = 3600
        self.clear_to_send_timeout: float | None = 30
        self.local_version = f"SSH-{self._PROTO_ID}-{self._CLIENT_ID}"
        self.saved_exception: Exception | None = None
        self.logger = get_logger("paramiko.transport")
        self._log_name = "paramiko.transport"
        self._native: Any = None
        self._keepalive = 0.0
        self._username: str | None = None
        self._incoming: Incoming | None = None
        #: It has `REKEY_BYTES`, which programs raise or lower.
        self.packetizer = Packets()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        state = "unconnected"
        if self.is_active():
            authenticated = self.is_authenticated()
            state = "active" if authenticated else "connected; awaiting auth"
            state = f"cipher {self._native.negotiated[2]}) ({state}"
        return f"<paramiko.Transport at {id(self) & 0xFFFFFFFF:#x} ({state})>"

    def __del__(self) -> None:
        # It may not have been made to its end.
        if hasattr(self, "_lock"):
            self.close()

    def _log(self, level: int, message: str) -> None:
        self.logger.log(level, message)

    def set_log_channel(self, name: str) -> None:
        """Log under this name."""
        self._log_name = name
        self.logger = get_logger(name)

    def get_log_channel(self) -> str:
        """The name that it logs under."""
        return self._log_name

    def set_hexdump(self, hexdump: bool) -> None:
        """Raise NotImplementedError if packets are to be logged."""
        if hexdump:
            raise NotImplementedError("manyhands.paramiko does not log packets")

    def get_hexdump(self) -> bool:
        """False: packets are not logged."""
        return False

    def use_compression(self, compress: bool = True) -> None:
        """Ask for compression, or not; to be called before `start_client`."""
        self._preferred_compression = (
            ("zlib@openssh.com", "zlib", "none") if compress else ("none",)
        )

    def get_security_options(self) -> SecurityOptions:
        """The algorithms, which can be changed before `start_client`."""
        return SecurityOptions(self)

    def start_client(
        self, event: threading.Event | None = None, timeout: float | None = None
    ) -> None:
        """Exchange keys. With an event it returns at once; the event is set when that is done or
        has failed, which `is_active` and `get_exception` tell.

        Raises SSHException (`IncompatiblePeer` if there is no common algorithm).
        """
        if self._native is not None:
            raise SSHException("this connection was begun before")
        if event is None:
            self._begin(timeout)
        else:
            self._later(event, self._begin, timeout)

    def _later(self, event: threading.Event, work: Callable[..., Any], *arguments: Any) -> None:
        """Do something in another thread; the event says that it is done."""

        def run() -> None:
            try:
                work(*arguments)
            except Exception as error:
                self.saved_exception = error
            finally:
                event.set()

        threading.Thread(target=run, name="paramiko with an event", daemon=True).start()

    def _begin(self, timeout: float | None) -> None:
        software = self.local_version.removeprefix("SSH-2.0-")
        limits = (self.banner_timeout, self.handshake_timeout)
        if timeout is None and None not in limits:
            timeout = sum(limit or 0 for limit in limits)
        offered = self._offered()
        wire, is_local = wire_of(self.sock)
        label = _label(self.sock)
        try:
            with errors.of_requests():
                self._native = ssh.Session.start(
                    wire, is_local, label, offered, software, self.banner_timeout, timeout
                )
        except BaseException:
            self._close_socket()
            raise
        self.packetizer.use(self._native)
        if self._keepalive:
            self.set_keepalive(self._keepalive)
        self._log(DEBUG, f"Connected ({self.remote_version})")

    def connect(
        self,
        hostkey: PKey | None = None,
        username: str = "",
        password: str | None = None,
        pkey: PKey | None = None,
        gss_host: str | None = None,
        gss_auth: bool = False,
        gss_kex: bool = False,
        gss_deleg_creds: bool = True,
        gss_trust_dns: bool = True,
    ) -> None:
        """Exchange keys, check the server's if there is one to compare with, and authenticate if
        there is a password or key."""
        if gss_auth or gss_kex:
            raise NotImplementedError("manyhands.paramiko does not offer GSSAPI")
        if hostkey is not None:
            self._preferred_keys = tuple(algorithms_of(hostkey.get_name()))
        self.start_client()
        if hostkey is not None and self.get_remote_server_key() != hostkey:
            got = self.get_remote_server_key()
            self.close()
            raise SSHException(
                f"Bad host key from server: expected {hostkey.get_name()} {hostkey.fingerprint}, "
                f"got {got.get_name()} {got.fingerprint}"
            )
        if pkey is not None:
            self.auth_publickey(username, pkey)
        elif password is not None:
            self.auth_password(username, password)

    def get_username(self) -> str | None:
        """Whom it was tried to authenticate; None before that."""
        return self._username

    def get_exception(self) -> Exception | None:
        """What failed last, of what had an event, or what the connection ended with; None if
        nothing has. It is told once."""
        error, self.saved_exception = self.saved_exception, None
        if error is None and self._native is not None and self._native.end:
            return SSHException(self._native.end)
        return error

    def getpeername(self) -> Any:
        """The server's address; `("unknown", 0)` if the socket does not tell."""
        ask = getattr(self.sock, "getpeername", None)
        return ask() if ask is not None else ("unknown", 0)

    def close(self) -> None:
        """Close it, with all channels."""
        if self._native is not None:
            self._native.close()
        self._close_socket()

    def _close_socket(self) -> None:
        # What is only like a socket may not let itself be closed twice.
        with contextlib.suppress(OSError):
            self.sock.close()

    def stop_thread(self) -> None:
        """As `close`: there is no thread per connection."""
        self.close()

    def atfork(self) -> None:
        """To be called in a forked child: the parent's connection goes on, this process lets go of
        it."""
        self._close_socket()

    def open_session(
        self,
        window_size: int | None = None,
        max_packet_size: int | None = None,
        timeout: float | None = None,
    ) -> Channel:
        """A channel for a command, shell or subsystem; ChannelException if the server refuses."""
        return self.open_channel("session", timeout=timeout)

    def open_x11_channel(self, src_addr: tuple[str, int] | None = None) -> Channel:
        """A channel for a connection to a display that the server has."""
        return self.open_channel("x11", src_addr=src_addr)

    def open_channel(
        self,
        kind: str,
        dest_addr: tuple[str, int] | None = None,
        src_addr: tuple[str, int] | None = None,
        window_size: int | None = None,
        max_packet_size: int | None = None,
        timeout: float | None = None,
    ) -> Channel:
        """A channel of a kind: "session"; "direct-tcpip", through which the server connects to
        `dest_addr`; or "x11". Windows and packets have the sizes that are fast.

        Raises ChannelException if the server refuses or the kind is another one, SSHException
        without a connection or after the timeout.
        """
        native = self._session("SSH session not active")
        limit = self.channel_timeout if timeout is None else timeout
        host, port = src_addr or ("127.0.0.1", 0)
        if kind == "session":
            with errors.of_sessions():
                return Channel(self, native.open(limit))
        with errors.of_requests():
            if kind == "direct-tcpip" and dest_addr is not None:
                to = (dest_addr[0], int(dest_addr[1]))
                channel = Channel(self, native.open_direct(to, (host, int(port)), limit))
                channel._leads_to = to
                return channel
            if kind == "x11":
                return Channel(self, native.open_x11((host, int(port)), limit))
        if kind == "direct-tcpip":
            raise SSHException("a direct-tcpip channel needs a dest_addr")
        raise ChannelException(
            OPEN_FAILED_UNKNOWN_CHANNEL_TYPE,
            f"manyhands.paramiko opens no {kind!r} channels, but session, direct-tcpip and x11",
        )

    def _open_command(
        self, command: bytes, terminal: Any, environment: list[tuple[str, str]], limit: Any
    ) -> Channel:
        """A channel on which a command runs: what `open_session`, `get_pty`, `update_environment`
        and `exec_command` do, without waiting in between."""
        native = self._session("SSH session not active")
        limit = self.channel_timeout if limit is None else limit
        with errors.of_sessions():
            return Channel(self, native.open_command(command, terminal, environment, limit))

    def _incoming_channels(self) -> Incoming:
        native = self._session("SSH session not active")
        with self._lock:
            if self._incoming is None:
                self._incoming = Incoming(self, native)
            return self._incoming

    def request_port_forward(
        self, address: str, port: int, handler: Callable[..., Any] | None = None
    ) -> int:
        """Have the server forward a port of its own, 0 for one that it chooses; which.

        For each connection `handler(channel, (address, port), (server's address, port))` is called
        in a thread, the same one for all; without a handler `accept` returns the channels.
        """
        incoming = self._incoming_channels()
        if port:
            # A connection may come before the answer.
            incoming.ports[port] = handler
        try:
            chosen = int(self._native.forward(address, port, self.channel_timeout))
        except BaseException as error:
            incoming.ports.pop(port, None)
            if isinstance(error, errors.NativeError):
                raise errors.of_forwarding(error) from None
            raise
        incoming.ports[chosen] = handler
        return chosen

    def cancel_port_forward(self, address: str, port: int) -> None:
        """End what `request_port_forward` began."""
        if self.is_active():
            with errors.of_requests():
                self._native.cancel_forward(address, port, self.channel_timeout)
            self._incoming_channels().ports.pop(port, None)

    def _queue_incoming_channel(self, channel: Channel) -> None:
        """Have `accept` return a channel; handlers of programs call this."""
        self._incoming_channels().queue(channel)

    def accept(self, timeout: float | None = None) -> Channel | None:
        """The next channel of a forwarded port that has no handler; None after the timeout, or when
        the connection has ended."""
        incoming = self._incoming
        if incoming is None:
            incoming = self._incoming_channels()
        return incoming.accept(timeout)

    def set_keepalive(self, interval: float) -> None:
        """Ask the server for a sign of life after each so many seconds, 0 for no longer; when it is
        silent for three of them the connection ends. Before `start_client` it is for later."""
        self._keepalive = float(interval)
        if self._native is not None:
            with errors.of_requests():
                self._session().set_keepalive(self._keepalive)

    def send_ignore(self, byte_count: int | None = None) -> None:
        """Send that many bytes, or 10 to 41, that mean nothing: a request that servers ignore."""
        count = 10 + os.urandom(1)[0] % 32 if byte_count is None else byte_count
        self.global_request("ignore@manyhands", (os.urandom(count),), wait=False)

    def global_request(self, kind: str, data: Any = None, wait: bool = True) -> Message | None:
        """Make a request that is about the whole connection, with values that `Message.add` knows.

        The answer; None if the server refuses, or with `wait=False`.
        """
        message = Message()
        if data is not None:
            message.add(*data)
        native = self._session("SSH session not active")
        with errors.of_requests():
            answer = native.global_request(
                kind, message.asbytes(), wait, self.channel_timeout if wait else None
            )
        return None if answer is None else Message(answer)

    def renegotiate_keys(self) -> None:
        """Exchange new keys now."""
        with errors.of_requests():
            self._session().rekey(self.handshake_timeout)

    def open_sftp_client(self) -> Any:
        """An `SFTPClient` on a channel of its own."""
        from . import __getattr__ as named

        return named("SFTPClient").from_transport(self)

    @staticmethod
    def start_server(*arguments: Any, **named: Any) -> NoReturn:
        """Raise NotImplementedError, as the others of servers: connections are those of clients."""
        raise NotImplementedError("manyhands.paramiko does not offer the server side of SSH")

    add_server_key = get_server_key = load_server_moduli = start_server
    open_forwarded_tcpip_channel = open_forward_agent_channel = start_server
    set_subsystem_handler = start_server


class ServiceRequestingTransport(Transport):
    """As `Transport`, which asks for the service of authentication once per connection, too; its
    methods to authenticate have no event."""

    def ensure_session(self) -> None:
        """Raise SSHException if there is no connection that could be authenticated."""
        self._session()

    def auth_password(  # type: ignore[override]  # As in paramiko.
        self, username: str, password: str | bytes, fallback: bool = True
    ) -> list[str]:
        """See `Transport.auth_password`."""
        return super().auth_password(username, password, fallback=fallback)

    def auth_publickey(  # type: ignore[override]  # As in paramiko.
        self, username: str, key: PKey
    ) -> list[str]:
        """See `Transport.auth_publickey`."""
        return super().auth_publickey(username, key)


def _label(sock: Any) -> str:
    try:
        host, port = getattr(sock, "_leads_to", None) or sock.getpeername()[:2]
    except (AttributeError, OSError, ValueError, TypeError):
        return "server"
    return f"{host}:{port}"


def _connected(sock: Any) -> Any:
    if isinstance(sock, str):
        host, _, port = sock.partition(":")
        sock = (host, int(port or 22))
    if not isinstance(sock, tuple):
        return sock
    try:
        return socket.create_connection(sock)
    except OSError as error:
        raise SSHException(f"Unable to connect to {sock[0]}: {error}") from error
