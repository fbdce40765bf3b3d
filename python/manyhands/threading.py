"""Threads and their locks: the standard library's `threading` on the Rust engine.

`Lock`, `RLock`, `Condition`, `Semaphore`, `BoundedSemaphore`, `Event`, `Barrier` and `Timer` are
ours; everything else (`Thread`, `local`, `current_thread`, `excepthook`...) is the interpreter's
own, so that threads are the same objects whoever asks. What is assigned to such a name here, as
to `threading.excepthook`, is assigned in the interpreter's module too.

Source: https://docs.python.org/3/library/threading.html
"""

import sys
from types import ModuleType

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

# A reload finds what it copied before, which is not ours.
_OWN = globals().get("_OWN") or frozenset(globals())

__all__ = _original.__all__

# Copied, so that looking them up is fast; but not what programs assign.
for _name, _value in vars(_original).items():
    if not _name.startswith("_") and _name not in _OWN and _name != "excepthook":
        globals()[_name] = _value
del _name, _value


def __getattr__(name):
    try:
        return getattr(_original, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__():
    return sorted(set(globals()) | set(vars(_original)))


class _Mirror(ModuleType):
    """A module that passes on to the original what is written of it and is not ours."""

    def __setattr__(self, name, value):
        if name not in _OWN and not name.startswith("__"):
            setattr(_original, name, value)
            if name not in self.__dict__:
                return
        super().__setattr__(name, value)

    def __delattr__(self, name):
        if name not in _OWN and not name.startswith("__"):
            delattr(_original, name)
            if name not in self.__dict__:
                return
        super().__delattr__(name)


sys.modules[__name__].__class__ = _Mirror
