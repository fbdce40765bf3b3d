"""Certificates by which an authority says which host a key belongs to."""

from __future__ import annotations

import fnmatch
import time
from typing import TYPE_CHECKING

from manyhands._native import ssh_keys

from .ssh_exception import SSHException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .pkey import PKey

SUFFIX = "-cert-v01@openssh.com"


def is_vouched_for(host: str, hostname: str, blob: bytes, authorities: Iterable[PKey]) -> bool:
    """Whether one of the authorities says that the key is that of the host; False if the
    certificate is somebody else's.

    Raises SSHException if it is one of theirs, and does not hold for this host now.
    """
    try:
        is_host, name, principals, (after, before), options, authority, is_signed = (
            ssh_keys.certificate(blob)
        )
    except ssh_keys.Error as error:
        raise SSHException(f"{host}: the certificate of the server: {error.args[1]}") from None
    if all(authority != key.asbytes() for key in authorities):
        return False
    problem = None
    if not is_signed:
        problem = "its signature is wrong"
    elif not is_host:
        problem = "it is that of a user"
    elif not after <= time.time() < before:
        problem = "it does not hold at this time"
    elif not any(_matches(hostname, pattern) for pattern in principals):
        problem = f"it holds for {', '.join(principals) or 'no host'}"
    elif options:
        problem = f"it demands what is not known here: {', '.join(options)}"
    if problem is not None:
        raise SSHException(f"{host}: the certificate {name!r} of the server is no good: {problem}")
    return True


def _matches(hostname: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(hostname.lower(), pattern.lower().replace("[", "[[]"))
