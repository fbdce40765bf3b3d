"""Ed25519 keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manyhands._native import ssh_keys

from .message import Message
from .pkey import PKey

if TYPE_CHECKING:
    from typing_extensions import Self


class Ed25519Key(PKey):
    """An Ed25519 key."""

    name = "ssh-ed25519"
    _tag = "OPENSSH"

    def __init__(
        self,
        msg: Message | None = None,
        data: bytes | None = None,
        filename: str | None = None,
        password: str | bytes | None = None,
        file_obj: Any = None,
    ) -> None:
        """The key of a file, a message or bytes; ValueError if there is none of them."""
        if msg is None and data is None and filename is None and file_obj is None:
            raise ValueError("need a key")
        self._load(msg, data, filename, password, file_obj)

    @classmethod
    def generate(cls) -> Self:
        """A new private key."""
        return cls._of(ssh_keys.Key.generate("ed25519", 256))

    def asbytes(self) -> bytes:
        """The public part, as SSH writes it."""
        return super().asbytes() or bytes(Message().add_string(self.name).add_string(b""))

    def get_bits(self) -> int:
        """256."""
        return 256

    def can_verify(self) -> bool:
        """Whether the key can tell if a signature is its own."""
        return self._native is not None
