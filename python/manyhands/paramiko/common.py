"""Numbers and bytes of the protocol that programs import from here.

`cMSG_...` is each `MSG_...` as a byte.
"""

from __future__ import annotations

import logging

DEBUG = logging.DEBUG
INFO = logging.INFO
WARNING = logging.WARNING
ERROR = logging.ERROR
CRITICAL = logging.CRITICAL

MSG_DISCONNECT, MSG_IGNORE, MSG_UNIMPLEMENTED, MSG_DEBUG = range(1, 5)
MSG_SERVICE_REQUEST, MSG_SERVICE_ACCEPT, MSG_EXT_INFO = range(5, 8)
MSG_KEXINIT, MSG_NEWKEYS = 20, 21
MSG_USERAUTH_REQUEST, MSG_USERAUTH_FAILURE, MSG_USERAUTH_SUCCESS, MSG_USERAUTH_BANNER = range(
    50, 54
)
MSG_USERAUTH_PK_OK = MSG_USERAUTH_INFO_REQUEST = 60
MSG_USERAUTH_INFO_RESPONSE = 61
HIGHEST_USERAUTH_MESSAGE_ID = 79
MSG_GLOBAL_REQUEST, MSG_REQUEST_SUCCESS, MSG_REQUEST_FAILURE = range(80, 83)
MSG_CHANNEL_OPEN, MSG_CHANNEL_OPEN_SUCCESS, MSG_CHANNEL_OPEN_FAILURE = range(90, 93)
MSG_CHANNEL_WINDOW_ADJUST, MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA = range(93, 96)
MSG_CHANNEL_EOF, MSG_CHANNEL_CLOSE = 96, 97
MSG_CHANNEL_REQUEST, MSG_CHANNEL_SUCCESS, MSG_CHANNEL_FAILURE = range(98, 101)

AUTH_SUCCESSFUL, AUTH_PARTIALLY_SUCCESSFUL, AUTH_FAILED = range(3)

OPEN_SUCCEEDED = 0
OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED = 1
OPEN_FAILED_CONNECT_FAILED = 2
OPEN_FAILED_UNKNOWN_CHANNEL_TYPE = 3
OPEN_FAILED_RESOURCE_SHORTAGE = 4

CONNECTION_FAILED_CODE = {
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED: "Administratively prohibited",
    OPEN_FAILED_CONNECT_FAILED: "Connect failed",
    OPEN_FAILED_UNKNOWN_CHANNEL_TYPE: "Unknown channel type",
    OPEN_FAILED_RESOURCE_SHORTAGE: "Resource shortage",
}

DISCONNECT_SERVICE_NOT_AVAILABLE = 7
DISCONNECT_AUTH_CANCELLED_BY_USER = 13
DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE = 14

zero_byte, one_byte, four_byte, max_byte = b"\x00", b"\x01", b"\x04", b"\xff"
cr_byte, linefeed_byte, crlf = b"\r", b"\n", b"\r\n"
cr_byte_value, linefeed_byte_value = 13, 10

xffffffff = 0xFFFFFFFF
x80000000 = 0x80000000
o666, o660, o644, o600, o777, o700, o70 = 0o666, 0o660, 0o644, 0o600, 0o777, 0o700, 0o070

io_sleep = 0.01

DEFAULT_WINDOW_SIZE = 64 << 15
DEFAULT_MAX_PACKET_SIZE = 1 << 15
MIN_WINDOW_SIZE = 1 << 15
MIN_PACKET_SIZE = 1 << 12
MAX_WINDOW_SIZE = 0xFFFFFFFF


def byte_chr(c: int) -> bytes:
    """The byte of that number."""
    return bytes((c,))


def byte_mask(c: int, mask: int) -> bytes:
    """The byte of a number's bits that are in the mask."""
    return bytes((c & mask,))


def byte_ord(c: int | str | bytes) -> int:
    """The number of a byte; a number is one already."""
    return c if isinstance(c, int) else ord(c)


def __getattr__(name: str) -> bytes:
    number = globals().get(name[1:]) if name.startswith("cMSG_") else None
    if number is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return bytes((number,))
