"""Locks: what only so many greenlets have at a time."""

from manyhands.gevent import _green
from manyhands.gevent._semaphore import BoundedSemaphore, Semaphore

__all__ = ["BoundedSemaphore", "DummySemaphore", "RLock", "Semaphore"]

RLock = _green.primitives.RLock


class DummySemaphore:
    """A semaphore that can be acquired without end: for code that need not always limit itself."""

    def __init__(self, value=None):
        """`value` is of no importance."""

    def __str__(self):
        return f"<{type(self).__name__}>"

    def locked(self):
        """False: it can always be acquired."""
        return False

    def ready(self):
        """True: it can always be acquired."""
        return True

    def acquire(self, blocking=True, timeout=None):
        """True, at once."""
        return True

    def release(self):
        """Nothing: none was taken."""

    def wait(self, timeout=None):
        """1, at once."""
        return 1

    def rawlink(self, callback):
        """Nothing: it never becomes ready, as it always is."""

    def unlink(self, callback):
        """Nothing."""

    def __enter__(self):
        pass

    def __exit__(self, t, v, tb):
        pass
