"""The encoding of SSH's messages, in which keys and signatures are written."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .util import asbytes, deflate_long, inflate_long

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

# More than this is not made up for a message that ends early.
_MOST_PADDING = 1 << 20


class Message:
    """Bytes that values are appended to, or taken from.

    What is read beyond the end is zero bytes, as in paramiko.
    """

    big_int = 0xFF000000

    def __init__(self, content: bytes | None = None) -> None:
        """A message to read from, or an empty one to write."""
        self.packet = BytesIO(content) if content is not None else BytesIO()

    def __bytes__(self) -> bytes:
        return self.asbytes()

    def __repr__(self) -> str:
        return f"paramiko.Message({self.packet.getvalue()!r})"

    def asbytes(self) -> bytes:
        """All of its bytes."""
        return self.packet.getvalue()

    def rewind(self) -> None:
        """Read from the beginning again."""
        self.packet.seek(0)

    def get_remainder(self) -> bytes:
        """What has not been read, which stays unread."""
        return self.packet.getvalue()[self.packet.tell() :]

    def get_so_far(self) -> bytes:
        """What has been read."""
        return self.packet.getvalue()[: self.packet.tell()]

    def get_bytes(self, n: int) -> bytes:
        """The next n bytes, filled up with zeros."""
        taken = self.packet.read(n)
        return taken.ljust(n, b"\0") if n < _MOST_PADDING else taken

    def get_byte(self) -> bytes:
        """The next byte."""
        return self.get_bytes(1)

    def get_boolean(self) -> bool:
        """A truth value."""
        return self.get_bytes(1) != b"\0"

    def get_adaptive_int(self) -> int:
        """A number as `add_adaptive_int` writes it."""
        first = self.get_bytes(1)
        if first == b"\xff":
            return inflate_long(self.get_binary())
        return int.from_bytes(first + self.get_bytes(3), "big")

    def get_int(self) -> int:
        """A number of 32 bits."""
        return int.from_bytes(self.get_bytes(4), "big")

    def get_int64(self) -> int:
        """A number of 64 bits."""
        return int.from_bytes(self.get_bytes(8), "big")

    def get_mpint(self) -> int:
        """A number of any size."""
        return inflate_long(self.get_binary())

    def get_string(self) -> bytes:
        """Bytes with their length in front."""
        return self.get_bytes(self.get_int())

    def get_binary(self) -> bytes:
        """The same as `get_string`."""
        return self.get_string()

    def get_text(self) -> str:
        """Text with its length in front."""
        return self.get_string().decode()

    def get_list(self) -> list[str]:
        """Names between commas."""
        return self.get_text().split(",")

    def add_bytes(self, b: bytes) -> Self:
        """Append bytes as they are."""
        self.packet.write(b)
        return self

    def add_byte(self, b: bytes) -> Self:
        """Append a byte."""
        return self.add_bytes(b)

    def add_boolean(self, b: bool) -> Self:
        """Append a truth value."""
        return self.add_bytes(b"\x01" if b else b"\0")

    def add_int(self, n: int) -> Self:
        """Append a number of 32 bits."""
        return self.add_bytes(struct.pack(">I", n))

    def add_adaptive_int(self, n: int) -> Self:
        """Append a number: 32 bits if it fits, else a mark and one of any size."""
        if n < self.big_int:
            return self.add_int(n)
        return self.add_bytes(b"\xff").add_string(deflate_long(n))

    def add_int64(self, n: int) -> Self:
        """Append a number of 64 bits."""
        return self.add_bytes(struct.pack(">Q", n))

    def add_mpint(self, z: int) -> Self:
        """Append a number of any size."""
        return self.add_string(deflate_long(z))

    def add_string(self, s: Any) -> Self:
        """Append bytes, or text, with their length in front."""
        written = asbytes(s)
        return self.add_int(len(written)).add_bytes(written)

    # The name of the argument is paramiko's.
    def add_list(self, l: Iterable[str]) -> Self:  # noqa: E741
        """Append names with commas between."""
        return self.add_string(",".join(l))

    def add(self, *seq: Any) -> None:
        """Append values, each as its type says: truth values, numbers, lists of names, bytes and
        text."""
        for value in seq:
            if isinstance(value, bool):
                self.add_boolean(value)
            elif isinstance(value, int):
                self.add_adaptive_int(value)
            elif isinstance(value, list):
                self.add_list(value)
            else:
                self.add_string(value)
