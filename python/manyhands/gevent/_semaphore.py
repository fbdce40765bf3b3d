"""Where `manyhands.gevent.lock` has its semaphores from."""

from manyhands.gevent import _green

__all__ = ["BoundedSemaphore", "Semaphore"]

Semaphore = _green.primitives.Semaphore
BoundedSemaphore = _green.primitives.BoundedSemaphore
