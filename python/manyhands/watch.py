"""Which objects make threads wait, who owns them, who waits."""

from manyhands._native import snapshot

__all__ = ["snapshot"]
