"""What can go wrong, by paramiko's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    class _HostKey(Protocol):
        def get_base64(self) -> str: ...


class SSHException(Exception):
    """The protocol, a file or a call was not as it has to be."""


class AuthenticationException(SSHException):
    """The server did not accept who we say to be; other credentials may do."""


class PasswordRequiredException(AuthenticationException):
    """A private key is encrypted and no passphrase was given."""


class BadAuthenticationType(AuthenticationException):
    """The server does not allow this way to authenticate; `allowed_types` are those that it
    does."""

    allowed_types: Sequence[str] = ()

    def __init__(self, explanation: str, types: Sequence[str]) -> None:
        super().__init__(explanation, types)
        self.explanation = explanation
        self.allowed_types = types

    def __str__(self) -> str:
        return f"{self.explanation}; allowed types: {self.allowed_types!r}"


class PartialAuthentication(AuthenticationException):
    """The server accepted this, and wants one of `allowed_types` on top of it."""

    allowed_types: Sequence[str] = ()

    def __init__(self, types: Sequence[str]) -> None:
        super().__init__(types)
        self.allowed_types = types

    def __str__(self) -> str:
        return f"Partial authentication; allowed types: {self.allowed_types!r}"


class UnableToAuthenticate(AuthenticationException):
    """Nothing that could be tried was accepted."""


class ChannelException(SSHException):
    """The server refused to open a channel; `code` is its reason, `text` what it says."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"ChannelException({self.code!r}, {self.text!r})"


class BadHostKeyException(SSHException):
    """The server's key (`key`) is not the one that is known for the host (`expected_key`)."""

    def __init__(self, hostname: str, got_key: _HostKey, expected_key: _HostKey) -> None:
        super().__init__(hostname, got_key, expected_key)
        self.hostname = hostname
        self.key = got_key
        self.expected_key = expected_key

    def __str__(self) -> str:
        got, expected = self.key.get_base64(), self.expected_key.get_base64()
        return (
            f"Host key for server '{self.hostname}' does not match: "
            f"got '{got}', expected '{expected}'"
        )


class IncompatiblePeer(SSHException):
    """Both sides have no algorithm of some kind in common."""


class ProxyCommandFailure(SSHException):
    """A `ProxyCommand` ended, or could not be spoken to; `error` says why."""

    def __init__(self, command: str, error: Any) -> None:
        super().__init__(command, error)
        self.command = command
        self.error = error

    def __str__(self) -> str:
        return f'ProxyCommand("{self.command}") returned nonzero exit status: {self.error}'


class NoValidConnectionsError(OSError):
    """No address of a host could be connected to.

    `errors` maps each address, `(host, port)`, to what was raised for it. As these may differ,
    `errno` is None.
    """

    def __init__(self, errors: Mapping[tuple[Any, ...], Exception]) -> None:
        addresses = sorted(errors)
        hosts = [str(address[0]) for address in addresses]
        named = " or ".join(part for part in (", ".join(hosts[:-1]), *hosts[-1:]) if part)
        port = addresses[0][1] if addresses else "?"
        super().__init__(None, f"Unable to connect to port {port} on {named or 'no address'}")
        self.errors = errors

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.errors,)


class CouldNotCanonicalize(SSHException):
    """No domain has the host, and the configuration forbids to take the name as it is."""


class ConfigParseError(SSHException):
    """A line of an `ssh_config` cannot be understood."""


class MessageOrderError(SSHException):
    """The other side sent what has no place at this point of a strict key exchange."""
