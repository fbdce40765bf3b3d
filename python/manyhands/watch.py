"""Which objects make threads wait, who owns them, who waits; and why a program does not go on.

`why()` is what the command `manyhands why` prints, about this program or another.
"""

from manyhands._native import DeadlockError, set_deadlocks, snapshot, why

__all__ = ["DeadlockError", "set_deadlocks", "snapshot", "why"]
