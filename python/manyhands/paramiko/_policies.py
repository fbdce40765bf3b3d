"""What a client does about a server whose key it does not know."""

from __future__ import annotations

import warnings
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from .ssh_exception import SSHException

if TYPE_CHECKING:
    from .pkey import PKey


class MissingHostKeyPolicy:
    """Decides about unknown keys: `missing_host_key` accepts one by returning, and refuses it by
    raising."""

    def missing_host_key(self, client: Any, hostname: str, key: PKey) -> None:
        """Called by an `SSHClient`, or its like, with a key that is in none of its `HostKeys`.

        Accepts it; the policies below say what they do.
        """


class AutoAddPolicy(MissingHostKeyPolicy):
    """Accepts keys, and remembers them in the client and in the file that it has loaded."""

    def missing_host_key(self, client: Any, hostname: str, key: PKey) -> None:
        """Add the key, and save it."""
        client._host_keys.add(hostname, key.get_name(), key)
        if client._host_keys_filename is not None:
            client.save_host_keys(client._host_keys_filename)
        _log(client, "Adding", hostname, key)


class RejectPolicy(MissingHostKeyPolicy):
    """Refuses keys; this is what a client does that was not told otherwise."""

    def missing_host_key(self, client: Any, hostname: str, key: PKey) -> None:
        """Raise `SSHException`."""
        _log(client, "Rejecting", hostname, key)
        raise SSHException(f"Server {hostname!r} not found in known_hosts")


class WarningPolicy(MissingHostKeyPolicy):
    """Accepts keys, with a warning each time."""

    def missing_host_key(self, client: Any, hostname: str, key: PKey) -> None:
        """Warn."""
        fingerprint = key.get_fingerprint().hex()
        warnings.warn(
            f"Unknown {key.get_name()} host key for {hostname}: {fingerprint}", stacklevel=2
        )


def _log(client: Any, what: str, hostname: str, key: PKey) -> None:
    fingerprint = key.get_fingerprint().hex()
    client._log(DEBUG, f"{what} {key.get_name()} host key for {hostname}: {fingerprint}")
