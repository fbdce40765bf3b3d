"""Which objects make threads wait, who owns them, who waits; why a program does not go on; and what
it did.

`why()` is what the command `manyhands why` prints, about this program or another; `trace()` writes
what `manyhands run --trace` does, of a part of a program.
"""

from manyhands._native import DeadlockError, set_deadlocks, snapshot, why
from manyhands._trace import trace

__all__ = ["DeadlockError", "set_deadlocks", "snapshot", "trace", "why"]
