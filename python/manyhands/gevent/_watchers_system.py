"""What a loop can watch of the system: signals, children, files."""

import errno
import os
import signal as _signal

from manyhands.gevent._watcher import watcher
from manyhands.gevent.monkey import get_original

# Those that programs see once they are patched would ask a watcher.
_waitpid, _close = get_original("os", ["waitpid", "close"])


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
