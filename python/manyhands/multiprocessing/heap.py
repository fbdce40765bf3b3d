"""Shared memory without a name: what shared ctypes objects lie in.

Each block is one of the engine's arena. It stays for as long as its creator, or a process that can
have inherited it from the creator, has not let go of it: unlike the standard library's it is never
given to somebody else while a child uses it.

Source: https://docs.python.org/3/library/multiprocessing.html#shared-ctypes-objects
"""

import sys

from manyhands import _native
from manyhands.multiprocessing import _sharing

__all__ = ["BufferWrapper"]

_SharedBlock = _native.multiprocessing.SharedBlock


class Arena(_SharedBlock):
    """A block of shared memory, which can be passed to children when they are started."""

    @property
    def size(self):
        return len(self)

    @property
    def buffer(self):
        return memoryview(self)

    def __reduce__(self):
        return _open, (self.size, _sharing.state(self, self.reference))


def _open(size, state):
    return Arena(size, reference=_sharing.reference(state))


class Heap:
    """Where blocks come from: the engine's arena, which is one for all processes of the tree."""

    def malloc(self, size):
        """Return a block: an arena, and from where to where in it."""
        _check(size)
        return (Arena(max(size, 1)), 0, size)

    def free(self, block):
        """Do nothing: a block goes when nobody has it any more."""


class BufferWrapper:
    """A block of shared memory, which can be passed to children when they are started."""

    _heap = Heap()

    def __init__(self, size):
        _check(size)
        self._state = (BufferWrapper._heap.malloc(size), size)

    def create_memoryview(self):
        """Return a view of the memory, which keeps it."""
        (arena, start, _stop), size = self._state
        return memoryview(arena)[start : start + size]


def _check(size):
    if size < 0:
        raise ValueError(f"Size {size:n} out of range")
    if size >= sys.maxsize:
        raise OverflowError(f"Size {size:n} too large")
