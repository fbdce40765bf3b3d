"""What programs set of how a connection sends packets."""

from __future__ import annotations

from typing import Any


class Packets:
    """`Transport.packetizer`: when new keys are exchanged, besides what the protocol asks for.

    Nothing else of paramiko's `Packetizer` is here; what sends and receives is not Python.
    """

    __slots__ = ("__weakref__", "_bytes", "_native")

    #: After how many packets paramiko exchanges keys. Here bytes and time decide.
    REKEY_PACKETS = 1 << 29

    def __init__(self) -> None:
        self._bytes: int | None = None
        self._native: Any = None

    @property
    def REKEY_BYTES(self) -> int:
        """After how many bytes, in both directions, new keys are exchanged; 1 GiB in one of them is
        always enough for that."""
        return 1 << 29 if self._bytes is None else self._bytes

    @REKEY_BYTES.setter
    def REKEY_BYTES(self, count: int) -> None:
        if count <= 0:
            raise ValueError(f"REKEY_BYTES must be more than 0, not {count}")
        self._bytes = min(int(count), (1 << 64) - 1)
        self._set()

    def use(self, native: Any) -> None:
        """Hold for a connection, from now on."""
        self._native = native
        self._set()

    def _set(self) -> None:
        if self._native is not None and self._bytes is not None:
            self._native.set_rekey_bytes(self._bytes)
