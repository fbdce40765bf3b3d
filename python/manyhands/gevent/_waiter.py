"""A rendezvous of one greenlet and one who has something for it."""

import sys

from greenlet import getcurrent

from manyhands.gevent._hub_local import get_hub
from manyhands.gevent.exceptions import ConcurrentObjectUseError

__all__ = ["MultipleWaiter", "Waiter"]

_NOTHING = object()


class Waiter:
    """Passes one value or exception to one greenlet: `get()` waits for what `switch()` or
    `throw()` brings.

    These two are to be called in the hub's greenlet, that is, by callbacks and watchers.
    """

    __slots__ = ["_exception", "greenlet", "hub", "value"]

    def __init__(self, hub=None):
        self.hub = get_hub() if hub is None else hub
        self.clear()

    def clear(self):
        """Forget what has come; it can be used again."""
        self.greenlet = None
        self.value = None
        self._exception = _NOTHING

    def ready(self):
        """Whether something has come."""
        return self._exception is not _NOTHING

    def successful(self):
        """Whether a value has come."""
        return self._exception is None

    @property
    def exc_info(self):
        """The exception that has come, as throw() got it; None if none has."""
        return None if self._exception is _NOTHING else self._exception

    def switch(self, value=None):
        """Bring a value."""
        greenlet = self.greenlet
        if greenlet is None:
            self.value, self._exception = value, None
            return
        if getcurrent() is not self.hub:
            raise AssertionError("Can only use Waiter.switch method from the Hub greenlet")
        try:
            greenlet.switch(value)
        except BaseException:
            self.hub.handle_error(greenlet.switch, *sys.exc_info())

    def switch_args(self, *args):
        """Bring a tuple."""
        return self.switch(args)

    def throw(self, *throw_args):
        """Bring an exception."""
        greenlet = self.greenlet
        if greenlet is None:
            self._exception = throw_args
            return
        if getcurrent() is not self.hub:
            raise AssertionError("Can only use Waiter.throw method from the Hub greenlet")
        try:
            greenlet.throw(*throw_args)
        except BaseException:
            self.hub.handle_error(greenlet.throw, *sys.exc_info())

    def get(self):
        """What has come, or comes: waits for it."""
        if self._exception is not _NOTHING:
            if self._exception is None:
                return self.value
            getcurrent().throw(*self._exception)
        if self.greenlet is not None:
            raise ConcurrentObjectUseError(f"This Waiter is already used by {self.greenlet!r}")
        self.greenlet = getcurrent()
        try:
            return self.hub.switch()
        finally:
            self.greenlet = None

    def __call__(self, source):
        """As a link: bring what came of the source."""
        if source.exception is None:
            self.switch(source.value)
        else:
            self.throw(source.exception)

    def __str__(self):
        if self._exception is _NOTHING:
            return f"<{type(self).__name__} greenlet={self.greenlet}>"
        if self._exception is None:
            return f"<{type(self).__name__} greenlet={self.greenlet} value={self.value}>"
        return f"<{type(self).__name__} greenlet={self.greenlet} exc_info={self.exc_info}>"


class MultipleWaiter(Waiter):
    """Passes any number of values on, in their order."""

    __slots__ = ["_values"]

    def __init__(self, hub=None):
        Waiter.__init__(self, hub)
        self._values = []

    def switch(self, value=None):
        self._values.append(value)
        Waiter.switch(self, True)

    def get(self):
        if not self._values:
            Waiter.get(self)
            Waiter.clear(self)
        return self._values.pop(0)
