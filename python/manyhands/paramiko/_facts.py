"""What is known of a connection."""

from __future__ import annotations

from typing import Any

from manyhands._native import ssh_keys

from ._host_certificates import SUFFIX
from .pkey import PKey, UnknownKeyType, _class_of as class_of
from .ssh_exception import IncompatiblePeer, SSHException
from .util import b


class Facts:
    """The methods of a `Transport` that tell what was agreed on, and how it is."""

    _native: Any

    def _session(self, problem: str = "No existing session") -> Any:
        if not self.is_active():
            ended = self._native is not None and self._native.end
            raise SSHException(f"{problem}: {ended}" if ended else problem)
        return self._native

    @property
    def active(self) -> bool:
        """As `is_active`."""
        return self.is_active()

    initial_kex_done = active

    @property
    def authenticated(self) -> bool:
        """As `is_authenticated`."""
        return self.is_authenticated()

    @property
    def remote_version(self) -> str:
        """How the server calls itself; empty before `start_client`."""
        return str(self._native.remote_version) if self._native is not None else ""

    def _agreed(self, index: int) -> str:
        agreed = self._native.negotiated if self._native is not None else None
        return str(agreed[index]) if agreed else ""

    @property
    def _host(self) -> str:
        """The server, as errors name it."""
        return str(self._native.host) if self._native is not None else "the server"

    @property
    def host_key_type(self) -> str:
        """The algorithm of the server's key; this and the next ones are empty before
        `start_client`."""
        return self._agreed(1)

    @property
    def local_cipher(self) -> str:
        """Encryption, of both directions."""
        return self._agreed(2)

    remote_cipher = local_cipher

    @property
    def local_mac(self) -> str:
        """Message authentication, of both directions."""
        return self._agreed(3)

    remote_mac = local_mac

    @property
    def agreed_on_strict_kex(self) -> bool:
        """Whether both sides are strict about the order of packets until keys are exchanged."""
        agreed = self._native.negotiated if self._native is not None else None
        return bool(agreed and agreed[4])

    def is_active(self) -> bool:
        """Whether it was begun, and has not ended."""
        return self._native is not None and bool(self._native.is_active)

    is_alive = is_active

    def is_authenticated(self) -> bool:
        """Whether the user is authenticated, and it has not ended."""
        return self._native is not None and bool(self._native.is_authenticated)

    def _server_certificate(self) -> bytes | None:
        """What an authority says of the server's key, if the server has shown that."""
        name, blob = self._session().host_key
        return bytes(blob) if name.endswith(SUFFIX) else None

    def get_banner(self) -> bytes | None:
        """What the server had to say before authentication, if anything."""
        banner = self._native.banner if self._native is not None else None
        return None if banner is None else b(banner)

    def get_remote_server_key(self) -> PKey:
        """The server's key; SSHException without a connection."""
        name, blob = self._session().host_key
        if name.endswith(SUFFIX):
            # The key itself, without what an authority says of it.
            key = ssh_keys.Key.public(blob)
            name, blob = key.name, key.blob
        try:
            return class_of(name, blob)(data=blob)
        except UnknownKeyType:
            raise IncompatiblePeer(f"The server's key is of an unknown type: {name}") from None
