"""Connections."""

from __future__ import annotations

import queue
import socket
import threading
from logging import DEBUG, ERROR
from typing import TYPE_CHECKING, Any

from manyhands._native import ssh

from . import _ssh_errors as errors
from ._pump import descriptor_of
from .channel import Channel
from .pkey import PKey
from .ssh_exception import AuthenticationException, BadAuthenticationType, SSHException
from .util import ClosingContextManager, b, get_logger, u

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LOCAL_VERSION = "SSH-2.0-Manyhands"


class Transport(ClosingContextManager):
    """A connection to a server, over a socket, or to an address: "host:port" or `(host, port)`.

    `start_client` or `connect` begins it. Close it when it is done.
    """

    def __init__(
        self,
        sock: Any,
        default_window_size: int | None = None,
        default_max_packet_size: int | None = None,
        gss_kex: bool = False,
        gss_deleg_creds: bool = True,
        disabled_algorithms: Mapping[str, Iterable[str]] | None = None,
        server_sig_algs: bool = True,
        strict_kex: bool = True,
        packetizer_class: Any = None,
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
        self.local_version = _LOCAL_VERSION
        self.logger = get_logger("paramiko.transport")
        self._log_name = "paramiko.transport"
        self._native: Any = None
        self._known_keys: list[str] = []
        self._compress = False
        self._username: str | None = None
        self._exception: Exception | None = None
        self._handlers: dict[int, Callable[..., Any] | None] = {}
        self._incoming: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._acceptor: threading.Thread | None = None

    def __repr__(self) -> str:
        state = "unconnected"
        if self.is_active():
            authenticated = self.is_authenticated()
            state = "active" if authenticated else "connected; awaiting auth"
            state = f"cipher {self._native.cipher}) ({state}"
        return f"<paramiko.Transport at {id(self) & 0xFFFFFFFF:#x} ({state})>"

    def _log(self, level: int, message: str) -> None:
        self.logger.log(level, message)

    def set_log_channel(self, name: str) -> None:
        """Log under this name."""
        self._log_name = name
        self.logger = get_logger(name)

    def get_log_channel(self) -> str:
        """The name that it logs under."""
        return self._log_name

    def use_compression(self, compress: bool = True) -> None:
        """Ask for compression; to be called before `start_client`."""
        self._compress = compress

    def start_client(
        self, event: threading.Event | None = None, timeout: float | None = None
    ) -> None:
        """Exchange keys. Returns when that is done, also if there is an event, which is set then.

        Raises SSHException (`IncompatiblePeer` if there is no common algorithm).
        """
        if self._native is not None:
            raise SSHException("this connection was begun before")
        descriptor, is_local = descriptor_of(self.sock)
        disabled = [(kind, list(names)) for kind, names in self.disabled_algorithms.items()]
        limit = self.banner_timeout if timeout is None else timeout
        try:
            with errors.of_requests():
                self._native = ssh.Session.start(
                    descriptor,
                    is_local,
                    _label(self.sock),
                    disabled,
                    self._known_keys,
                    self._compress,
                    limit,
                )
        except Exception as error:
            self._exception = error
            self.sock.close()
            raise
        finally:
            if event is not None:
                event.set()
        self._log(DEBUG, f"Connected ({self.remote_version})")

    def connect(
        self,
        hostkey: PKey | None = None,
        username: str = "",
        password: str | None = None,
        pkey: PKey | None = None,
    ) -> None:
        """Exchange keys, check the server's if there is one to compare with, and authenticate if
        there is a password or key."""
        if hostkey is not None:
            self._known_keys = algorithms_of(hostkey.get_name())
        self.start_client()
        if hostkey is not None and self.get_remote_server_key() != hostkey:
            self.close()
            raise SSHException("Bad host key from server")
        if pkey is not None:
            self.auth_publickey(username, pkey)
        elif password is not None:
            self.auth_password(username, password)

    def _session(self) -> Any:
        if not self.is_active():
            raise SSHException("No existing session")
        return self._native

    @property
    def active(self) -> bool:
        """As `is_active`."""
        return self.is_active()

    @property
    def remote_version(self) -> str:
        """How the server calls itself; empty before `start_client`."""
        return str(self._native.remote_version) if self._native is not None else ""

    def is_active(self) -> bool:
        """Whether it was begun, and has not ended."""
        return self._native is not None and bool(self._native.is_active)

    is_alive = is_active

    def is_authenticated(self) -> bool:
        """Whether the user is authenticated, and it has not ended."""
        return self._native is not None and bool(self._native.is_authenticated)

    def get_username(self) -> str | None:
        """Whom it was tried to authenticate; None before that."""
        return self._username

    def get_banner(self) -> bytes | None:
        """What the server had to say before authentication, if anything."""
        banner = self._native.banner if self._native is not None else None
        return None if banner is None else b(banner)

    def get_exception(self) -> Exception | None:
        """What the connection failed with, once; None if it has not."""
        error, self._exception = self._exception, None
        if error is None and self._native is not None and self._native.end:
            return SSHException(self._native.end)
        return error

    def get_remote_server_key(self) -> PKey:
        """The server's key; SSHException without a connection."""
        name, blob = self._session().host_key
        return PKey.from_type_string(name, blob)

    def getpeername(self) -> Any:
        """The server's address; `("unknown", 0)` if the socket does not tell."""
        ask = getattr(self.sock, "getpeername", None)
        return ask() if ask is not None else ("unknown", 0)

    def close(self) -> None:
        """Close it, with all channels."""
        if self._native is not None:
            self._native.close()
        self.sock.close()

    def stop_thread(self) -> None:
        """As `close`: there is no thread per connection."""
        self.close()

    def auth_none(self, username: str) -> list[str]:
        """Try without proof; AuthenticationException if that is not allowed. Like all that
        authenticate it returns the methods that the server wants on top of it, mostly none."""
        return self._auth("none", "auth_none", username)

    def auth_password(
        self,
        username: str,
        password: str | bytes,
        event: threading.Event | None = None,
        fallback: bool = True,
    ) -> list[str]:
        """Authenticate by a password, which also answers a single question if the server wants that
        instead and `fallback` is true.

        Raises BadAuthenticationType, AuthenticationException, SSHException.
        """
        text = u(password)
        try:
            return self._auth("password", "auth_password", username, text)
        except BadAuthenticationType as error:
            if not fallback or "keyboard-interactive" not in error.allowed_types:
                raise

            def answer(_title: str, _text: str, fields: list[tuple[str, bool]]) -> list[str]:
                if len(fields) > 1:
                    raise SSHException("Fallback authentication failed.") from None
                return [text] if fields else []

            return self.auth_interactive(username, answer)
        finally:
            if event is not None:
                event.set()

    def auth_publickey(
        self, username: str, key: PKey, event: threading.Event | None = None
    ) -> list[str]:
        """Authenticate by a key, and its certificate if it has one; errors as `auth_password`."""

        def sign(data: bytes, algorithm: str | None) -> bytes:
            signature: Any = key.sign_ssh_data(data, algorithm)
            return bytes(signature.asbytes() if hasattr(signature, "asbytes") else signature)

        blob = key.public_blob
        certificate = blob.key_blob if blob is not None else None
        try:
            return self._auth("publickey", "auth_key", username, key.asbytes(), certificate, sign)
        except ValueError as error:
            raise SSHException(f"This key cannot be used: {error}") from None
        finally:
            if event is not None:
                event.set()

    def auth_interactive(
        self, username: str, handler: Callable[..., Any], submethods: str = ""
    ) -> list[str]:
        """Authenticate by answers: `handler(title, instructions, [(prompt, echo)])` gives them."""

        def answer(title: str, text: str, prompts: list[tuple[str, bool]]) -> list[str]:
            return [u(each) for each in handler(title, text, prompts)]

        return self._auth("keyboard-interactive", "auth_interactive", username, submethods, answer)

    def auth_interactive_dumb(
        self, username: str, handler: Callable[..., Any] | None = None, submethods: str = ""
    ) -> list[str]:
        """As `auth_interactive`; without a handler whoever sits at the terminal is asked."""

        def ask(title: str, text: str, prompts: list[tuple[str, bool]]) -> list[str]:
            for line in (title, text):
                if line:
                    print(line.strip())
            return [input(f"{prompt.strip()} ") for prompt, _ in prompts]

        return self.auth_interactive(username, handler or ask, submethods)

    def _auth(self, kind: str, method: str, username: str, *args: Any) -> list[str]:
        native = self._session()
        self._username = username
        with errors.of_authentication():
            outcome, methods = getattr(native, method)(username, *args, self.auth_timeout)
        if outcome == "success":
            return []
        if outcome == "partial":
            return list(methods)
        if kind not in methods:
            raise BadAuthenticationType("Bad authentication type", list(methods))
        raise AuthenticationException("Authentication failed.")

    def open_session(
        self,
        window_size: int | None = None,
        max_packet_size: int | None = None,
        timeout: float | None = None,
    ) -> Channel:
        """A channel for a command, shell or subsystem; ChannelException if the server refuses."""
        return self.open_channel("session", timeout=timeout)

    def open_channel(
        self,
        kind: str,
        dest_addr: tuple[str, int] | None = None,
        src_addr: tuple[str, int] | None = None,
        window_size: int | None = None,
        max_packet_size: int | None = None,
        timeout: float | None = None,
    ) -> Channel:
        """A channel of a kind: "session", or "direct-tcpip", through which the server connects to
        `dest_addr`. Windows and packets have the sizes that are fast.

        Raises ChannelException if the server refuses, SSHException without a connection or after
        the timeout.
        """
        if not self.is_active():
            raise SSHException("SSH session not active")
        limit = self.channel_timeout if timeout is None else timeout
        with errors.of_requests():
            if kind == "session":
                native = self._native.open(limit)
            elif kind == "direct-tcpip" and dest_addr is not None:
                native = self._native.open_direct(dest_addr, src_addr or ("127.0.0.1", 0), limit)
            else:
                raise NotImplementedError(f"manyhands.paramiko does not open channels of {kind!r}")
        return Channel(self, native)

    def request_port_forward(
        self, address: str, port: int, handler: Callable[..., Any] | None = None
    ) -> int:
        """Have the server forward a port of its own, 0 for one that it chooses; which.

        For each connection `handler(channel, (address, port), (server's address, port))` is called
        in a thread; without a handler `accept` returns the channels.
        """
        if not self.is_active():
            raise SSHException("SSH session not active")
        with errors.of_requests():
            chosen = int(self._native.forward(address, port, self.channel_timeout))
        self._handlers[chosen] = handler
        if self._acceptor is None:
            self._acceptor = threading.Thread(
                target=self._accept_all, name="paramiko forwarded ports", daemon=True
            )
            self._acceptor.start()
        return chosen

    def cancel_port_forward(self, address: str, port: int) -> None:
        """End what `request_port_forward` began."""
        if self.is_active():
            with errors.of_requests():
                self._native.cancel_forward(address, port, self.channel_timeout)
            self._handlers.pop(port, None)

    def _accept_all(self) -> None:
        while True:
            try:
                native, origin, server = self._native.accept(None)
            except errors.NativeError:
                return
            channel = Channel(self, native)
            channel.origin_addr = origin
            handler = self._handlers.get(server[1])
            if handler is None:
                self._incoming.put(channel)
                continue
            try:
                handler(channel, origin, server)
            except Exception as error:
                self._log(ERROR, f"The handler of a forwarded port raised {error!r}")
                channel.close()

    def accept(self, timeout: float | None = None) -> Channel | None:
        """The next channel of a forwarded port that has no handler; None after the timeout."""
        try:
            channel: Channel = self._incoming.get(timeout=timeout)
        except queue.Empty:
            return None
        return channel

    def set_keepalive(self, interval: float) -> None:
        """Ask the server for a sign of life after each so many seconds, 0 for no longer; when it is
        silent for three of them the connection ends."""
        with errors.of_requests():
            self._session().set_keepalive(float(interval))

    def renegotiate_keys(self) -> None:
        """Exchange new keys now."""
        with errors.of_requests():
            self._session().rekey(self.handshake_timeout)

    def open_sftp_client(self) -> Any:
        """An `SFTPClient`, where there is one."""
        from . import SFTPClient

        return SFTPClient.from_transport(self)


def algorithms_of(key_type: str) -> list[str]:
    """The algorithms by which a server can prove to have a key of that type."""
    return ["rsa-sha2-512", "rsa-sha2-256"] if key_type == "ssh-rsa" else [key_type]


def _label(sock: Any) -> str:
    try:
        host, port = sock.getpeername()[:2]
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
