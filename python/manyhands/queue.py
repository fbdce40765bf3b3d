"""Queues between threads: the standard library's `queue` on the Rust engine.

Source: https://docs.python.org/3/library/queue.html
"""

from manyhands._mirror import forward
from manyhands._native import LifoQueue, PriorityQueue, Queue, SimpleQueue
from manyhands._stdlib import original

__all__ = [
    "Empty",
    "Full",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
]

_original = original("queue")

# The name by which the stdlib tells its two implementations apart: ours is one.
_PySimpleQueue = SimpleQueue

# The stdlib's own exceptions, so that `except queue.Empty` catches them whoever imported what.
Empty = _original.Empty
Full = _original.Full

if hasattr(_original, "ShutDown"):
    ShutDown = _original.ShutDown
else:

    class ShutDown(Exception):
        """Raised by put() and get() of a queue that is shut down."""


forward(globals(), _original)
