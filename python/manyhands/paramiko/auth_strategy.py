"""Ways to authenticate, to be tried one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .agent import AgentKey
from .ssh_exception import AuthenticationException
from .util import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .pkey import PKey

_SOURCES = ("ssh-config", "python-config", "implicit-home")


class AuthSource:
    """One way to authenticate a user."""

    def __init__(self, username: str) -> None:
        self.username = username

    def _repr(self, **kwargs: Any) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        return f"{type(self).__name__}({told})"

    def __repr__(self) -> str:
        return self._repr()

    def authenticate(self, transport: Any) -> Any:
        """Try it; what the method of the `Transport` returns."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to authenticate")


class NoneAuth(AuthSource):
    """Without anything, which some servers allow."""

    def authenticate(self, transport: Any) -> Any:
        """Try it."""
        return transport.auth_none(self.username)


class Password(AuthSource):
    """By a password, which is asked for when it is needed."""

    def __init__(self, username: str, password_getter: Callable[[], str]) -> None:
        super().__init__(username)
        self.password_getter = password_getter

    def __repr__(self) -> str:
        return self._repr(user=self.username)

    def authenticate(self, transport: Any) -> Any:
        """Get the password, and try it."""
        return transport.auth_password(self.username, self.password_getter())


class PrivateKey(AuthSource):
    """By a key, which classes that inherit have in `pkey`."""

    pkey: PKey

    def authenticate(self, transport: Any) -> Any:
        """Try it."""
        return transport.auth_publickey(self.username, self.pkey)


class InMemoryPrivateKey(PrivateKey):
    """By a key that is there."""

    def __init__(self, username: str, pkey: PKey) -> None:
        super().__init__(username)
        self.pkey = pkey

    def __repr__(self) -> str:
        agent = " [agent]" if isinstance(self.pkey, AgentKey) else ""
        return self._repr(pkey=self.pkey) + agent


class OnDiskPrivateKey(PrivateKey):
    """By a key of a file; `source` is what named it: "ssh-config", "python-config" or
    "implicit-home"."""

    def __init__(self, username: str, source: str, path: Path, pkey: PKey) -> None:
        super().__init__(username)
        if source not in _SOURCES:
            raise ValueError(f"source argument must be one of: {_SOURCES!r}")
        self.source = source
        self.path = path
        self.pkey = pkey

    def __repr__(self) -> str:
        return self._repr(key=self.pkey, source=self.source, path=str(self.path))


class SourceResult(NamedTuple):
    """What was tried, and what came of it: what the `Transport` returned, or an exception."""

    source: AuthSource
    result: Any


class AuthResult(list[SourceResult]):
    """All that was tried, in order."""

    def __init__(self, strategy: AuthStrategy, results: Iterable[SourceResult] = ()) -> None:
        self.strategy = strategy
        super().__init__(results)

    def __str__(self) -> str:
        return "\n".join(f"{one.source} -> {one.result or 'success'}" for one in self)


class AuthFailure(AuthenticationException):
    """Nothing of a strategy was accepted; `result` has what was tried."""

    def __init__(self, result: AuthResult) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return f"\n{self.result}"


class AuthStrategy:
    """Which ways are tried: classes that inherit say so in `get_sources`."""

    def __init__(self, ssh_config: Any) -> None:
        self.ssh_config = ssh_config
        self.log = get_logger("paramiko.auth_strategy")

    def get_sources(self) -> Iterator[AuthSource]:
        """The ways, one after the other; the next one is asked for when the last one has failed."""
        raise NotImplementedError(f"{type(self).__name__} does not say what to try")

    def authenticate(self, transport: Any) -> AuthResult:
        """Try until something is accepted; all that was tried.

        Raises `AuthFailure` if nothing is.
        """
        tried = AuthResult(self)
        for source in self.get_sources():
            self.log.debug(f"Trying {source}")
            try:
                result = source.authenticate(transport)
            except Exception as error:
                told = type(error).__name__
                self.log.info(f"Authentication via {source} failed with {told}")
                tried.append(SourceResult(source, error))
            else:
                tried.append(SourceResult(source, result))
                return tried
        raise AuthFailure(tried)
