"""Threads and their locks: the standard library's `threading` on the Rust engine.

`Lock`, `RLock`, `Condition`, `Semaphore`, `BoundedSemaphore`, `Event`, `Barrier` and `Timer` are
ours; everything else (`Thread`, `local`, `current_thread`, `excepthook`...) is the interpreter's
own, so that threads are the same objects whoever asks. What is assigned to such a name here, as
to `threading.excepthook`, is assigned in the interpreter's module too.

Source: https://docs.python.org/3/library/threading.html
"""

import os

from manyhands._mirror import copy
from manyhands._native import (
    Barrier as Barrier,
    BoundedSemaphore as BoundedSemaphore,
    Condition as Condition,
    Event as Event,
    Lock as Lock,
    RLock as RLock,
    Semaphore as Semaphore,
)
from manyhands._stdlib import original

_original = original("threading")


class Timer(_original.Timer):
    """Call a function after `interval` seconds, unless cancel() is called before."""

    def __init__(self, interval, function, args=None, kwargs=None):
        super().__init__(interval, function, args, kwargs)
        self.finished = Event()


# The names by which the stdlib tells its two implementations of RLock apart: ours is one.
_CRLock = _PyRLock = RLock

# The class has the name of the stdlib's; by it pickle finds the class.
lock = type(Lock())

if os.environ.get("MANYHANDS_LOCK_ORDER"):
    from manyhands import _lock_order

    _lock_order.watch(lock, _lock_order.of_threads)
    _lock_order.watch(RLock, _lock_order.of_threads)

__all__ = _original.__all__

copy(globals(), _original, but=("excepthook",))
