"""What all watchers have in common."""

import sys

__all__ = ["EVENTS", "READ", "WRITE"]

READ = 1
WRITE = 2


class _Events:
    """Stands for the events that came, among a callback's arguments."""

    def __repr__(self):
        return "gevent.core.EVENTS"


EVENTS = GEVENT_CORE_EVENTS = _Events()


def _events_to_str(events):
    names = [name for name, bit in (("READ", READ), ("WRITE", WRITE)) if events & bit]
    rest = events & ~(READ | WRITE)
    return "|".join([*names, *([hex(rest)] if rest else [])])


class watcher:
    """Calls a callback whenever something happens, from `start()` to `stop()`."""

    #: Whether stop() is implied once it has been called.
    _once = False
    _events = READ

    def __init__(self, loop, ref=True, priority=None):
        if loop._closed():
            raise ValueError("operation on destroyed loop")
        self.loop = loop
        self._key = None
        self._ref = bool(ref)
        self._callback = None
        self._args = None
        self._priority = 0 if priority is None else priority

    @property
    def ref(self):
        """Whether the loop may not end while this is started."""
        return self._ref

    @ref.setter
    def ref(self, ref):
        self._ref = bool(ref)
        if self._key is not None:
            self.loop._keep(self._key, self._ref)

    @property
    def priority(self):
        """A number that nothing follows from: turns are first come, first served."""
        return self._priority

    @priority.setter
    def priority(self, priority):
        if self.active:
            raise AttributeError("Cannot set priority of an active watcher")
        self._priority = priority

    @property
    def callback(self):
        return self._callback

    @callback.setter
    def callback(self, callback):
        if callback is not None and not callable(callback):
            raise TypeError(f"Expected callable, not {callback!r}")
        self._callback = callback

    @property
    def args(self):
        return self._args

    @args.setter
    def args(self, args):
        if args is not None and not isinstance(args, tuple):
            raise TypeError(f"args must be a tuple or None, not {args!r}")
        self._args = args

    @property
    def active(self):
        """Whether it is started."""
        return self._key is not None

    @property
    def pending(self):
        """Whether its callback is about to be called."""
        return self._key is not None and self.loop._pending(self._key)

    def start(self, callback, *args, pass_events=False):
        """Have the callback called, with these arguments, whenever it happens."""
        if callback is None or not callable(callback):
            raise TypeError(f"Expected callable, not {callback!r}")
        if pass_events:
            args = (EVENTS, *args)
        self._callback, self._args = callback, args
        if self._key is None:
            self._key = self.loop._watch(self, self._ref)
            try:
                self._arm()
            except BaseException:
                self.stop()
                raise

    def stop(self):
        """Have it called no more."""
        key, self._key = self._key, None
        self._callback = self._args = None
        if key is not None:
            self._disarm(key)
            self.loop._unwatch(key)

    def close(self):
        """Stop, for good."""
        self.stop()

    def feed(self, revents, callback, *args):
        """Have the callback called as if it had happened."""
        self.loop.run_callback(callback, *args)

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.close()

    def _arm(self):
        """Have the loop wake it."""

    def _disarm(self, key):
        """Take that back."""

    def _fire(self, reason):
        """The loop calls this when it was woken."""
        key, callback, args = self._key, self._callback, self._args
        if self._once:
            self.stop()
        if callback is not None:
            args = () if args is None else args
            if args and args[0] is EVENTS:
                args = (self._events, *args[1:])
            try:
                callback(*args)
            except BaseException:
                self.loop.handle_error(self, *sys.exc_info())
        if not self._once and key is not None and self._key == key:
            self.loop._again(key)
            self._arm()

    def _format(self):
        return ""

    def __repr__(self):
        state = " active" if self.active else ""
        state += " pending" if self.pending else ""
        if self._callback is not None:
            state += f" callback={self._callback!r}"
        if self._args is not None:
            state += f" args={self._args!r}"
        return f"<{type(self).__name__} at {id(self):#x}{self._format()}{state}>"
