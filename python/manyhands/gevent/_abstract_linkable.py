"""What can be waited for, and linked to."""

from abc import ABC, abstractmethod

from manyhands.gevent import _green

__all__ = ["AbstractLinkable"]


class AbstractLinkable(ABC):
    """The objects that have `rawlink()`, `unlink()` and `ready()`: events, results, semaphores."""

    __slots__ = ()

    @abstractmethod
    def ready(self):
        """Whether those who wait may go on."""


AbstractLinkable.register(_green.primitives.Event)
AbstractLinkable.register(_green.primitives.AsyncResult)
AbstractLinkable.register(_green.primitives.Semaphore)
