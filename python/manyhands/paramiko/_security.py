"""Which algorithms a connection offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manyhands._native import ssh

from ._host_certificates import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What is offered of each kind, by the names that `disabled_algorithms` has for them.
USUAL: dict[str, tuple[str, ...]] = {kind: tuple(names) for kind, names, _ in ssh.algorithms()}

#: As well as that, what old servers need, which programs have to ask for.
KNOWN = {kind: (*names, *old) for kind, names, old in ssh.algorithms()}

#: By what an RSA key of a user can sign; of other keys there is no choice.
_BY_RSA = KNOWN["pubkeys"]
KNOWN["pubkeys"] = KNOWN["keys"]


class Preferences:
    """Names of algorithms, the most preferred first. Those that are not known here are left out
    when a connection is made."""

    _preferred_ciphers = USUAL["ciphers"]
    _preferred_macs = USUAL["macs"]
    _preferred_keys = USUAL["keys"]
    _preferred_pubkeys = USUAL["keys"]
    _preferred_kex = USUAL["kex"]
    _preferred_compression: tuple[str, ...] = ("none",)

    disabled_algorithms: Mapping[str, Iterable[str]]

    #: Whether a server that has one is to show a certificate.
    _asks_for_certificate = False

    def _enabled(self, kind: str) -> tuple[str, ...]:
        disabled = set(self.disabled_algorithms.get(kind, ()))
        names: tuple[str, ...] = getattr(self, f"_preferred_{kind}")
        return tuple(name for name in names if name not in disabled)

    @property
    def preferred_ciphers(self) -> tuple[str, ...]:
        """Encryption."""
        return self._enabled("ciphers")

    @property
    def preferred_macs(self) -> tuple[str, ...]:
        """Message authentication, of ciphers that have none of their own."""
        return self._enabled("macs")

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Keys of the server."""
        return self._enabled("keys")

    @property
    def preferred_pubkeys(self) -> tuple[str, ...]:
        """Keys of users."""
        return self._enabled("pubkeys")

    @property
    def preferred_kex(self) -> tuple[str, ...]:
        """Key exchange."""
        return self._enabled("kex")

    @property
    def preferred_compression(self) -> tuple[str, ...]:
        """Compression."""
        return self._enabled("compression")

    def _offered(self) -> list[tuple[str, list[str]]]:
        """What to offer of each kind; of those for users' keys only what an RSA key can use."""
        offered = {
            kind: [name for name in self._enabled(kind) if name in known]
            for kind, known in {**KNOWN, "pubkeys": _BY_RSA}.items()
        }
        if self._asks_for_certificate:
            keys = offered["keys"]
            offered["keys"] = [f"{name}{SUFFIX}" for name in keys if name != "ssh-rsa"] + keys
        return list(offered.items())

    def _can_use_rsa(self) -> bool:
        return any(name in _BY_RSA for name in self.preferred_pubkeys)

    def _prefer_keys(self, first: Iterable[str]) -> None:
        """Move these algorithms of server keys to the front, if they may be used."""
        first = set(first)
        self._preferred_keys = tuple(
            sorted(self._preferred_keys, key=lambda name: name not in first)
        )


class SecurityOptions:
    """The algorithms of a `Transport`, to be changed before it is started.

    Setting one to names of which one is unknown raises ValueError; to anything but a list or
    tuple, TypeError.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: Preferences) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"<paramiko.SecurityOptions for {self._transport!r}>"

    def _set(self, kind: str, names: Any) -> None:
        if not isinstance(names, (list, tuple)):
            raise TypeError(f"expected a tuple or list, not {type(names).__name__}")
        known = KNOWN[kind]
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"unknown algorithm {unknown[0]!r}; of this kind there are {', '.join(known)}"
            )
        setattr(self._transport, f"_preferred_{kind}", tuple(names))

    @property
    def ciphers(self) -> tuple[str, ...]:
        """Encryption."""
        return self._transport._preferred_ciphers

    @ciphers.setter
    def ciphers(self, names: Any) -> None:
        self._set("ciphers", names)

    @property
    def digests(self) -> tuple[str, ...]:
        """Message authentication."""
        return self._transport._preferred_macs

    @digests.setter
    def digests(self, names: Any) -> None:
        self._set("macs", names)

    @property
    def key_types(self) -> tuple[str, ...]:
        """Keys of the server."""
        return self._transport._preferred_keys

    @key_types.setter
    def key_types(self, names: Any) -> None:
        self._set("keys", names)

    @property
    def kex(self) -> tuple[str, ...]:
        """Key exchange."""
        return self._transport._preferred_kex

    @kex.setter
    def kex(self, names: Any) -> None:
        self._set("kex", names)

    @property
    def compression(self) -> tuple[str, ...]:
        """Compression."""
        return self._transport._preferred_compression

    @compression.setter
    def compression(self, names: Any) -> None:
        self._set("compression", names)


def algorithms_of(key_type: str) -> list[str]:
    """The algorithms by which a server can prove to have a key of that type."""
    return ["rsa-sha2-512", "rsa-sha2-256"] if key_type == "ssh-rsa" else [key_type]
