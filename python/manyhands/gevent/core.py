"""The loop of a hub, and the watchers that it calls."""

import os
import sys
import time

from manyhands.gevent import _watcher, _watchers, _watchers_system
from manyhands.gevent._green import Callback as callback, Loop
from manyhands.gevent._interfaces import ICallback, ILoop, IWatcher, classImplements
from manyhands.gevent._watcher import EVENTS, READ, WRITE, _events_to_str  # noqa: F401

__all__ = [
    "EVENTS",
    "READ",
    "WRITE",
    "callback",
    "get_header_version",
    "get_version",
    "loop",
    "supported_backends",
    "time",
]

_NAMES = ("epoll",) if sys.platform == "linux" else ("kqueue",)


def get_version():
    """What the loop is, and of which version."""
    from manyhands import __version__

    return f"manyhands-{__version__}"


get_header_version = get_version


def supported_backends():
    """How the system may be asked which descriptors are ready."""
    return list(_NAMES)


recommended_backends = embeddable_backends = supported_backends


class loop(Loop):
    """Calls callbacks and watchers in one thread: `run()` until none can come any more."""

    MAXPRI = 2
    MINPRI = -2
    CALLBACK_CHECK_COUNT = 50
    approx_timer_resolution = 0.00001

    error_handler = None
    starting_timer_may_update_loop_time = False

    def __init__(self, flags=None, default=None):
        if flags is not None and not _is_backend(flags):
            raise ValueError(f"Invalid backend or flag: {flags!r}; possible: {', '.join(_NAMES)}")
        self.default = default is None or bool(default)
        self.backend = _NAMES[0]
        self.iteration = 0
        self._forks = []
        self._running = 0

    @property
    def ptr(self):
        """Something that tells loops apart; None once it is destroyed."""
        return None if self._closed() else id(self)

    @property
    def WatcherType(self):
        return _watcher.watcher

    @property
    def depth(self):
        """How many calls of run() there are now."""
        return self._running

    @property
    def activecnt(self):
        """How many watchers and waits keep the loop from ending."""
        return self._keeping()

    @property
    def pendingcnt(self):
        """How many have a turn now."""
        return self._due()

    def run(self, nowait=False, once=False):
        """Call who is to be called, until nobody can come any more; with `nowait` only who has a
        turn now, with `once` only until somebody had one."""
        if self._closed():
            raise ValueError("operation on destroyed loop")
        self.iteration += 1
        self._running += 1
        try:
            self._run(nowait, once)
        finally:
            self._running -= 1

    def handle_error(self, context, type, value, tb):
        """Tell of an exception in something that the loop has called."""
        if type is None and value is not None:
            type, tb = value.__class__, value.__traceback__
        handler = self.error_handler
        if handler is None:
            import traceback

            traceback.print_exception(type, value, tb)
            return
        handler.handle_error(context, type, value, tb)

    def now(self):
        """The time, in seconds, since the epoch."""
        return time.time()

    def update_now(self):
        """Nothing: the time is always the true one."""

    update = update_now

    def verify(self):
        """Nothing: there is nothing to find wrong from here."""

    def ref(self):
        raise NotImplementedError("start a watcher with ref=True instead")

    def unref(self):
        raise NotImplementedError("start a watcher with ref=False instead")

    def break_(self, how=None):
        raise NotImplementedError("a loop cannot be left from within; have the main greenlet go on")

    def destroy(self):
        """Give back what the loop has of the system; nothing of it can be used any more."""
        self._close()
        self.default = False
        self.__dict__.pop("error_handler", None)
        return True

    def reinit(self):
        """To be called in a forked child: the loop gets its own poller."""
        self._forked()
        for watcher in list(self._forks):
            watcher._tell()

    def fileno(self):
        """None: who wants to know when the loop has work has to run it."""

    def closing_fd(self, fd):
        """A descriptor is about to be closed: who waits for it is told. Whether anybody is."""
        before = self._due()
        self._forget(fd)
        return self._due() > before

    def install_sigchld(self):
        """Nothing: children are watched without signals."""

    def reset_sigchld(self):
        """Nothing, as above."""

    def io(self, fd, events, ref=True, priority=None):
        return _watchers.io(self, fd, events, ref, priority)

    def timer(self, after, repeat=0.0, ref=True, priority=None):
        return _watchers.timer(self, after, repeat, ref, priority)

    def signal(self, signum, ref=True, priority=None):
        return _watchers_system.signal(self, signum, ref, priority)

    def idle(self, ref=True, priority=None):
        return _watchers.idle(self, ref, priority)

    def prepare(self, ref=True, priority=None):
        return _watchers.prepare(self, ref, priority)

    def check(self, ref=True, priority=None):
        return _watchers.check(self, ref, priority)

    def fork(self, ref=True, priority=None):
        return _watchers.fork(self, ref, priority)

    def async_(self, ref=True, priority=None):
        return _watchers.async_(self, ref, priority)

    def child(self, pid, trace=0, ref=True):
        return _watchers_system.child(self, pid, trace, ref)

    def stat(self, path, interval=0.0, ref=True, priority=None):
        return _watchers_system.stat(self, path, interval, ref, priority)

    def _format(self):
        if self._closed():
            return "destroyed"
        default = "default " if self.default else ""
        return f"{default}pending={self._due()} ref={self._keeping()}"

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} {self.backend} {self._format()}>"


setattr(loop, "async", loop.async_)  # its name until that became a keyword

classImplements(loop, ILoop)
classImplements(callback, ICallback)
classImplements(_watcher.watcher, IWatcher)


def _is_backend(flags):
    names = flags.split(",") if isinstance(flags, str) else flags
    return isinstance(names, (list, tuple)) and all(name.strip() in _NAMES for name in names)


def _forked():
    """In a forked child: the loop of the thread that is left gets its own poller."""
    from manyhands.gevent._hub_local import get_hub_if_exists

    hub = get_hub_if_exists()
    if hub is not None and hub.loop is not None:
        hub.loop.reinit()


os.register_at_fork(after_in_child=_forked)
