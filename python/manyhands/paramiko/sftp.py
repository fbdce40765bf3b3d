"""Numbers and the error of SFTP."""

from __future__ import annotations

from manyhands._native import sftp

from .ssh_exception import SSHException

__all__ = ["SFTPError"]

SFTP_OK, SFTP_EOF, SFTP_NO_SUCH_FILE, SFTP_PERMISSION_DENIED, SFTP_FAILURE = range(5)
SFTP_BAD_MESSAGE, SFTP_NO_CONNECTION, SFTP_CONNECTION_LOST, SFTP_OP_UNSUPPORTED = range(5, 9)

SFTP_DESC = [
    "Success",
    "End of file",
    "No such file",
    "Permission denied",
    "Failure",
    "Bad message",
    "No connection",
    "Connection lost",
    "Operation unsupported",
]

SFTP_FLAG_READ = 1
SFTP_FLAG_WRITE = 2
SFTP_FLAG_APPEND = 4
SFTP_FLAG_CREATE = 8
SFTP_FLAG_TRUNC = 16
SFTP_FLAG_EXCL = 32

NativeError = sftp.Error


class SFTPError(Exception):
    """What a server said makes no sense, or cannot be done so."""


def strings(*parts: bytes) -> bytes:
    """As the protocol has them, one after the other."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def of_native(error: Exception) -> Exception:
    """What a failure is in paramiko's exceptions."""
    kind, message, code = error.args
    if kind == "status":
        return OSError(code, message) if code else OSError(message)
    if kind == "eof":
        return EOFError(message)
    if kind == "timeout":
        return TimeoutError(message)
    if kind == "closed":
        return OSError("Socket is closed")
    if kind == "mode":
        return OSError(message)
    if kind == "protocol":
        return SFTPError(message)
    return SSHException(f"Server connection dropped: {message}")
