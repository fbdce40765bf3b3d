"""RSA keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from manyhands._native import ssh_keys

from .message import Message
from .pkey import PKey

if TYPE_CHECKING:
    from collections.abc import Callable

_ALGORITHMS = ("rsa-sha2-256", "rsa-sha2-512")


class RSAPublicNumbers(NamedTuple):
    """The exponent and the modulus."""

    e: int
    n: int


class RSAKey(PKey):
    """An RSA key. It signs with SHA-512 unless another algorithm is asked for, and never with
    SHA-1."""

    name = "ssh-rsa"
    _tag = "RSA"
    HASHES = {  # noqa: RUF012  # A dict as in paramiko, which nobody changes.
        name + suffix: name.replace("rsa-sha2-", "sha")
        for name in _ALGORITHMS
        for suffix in ("", "-cert-v01@openssh.com")
    }

    def __init__(
        self,
        msg: Message | None = None,
        data: bytes | None = None,
        filename: str | None = None,
        password: str | bytes | None = None,
        key: Any = None,
        file_obj: Any = None,
    ) -> None:
        """The key of a file, a message, bytes, or (`key`) an object of the package
        `cryptography`."""
        if key is not None:
            self._native = self._of_cryptography(key)
        else:
            self._load(msg, data, filename, password, file_obj)

    @classmethod
    def identifiers(cls) -> list[str]:
        """The names of types, and of ways to sign, that this class is for."""
        return [*cls.HASHES, "ssh-rsa", "ssh-rsa-cert-v01@openssh.com"]

    @property
    def size(self) -> int:
        """How many bits the modulus has."""
        return self.get_bits()

    @property
    def public_numbers(self) -> RSAPublicNumbers:
        """The exponent and the modulus."""
        message = Message(self.asbytes())
        message.get_string()
        return RSAPublicNumbers(message.get_mpint(), message.get_mpint())

    def __str__(self) -> str:
        return self.asbytes().decode("utf8", errors="ignore")

    @staticmethod
    def generate(bits: int, progress_func: Callable[..., Any] | None = None) -> RSAKey:
        """A new private key; `progress_func` is never called.

        Raises ValueError if a key cannot have so many bits.
        """
        try:
            return RSAKey._of(ssh_keys.Key.generate("rsa", bits))
        except ssh_keys.Error as error:
            raise ValueError(error.args[1]) from None
