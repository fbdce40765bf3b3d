"""What a failure of a connection is in paramiko's exceptions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from manyhands._native import ssh

from .common import OPEN_FAILED_CONNECT_FAILED, OPEN_FAILED_RESOURCE_SHORTAGE
from .ssh_exception import (
    AuthenticationException,
    ChannelException,
    IncompatiblePeer,
    MessageOrderError,
    SSHException,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NativeError = ssh.Error

#: What programs look for in the messages of some kinds.
_PREFIXES = {"banner": "Error reading SSH protocol banner: "}


def of_stream(error: Exception) -> Exception:
    """For reads and writes: those of a socket."""
    kind, message, _ = error.args
    return TimeoutError(message) if kind == "timeout" else OSError(f"Socket is closed: {message}")


def of_request(error: Exception) -> Exception:
    """For all else."""
    kind, message, code = error.args
    if kind == "refused":
        return ChannelException(code, message)
    if kind == "algorithm":
        return IncompatiblePeer(message)
    if kind == "order":
        return MessageOrderError(message)
    return SSHException(_PREFIXES.get(kind, "") + message)


def of_session(error: Exception) -> Exception:
    """For the opening of a channel for a command: what servers say to one too many is no help."""
    kind, message, code = error.args
    if kind == "refused" and code in (OPEN_FAILED_CONNECT_FAILED, OPEN_FAILED_RESOURCE_SHORTAGE):
        message += "; it may allow no more sessions at a time on a connection (MaxSessions)"
    return of_request(type(error)(kind, message, code))


def of_forwarding(error: Exception) -> Exception:
    """For the forwarding of ports."""
    kind, message, _ = error.args
    if kind == "denied":
        return SSHException(f"TCP forwarding request denied: {message}")
    return of_request(error)


def of_proof(error: Exception) -> Exception:
    """For authentication: a lack of time or of a way in is an `AuthenticationException`."""
    kind, message, _ = error.args
    if kind == "timeout":
        return AuthenticationException(f"Authentication timeout: {message}")
    # No algorithm is left for an RSA key, which another key may not need.
    if kind in ("method", "closed", "algorithm"):
        return AuthenticationException(f"Authentication failed: {message}")
    return of_request(error)


@contextlib.contextmanager
def of_streams() -> Iterator[None]:
    """Raises those of `of_stream`."""
    try:
        yield
    except NativeError as error:
        raise of_stream(error) from None


@contextlib.contextmanager
def of_requests() -> Iterator[None]:
    """Raises those of `of_request`."""
    try:
        yield
    except NativeError as error:
        raise of_request(error) from None


@contextlib.contextmanager
def of_sessions() -> Iterator[None]:
    """Raises those of `of_session`."""
    try:
        yield
    except NativeError as error:
        raise of_session(error) from None


@contextlib.contextmanager
def of_proofs() -> Iterator[None]:
    """Raises those of `of_proof`."""
    try:
        yield
    except NativeError as error:
        raise of_proof(error) from None
