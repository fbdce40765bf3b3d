"""What a loop can watch: descriptors, time, signals, children, and so on."""

import errno
import os
import signal as _signal
import sys

from manyhands.gevent.monkey import get_original

__all__ = ["EVENTS", "READ", "WRITE"]

# Those that programs see once they are patched would ask a watcher.
_waitpid, _close = get_original("os", ["waitpid", "close"])

READ = 1
WRITE = 2
TIMER = 256


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


class signal(watcher):
    """Calls whenever the process gets a signal; for the main thread only."""

    def __init__(self, loop, signalnum, ref=True, priority=None):
        if not 1 <= signalnum < _signal.NSIG:
            raise ValueError(f"illegal signal number: {signalnum!r}")
        super().__init__(loop, ref, priority)
        self._signalnum = signalnum
        self._before = None

    def _arm(self):
        if self._before is None:
            self._before = (_set_handler(self._signalnum, self._came),)

    def _disarm(self, key):
        before, self._before = self._before, None
        if before is not None and _signal.getsignal(self._signalnum) == self._came:
            _set_handler(self._signalnum, before[0])

    def _came(self, signum, frame):
        if self._key is not None:
            self.loop._wake(self._key)

    def _format(self):
        return f" signalnum={self._signalnum}"


def _set_handler(signum, handler):
    handler = _signal.SIG_DFL if handler is None else handler
    return get_original("signal", "signal")(signum, handler)


class child(watcher):
    """Calls when a child has ended: then `rpid` and `rstatus` are its number and status."""

    def __init__(self, loop, pid, trace=0, ref=True):
        super().__init__(loop, ref)
        self._pid = pid
        self._pidfd = None
        self.rpid = 0
        self.rstatus = 0

    @property
    def pid(self):
        return self._pid

    @property
    def rcode(self):
        """The exit code, or minus the signal."""
        return os.waitstatus_to_exitcode(self.rstatus)

    def _arm(self):
        if self._pidfd is None:
            try:
                self._pidfd = os.pidfd_open(self._pid)
            except ProcessLookupError:
                self.loop._wake(self._key)
                return
        self.loop._when(self._key, self._pidfd, False)

    def _disarm(self, key):
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            self.loop._not_when(key, pidfd)
            self.loop._forget(pidfd)
            _close(pidfd)

    def _fire(self, reason):
        if self._key is None:
            return
        try:
            pid, status = _waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._pid, 0  # somebody else has asked for it
        if pid == 0:
            self.loop._again(self._key)
            self._arm()
            return
        self.rpid, self.rstatus = pid, status
        callback, args = self._callback, self._args
        self.stop()
        if callback is not None:
            callback(*(args or ()))

    def _format(self):
        return f" pid={self._pid} rstatus={self.rstatus}"


class stat(watcher):
    """Calls when a file's status changes; looks for that every `interval` seconds."""

    _SECONDS = 5.0
    _SHORTEST = 0.1

    def __init__(self, loop, path, interval=0.0, ref=True, priority=None):
        super().__init__(loop, ref, priority)
        self.path = os.fsdecode(path)
        self._paths = os.fsencode(path)
        #: How often it looks, in seconds; what that comes to is there once it is started.
        self.interval = interval
        self._attr = self._prev = None

    @property
    def attr(self):
        """The status; None if there is no such file."""
        return self._attr

    @property
    def prev(self):
        """The status before; None if there was no such file."""
        return self._prev

    def _look(self):
        try:
            return os.stat(self.path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            return None

    def start(self, callback, *args, pass_events=False):
        self._attr = self._prev = self._look()
        self.interval = max(self.interval or self._SECONDS, self._SHORTEST)
        super().start(callback, *args, pass_events=pass_events)

    def _arm(self):
        self.loop._after(self._key, self.interval)

    def _fire(self, reason):
        now = self._look()
        if _identity(now) == _identity(self._attr):
            self.loop._again(self._key)
            self._arm()
            return
        self._prev, self._attr = self._attr, now
        super()._fire(reason)

    def _format(self):
        return f" path={self.path!r}"


def _identity(status):
    if status is None:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode, status.st_ctime_ns)
