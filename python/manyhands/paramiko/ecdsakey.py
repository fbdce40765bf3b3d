"""ECDSA keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manyhands._native import ssh_keys

from .pkey import PKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from .message import Message

_SIZES = (256, 384, 521)


class ECDSAKey(PKey):
    """A key on one of the curves nistp256, nistp384 and nistp521."""

    _tag = "EC"

    def __init__(
        self,
        msg: Message | None = None,
        data: bytes | None = None,
        filename: str | None = None,
        password: str | bytes | None = None,
        vals: tuple[Any, Any] | None = None,
        file_obj: Any = None,
        validate_point: bool = True,
    ) -> None:
        """The key of a file, a message, bytes, or (`vals`) a pair, private and public, of the
        package `cryptography`.

        A point that is not on its curve is always refused.
        """
        if vals is not None:
            self._native = self._of_cryptography(vals[0] if vals[0] is not None else vals[1])
        else:
            self._load(msg, data, filename, password, file_obj)

    @classmethod
    def identifiers(cls) -> list[str]:
        """The names of types that this class is for."""
        return [f"ecdsa-sha2-nistp{size}" for size in _SIZES]

    @classmethod
    def supported_key_format_identifiers(cls) -> list[str]:
        """The same as `identifiers`."""
        return cls.identifiers()

    @classmethod
    def generate(
        cls,
        curve: Any = None,
        progress_func: Callable[..., Any] | None = None,
        bits: int | None = None,
    ) -> ECDSAKey:
        """A new private key, on the curve of so many bits, or (`curve`) of the package
        `cryptography`; 256 if neither.

        `progress_func` is never called. Raises ValueError if there is no such curve.
        """
        if bits is None:
            bits = 256 if curve is None else curve.key_size
        if bits not in _SIZES:
            raise ValueError(f"Unsupported key length: {bits:d}")
        return cls._of(ssh_keys.Key.generate("ecdsa", bits))
