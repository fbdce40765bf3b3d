"""Small functions that programs import from paramiko: logging, numbers of the wire, bytes and
text."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from .common import DEBUG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .config import SSHConfig, SSHConfigDict
    from .hostkeys import HostKeys

_T = TypeVar("_T")


def inflate_long(s: bytes, always_positive: bool = False) -> int:
    """The number that big-endian bytes are, in two's complement unless it is known to be
    positive."""
    return int.from_bytes(s, "big", signed=not always_positive)


def deflate_long(n: int, add_sign_padding: bool = True) -> bytes:
    """The shortest big-endian bytes of a number, at least one; without the byte that is only for
    the sign if asked."""
    n = int(n)
    size = ((n if n >= 0 else ~n).bit_length() + 8) // 8
    written = n.to_bytes(size, "big", signed=True)
    if add_sign_padding or len(written) == 1:
        return written
    return written[1:] if written[0] in (0, 0xFF) else written


def format_binary(data: bytes, prefix: str = "") -> list[str]:
    """Lines of 16 bytes each, in hexadecimal and as text."""
    return [prefix + format_binary_line(data[at : at + 16]) for at in range(0, len(data), 16)]


def format_binary_line(data: bytes) -> str:
    """A few bytes in hexadecimal and as text."""
    text = "".join(chr(byte) if 32 <= byte <= 126 else "." for byte in data)
    return f"{data.hex(' ').upper():50} {text}"


def safe_string(s: bytes) -> bytes:
    """Bytes with those that cannot be printed written as %XX."""
    return b"".join(b"%c" % byte if 32 <= byte <= 127 else b"%%%02X" % byte for byte in s)


def bit_length(n: int) -> int:
    """How many bits a number has."""
    return n.bit_length()


def mod_inverse(x: int, m: int) -> int:
    """The number that times x is 1, modulo m."""
    return pow(x, -1, m)


def tb_strings() -> list[str]:
    """The traceback of the exception that is being handled, a line each."""
    import traceback

    return "".join(traceback.format_exception(*sys.exc_info())).split("\n")


def generate_key_bytes(
    hash_alg: Callable[[], Any], salt: bytes, key: str | bytes, nbytes: int
) -> bytes:
    """Bytes of a key from a passphrase, as OpenSSL derives them for its old format of private
    keys."""
    made, digest = b"", b""
    while len(made) < nbytes:
        state = hash_alg()
        state.update(digest + b(key) + salt[:8])
        digest = state.digest()
        made += digest
    return made[:nbytes]


def load_host_keys(filename: str) -> HostKeys:
    """The `HostKeys` of a file."""
    from .hostkeys import HostKeys

    return HostKeys(filename)


def parse_ssh_config(file_obj: Iterable[str]) -> SSHConfig:
    """The `SSHConfig` of an open file."""
    from .config import SSHConfig

    return SSHConfig.from_file(file_obj)


def lookup_ssh_host_config(hostname: str, config: SSHConfig) -> SSHConfigDict:
    """What a configuration says of a host."""
    return config.lookup(hostname)


_thread = threading.local()
_numbers = itertools.count(1)


def get_thread_id() -> int:
    """A small number of this thread, for logs."""
    number: int | None = getattr(_thread, "number", None)
    if number is None:
        number = _thread.number = next(_numbers)
    return number


class PFilter(logging.Filter):
    """Gives records the small number of their thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the record, with the number."""
        record._threadid = get_thread_id()
        return True


_pfilter = PFilter()


def get_logger(name: str) -> logging.Logger:
    """The logger of that name, whose records have the number of their thread."""
    logger = logging.getLogger(name)
    logger.addFilter(_pfilter)
    return logger


def log_to_file(filename: str, level: int = DEBUG) -> None:
    """Append the logs of `paramiko` to a file, unless they go somewhere already."""
    logger = logging.getLogger("paramiko")
    if logger.handlers:
        return
    logger.setLevel(level)
    handler = logging.FileHandler(filename)
    # Records of other loggers below have no number yet.
    handler.addFilter(_pfilter)
    form = "%(levelname)-.3s [%(asctime)s.%(msecs)03d] thr=%(_threadid)-3d %(name)s: %(message)s"
    handler.setFormatter(logging.Formatter(form, "%Y%m%d-%H:%M:%S"))
    logger.addHandler(handler)


def constant_time_bytes_eq(a: str | bytes, b: str | bytes) -> bool:
    """Whether both are the same, in a time that does not tell where they differ."""
    import hmac

    return hmac.compare_digest(_bytes_of(a), _bytes_of(b))


class ClosingContextManager:
    """Closes at the end of a `with`."""

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close; a class of this kind says what that is."""
        raise NotImplementedError


def clamp_value(minimum: Any, val: Any, maximum: Any) -> Any:
    """The value, or the bound that it is beyond."""
    return max(minimum, min(val, maximum))


def asbytes(s: Any) -> Any:
    """The bytes of text, of bytes or of what has an `asbytes()`; anything else as it is."""
    if isinstance(s, (str, bytes)):
        return _bytes_of(s)
    return s.asbytes() if hasattr(s, "asbytes") else s


def _bytes_of(s: str | bytes, encoding: str = "utf8") -> bytes:
    if isinstance(s, str):
        return s.encode(encoding)
    if isinstance(s, bytes):
        return s
    raise TypeError(f"Expected unicode or bytes, got {type(s)}")


def b(s: str | bytes, encoding: str = "utf8") -> bytes:
    """Text or bytes as bytes."""
    return _bytes_of(s, encoding)


def u(s: str | bytes, encoding: str = "utf8") -> str:
    """Text or bytes as text."""
    if isinstance(s, bytes):
        return s.decode(encoding)
    if isinstance(s, str):
        return s
    raise TypeError(f"Expected unicode or bytes, got {type(s)}")
