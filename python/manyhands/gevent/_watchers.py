"""What a loop can watch in itself: descriptors, time, its own rounds; and forks."""

from manyhands.gevent._watcher import READ, WRITE, _events_to_str, watcher

TIMER = 256


class io(watcher):
    """Calls whenever a descriptor is ready for what `events` says: READ, WRITE or both."""

    def __init__(self, loop, fd, events, ref=True, priority=None):
        if fd < 0:
            raise ValueError(f"fd must be non-negative: {fd!r}")
        if events & ~(READ | WRITE):
            raise ValueError(f"illegal event mask: {events!r}")
        super().__init__(loop, ref, priority)
        self._fd = fd
        self._events = events

    @property
    def fd(self):
        return self._fd

    @fd.setter
    def fd(self, fd):
        self._change(fd, self._events)

    @property
    def events(self):
        return self._events

    @events.setter
    def events(self, events):
        self._change(self._fd, events)

    def _change(self, fd, events):
        if self.active:
            raise AttributeError("'io' watcher attribute is read-only while watcher is active")
        self._fd, self._events = fd, events

    def _arm(self):
        if self._events & READ:
            self.loop._when(self._key, self._fd, False)
        if self._events & WRITE:
            self.loop._when(self._key, self._fd, True)

    def _disarm(self, key):
        self.loop._not_when(key, self._fd)

    def _fire(self, reason):
        if self._key is not None:
            self.loop._not_when(self._key, self._fd)
        super()._fire(reason)

    def _format(self):
        return f" fd={self._fd} events={_events_to_str(self._events)}"


class timer(watcher):
    """Calls after so many seconds, and then, if `repeat` is not 0, whenever so many have gone."""

    _events = TIMER

    def __init__(self, loop, after=0.0, repeat=0.0, ref=True, priority=None):
        if repeat < 0.0:
            raise ValueError(f"repeat must be positive or zero: {repeat!r}")
        super().__init__(loop, ref, priority)
        self._delay = float(after)
        self._repeat = float(repeat)
        self._next = self._delay

    @property
    def _once(self):
        return not self._repeat

    @property
    def at(self):
        """After how many seconds it calls first."""
        return self._delay

    def start(self, callback, *args, update=None, pass_events=False):
        """Have the callback called then. `update` says nothing new: the time is always the true
        one."""
        self._next = self._delay
        super().start(callback, *args, pass_events=pass_events)

    def again(self, callback, *args, update=None, pass_events=False):
        """Start it, or put its time off, by the `repeat` that it has."""
        if not self._repeat:
            raise ValueError("again() needs a timer with repeat")
        if self._key is not None:
            self.loop._after(self._key, self._repeat)
            self._callback, self._args = callback, args
            return
        self._next = self._repeat
        watcher.start(self, callback, *args, pass_events=pass_events)

    def _arm(self):
        self.loop._after(self._key, self._next)
        self._next = self._repeat


class async_(watcher):
    """Calls after `send()`, which any thread may call."""

    def send(self):
        """Have it called soon."""
        key = self._key
        if key is not None:
            self.loop._wake(key)

    def send_ignoring_arg(self, _ignored):
        """As send()."""
        self.send()


class _by_iteration(watcher):
    """Calls once in each round of the loop in which others had their turn."""

    _SECONDS = 0.0

    def _arm(self):
        self.loop._after(self._key, self._SECONDS)


class idle(_by_iteration):
    """Calls in each round, after those who had a turn; the loop does not sleep meanwhile."""


class prepare(_by_iteration):
    """Calls in each round."""


class check(_by_iteration):
    """Calls in each round."""


class fork(watcher):
    """Calls in a forked child."""

    def _arm(self):
        if self not in self.loop._forks:
            self.loop._forks.append(self)

    def _disarm(self, key):
        if self in self.loop._forks:
            self.loop._forks.remove(self)

    def _tell(self):
        if self._key is not None:
            self.loop._wake(self._key)
