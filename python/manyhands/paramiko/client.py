"""The client: connections whose servers are known, and commands."""

from __future__ import annotations

import getpass
import os
import socket  # noqa: F401  # Tests of programs replace what is in it by this name.
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from ._dial import dial
from ._host_certificates import is_vouched_for
from ._jumps import channel_through, jump_client
from ._policies import AutoAddPolicy, MissingHostKeyPolicy, RejectPolicy, WarningPolicy
from ._security import algorithms_of
from .agent import Agent
from .channel import ChannelFile, ChannelStderrFile, ChannelStdinFile
from .hostkeys import HostKeys
from .pkey import PKey
from .ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    SSHException,
)
from .transport import Transport
from .util import ClosingContextManager, asbytes, get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .channel import Channel

__all__ = [
    "AutoAddPolicy",
    "MissingHostKeyPolicy",
    "RejectPolicy",
    "SSHClient",
    "WarningPolicy",
]

SSH_PORT = 22

_SECOND_FACTORS = {"keyboard-interactive", "password"}


class SSHClient(ClosingContextManager):
    """A connection to a server, and what can be done with it.

    Servers whose key is not known are refused, unless a policy says otherwise.
    """

    def __init__(self) -> None:
        self._system_host_keys = HostKeys()
        self._host_keys = HostKeys()
        self._host_keys_filename: str | None = None
        self._log_channel: str | None = None
        self._policy: Any = RejectPolicy()
        self._transport: Any = None
        self._agent: Agent | None = None
        #: The connection that this one goes through, if it was made for that.
        self._jump: SSHClient | None = None

    def _sibling(self) -> SSHClient:
        """One with the same known hosts and policy."""
        other = SSHClient()
        other._system_host_keys, other._host_keys = self._system_host_keys, self._host_keys
        other._host_keys_filename = self._host_keys_filename
        other._log_channel, other._policy = self._log_channel, self._policy
        return other

    def _log(self, level: int, message: str) -> None:
        get_logger(self._log_channel or "paramiko.transport").log(level, message)

    def load_system_host_keys(self, filename: str | None = None) -> None:
        """Load known hosts that are not to be saved; without a name those of the user, if any."""
        if filename is not None:
            self._system_host_keys.load(filename)
            return
        try:
            self._system_host_keys.load(os.path.expanduser("~/.ssh/known_hosts"))
        except OSError:
            self._log(DEBUG, "there is no file of known hosts")

    def load_host_keys(self, filename: str) -> None:
        """Load known hosts from a file, to which `AutoAddPolicy` adds."""
        self._host_keys_filename = filename
        self._host_keys.load(filename)

    def save_host_keys(self, filename: str) -> None:
        """Write what is known of `get_host_keys()` to a file."""
        if self._host_keys_filename is not None:
            self._host_keys.load(self._host_keys_filename)
        self._host_keys.save(filename)

    def get_host_keys(self) -> HostKeys:
        """The known hosts that can be changed and saved."""
        return self._host_keys

    def set_log_channel(self, name: str) -> None:
        """Log under this name."""
        self._log_channel = name

    def set_missing_host_key_policy(self, policy: Any) -> None:
        """What to do about unknown hosts: a policy, or its class."""
        self._policy = policy() if isinstance(policy, type) else policy

    def connect(
        self,
        hostname: str,
        port: int = 22,
        username: str | None = None,
        password: str | None = None,
        pkey: PKey | None = None,
        key_filename: str | Iterable[str] | None = None,
        timeout: float | None = None,
        allow_agent: bool = True,
        look_for_keys: bool = True,
        compress: bool = False,
        sock: Any = None,
        banner_timeout: float | None = None,
        auth_timeout: float | None = None,
        channel_timeout: float | None = None,
        passphrase: str | None = None,
        disabled_algorithms: Mapping[str, Iterable[str]] | None = None,
        transport_factory: Callable[..., Any] | None = None,
        auth_strategy: Any = None,
        *,
        gss_auth: bool = False,
        gss_kex: bool = False,
        gss_deleg_creds: bool = True,
        gss_host: str | None = None,
        gss_trust_dns: bool = True,
        proxy_jump: Any = None,
    ) -> Any:
        """Connect, check the server's key, and authenticate: by `pkey`, `key_filename`, the agent's
        keys, those of `~/.ssh`, the password. With an `auth_strategy`, by that; its result is
        returned.

        `proxy_jump` are hosts to go through, as "user@one:22,two": each is checked and
        authenticated as this one, but by keys only, and closed with this client. Or it is an
        `SSHClient` or a `Transport`, already connected, to go through, which stays open.

        Raises NoValidConnectionsError, BadHostKeyException, AuthenticationException, SSHException.
        Only when authentication has failed is there a connection afterwards, for
        `get_transport().auth_interactive` and its like; `close`, the next `connect` and the end of
        the client close it.
        """
        if gss_auth or gss_kex:
            raise NotImplementedError("manyhands.paramiko does not offer GSSAPI")
        self.close()
        if sock and proxy_jump is not None:
            raise ValueError("either sock or proxy_jump, not both: each is a way to the host")
        if isinstance(proxy_jump, str):
            proxy_jump = self._jump = jump_client(
                self,
                proxy_jump,
                {
                    "password": password,
                    "pkey": pkey,
                    "key_filename": key_filename,
                    "timeout": timeout,
                    "allow_agent": allow_agent,
                    "look_for_keys": look_for_keys,
                    "compress": compress,
                    "banner_timeout": banner_timeout,
                    "auth_timeout": auth_timeout,
                    "passphrase": passphrase,
                    "disabled_algorithms": disabled_algorithms,
                    "channel_timeout": channel_timeout,
                },
            )
        try:
            if proxy_jump is not None:
                sock = channel_through(proxy_jump, hostname, port, timeout)
            elif not sock:
                sock = dial(hostname, port, timeout)
        except BaseException:
            self.close()
            raise
        try:
            make = transport_factory or Transport
            transport = self._transport = make(sock, disabled_algorithms=disabled_algorithms)
            transport.use_compression(compress=compress)
            if self._log_channel is not None:
                transport.set_log_channel(self._log_channel)
            for name, seconds in (
                ("banner_timeout", banner_timeout),
                ("auth_timeout", auth_timeout),
                ("channel_timeout", channel_timeout),
            ):
                if seconds is not None:
                    setattr(transport, name, seconds)
            self._check_server(hostname, port, timeout)
        except BaseException:
            self.close()
            sock.close()
            raise
        user = getpass.getuser() if username is None else username
        if auth_strategy is not None:
            return auth_strategy.authenticate(transport=transport)
        files = [key_filename] if isinstance(key_filename, str) else list(key_filename or ())
        secret = password if passphrase is None else passphrase
        keys = self._keys(pkey, files, secret, allow_agent, look_for_keys)
        self._authenticate(user, password, keys)
        return None

    def _check_server(self, hostname: str, port: int, timeout: float | None) -> None:
        name = hostname if port == 22 else f"[{hostname}]:{port}"
        stores = (self._system_host_keys, self._host_keys)
        knows = next((store for store in stores if name in store), None)
        known = None if knows is None else knows[name]
        if known is not None:
            self._transport._prefer_keys(
                algorithm for kind in known for algorithm in algorithms_of(kind)
            )
        authorities = [
            key
            for store in stores
            for key in store.authorities(name) or store.authorities(hostname)
            if not any(other.is_revoked(name, key) for other in stores)
        ]
        self._transport._asks_for_certificate = bool(authorities)
        self._transport.start_client(timeout=timeout)
        key = self._transport.get_remote_server_key()
        if any(store.is_revoked(name, key) for store in stores):
            raise SSHException(
                f"{self._transport._host}: the key {key.fingerprint} of the server is revoked"
            )
        if authorities:
            shown = self._transport._server_certificate()
            host = self._transport._host
            if shown is not None and is_vouched_for(host, hostname, shown, authorities):
                return
        if knows is None or known is None:
            self._policy.missing_host_key(self, name, key)
        elif not knows.check(name, key):
            expected = known.get(key.get_name())
            raise BadHostKeyException(hostname, key, expected or next(iter(known.values())))

    def _keys(
        self,
        pkey: PKey | None,
        files: list[str],
        passphrase: str | None,
        allow_agent: bool,
        look_for_keys: bool,
    ) -> Iterator[Callable[[], PKey]]:
        """What makes the keys that are to be tried, in order."""
        if pkey is not None:
            yield lambda: pkey
        for file in files:
            yield lambda file=file: PKey.from_path(file, passphrase)  # type: ignore[misc]  # A default.
        if allow_agent:
            self._agent = self._agent or Agent()
            for key in self._agent.get_keys():
                yield lambda key=key: key  # type: ignore[misc]  # A default.
        for kind in ("rsa", "ecdsa", "ed25519") if look_for_keys else ():
            path = os.path.expanduser(f"~/.ssh/id_{kind}")
            if os.path.isfile(path):
                yield lambda path=path: PKey.from_path(path, passphrase)  # type: ignore[misc]  # A default.

    def _authenticate(
        self, user: str, password: str | None, keys: Iterator[Callable[[], PKey]]
    ) -> None:
        failure: Exception | None = None
        more: set[str] = set()
        tried = []
        for make in keys:
            try:
                key = make()
                tried.append(f"{key.get_name()} {key.fingerprint}")
                self._log(DEBUG, f"Trying key {tried[-1]}")
                wanted = set(self._transport.auth_publickey(user, key))
            except (SSHException, OSError) as error:
                failure = error
                if not self._transport.is_active():
                    # As after too many attempts; the next one could not say why.
                    break
                continue
            more = wanted & _SECOND_FACTORS
            if not more:
                return
            break
        try:
            if password is not None and (failure is None or self._transport.is_active()):
                tried.append("a password")
                self._transport.auth_password(user, password)
                return
            if more:
                self._transport.auth_interactive_dumb(user)
                return
        except SSHException as error:
            failure = error
        if type(failure) is AuthenticationException and len(tried) > 1:
            raise AuthenticationException(f"{failure} (tried: {', '.join(tried)})") from failure
        host = getattr(self._transport, "_host", "the server")
        raise failure or SSHException(f"No authentication methods available for {host}")

    def close(self) -> None:
        """Close the connection, that to the agent, and those that were made to go through."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        if self._jump is not None:
            self._jump.close()
            self._jump = None

    def _open_session(self, timeout: float | None = None) -> Channel:
        if self._transport is None:
            raise SSHException("the client is not connected")
        channel: Channel = self._transport.open_session(timeout=timeout)
        return channel

    def exec_command(
        self,
        command: str | bytes,
        bufsize: int = -1,
        timeout: float | None = None,
        get_pty: bool = False,
        environment: Mapping[Any, Any] | None = None,
    ) -> tuple[ChannelStdinFile, ChannelFile, ChannelStderrFile]:
        """Run a command; its input, output and standard error. `timeout` is that of the channel.

        Raises SSHException if the server refuses.
        """
        channel = self._command_channel(command, timeout, get_pty, environment)
        channel.settimeout(timeout)
        return (
            channel.makefile_stdin("wb", bufsize),
            channel.makefile("r", bufsize),
            channel.makefile_stderr("r", bufsize),
        )

    def _command_channel(
        self,
        command: str | bytes,
        timeout: float | None,
        get_pty: bool,
        environment: Mapping[Any, Any] | None,
    ) -> Channel:
        if isinstance(self._transport, Transport):
            variables = [
                (asbytes(name).decode(), asbytes(value).decode())
                for name, value in (environment or {}).items()
            ]
            terminal = ("vt100", (80, 24, 0, 0)) if get_pty else None
            return self._transport._open_command(asbytes(command), terminal, variables, timeout)
        # A factory has made something else.
        channel = self._open_session(timeout)
        if get_pty:
            channel.get_pty()
        if environment:
            channel.update_environment(environment)
        channel.exec_command(command)
        return channel

    def invoke_shell(
        self,
        term: str = "vt100",
        width: int = 80,
        height: int = 24,
        width_pixels: int = 0,
        height_pixels: int = 0,
        environment: Mapping[Any, Any] | None = None,
    ) -> Channel:
        """Start the user's shell at a terminal; its channel."""
        channel = self._open_session()
        channel.get_pty(term, width, height, width_pixels, height_pixels)
        if environment:
            channel.update_environment(environment)
        channel.invoke_shell()
        return channel

    def open_sftp(self) -> Any:
        """An `SFTPClient` of the connection."""
        if self._transport is None:
            raise SSHException("the client is not connected")
        return self._transport.open_sftp_client()

    def get_transport(self) -> Any:
        """The connection; None without one."""
        return self._transport
