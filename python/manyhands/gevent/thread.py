"""The standard library's `_thread`, with greenlets for threads: for `gevent.monkey`.

Programs are better served by `gevent.spawn` and `gevent.lock`.
"""

import _thread as __thread__
import sys

from manyhands.gevent._hub_local import get_hub_if_exists
from manyhands.gevent._util import copy_globals
from manyhands.gevent.exceptions import LoopExit
from manyhands.gevent.greenlet import Greenlet
from manyhands.gevent.hub import GreenletExit, getcurrent, sleep
from manyhands.gevent.local import local as _local  # noqa: F401
from manyhands.gevent.lock import BoundedSemaphore

__target__ = "_thread"

__implements__ = [
    "LockType",
    "_local",
    "allocate_lock",
    "exit",
    "get_ident",
    "stack_size",
    "start_new_thread",
]
__imports__ = [
    "RLock",
    "TIMEOUT_MAX",
    "allocate",
    "daemon_threads_allowed",
    "error",
    "exit_thread",
    "get_native_id",
    "interrupt_main",
    "set_name",
    "start_new",
]
if sys.version_info >= (3, 13):
    __implements__ += ["_ThreadHandle", "_make_thread_handle", "lock", "start_joinable_thread"]

error = __thread__.error
TIMEOUT_MAX = __thread__.TIMEOUT_MAX


def get_ident(gr=None):
    """The number of the current greenlet, or of the one given."""
    if gr is None:
        try:
            gr = getcurrent()
        except RuntimeError:  # the interpreter ends: there is no current one any more
            return id(None)
    return id(gr)


def start_new_thread(function, args=(), kwargs=None):
    """Start a greenlet; returns its number."""
    return get_ident(Greenlet.spawn(function, *args, **({} if kwargs is None else kwargs)))


def start_joinable_thread(function, handle=None, daemon=True):
    """Start a greenlet that others can join by the handle, which is returned."""
    if handle is None:
        handle = _ThreadHandle()
    elif not isinstance(handle, _ThreadHandle):
        raise AssertionError(f"the handle must be one of greenlets, not {handle!r}")
    elif handle._had_greenlet:
        raise RuntimeError("thread already started")
    handle._set_greenlet(Greenlet.spawn(function))
    return handle


class _ThreadHandle:
    """By what a greenlet that serves as a thread is joined.

    Refers to it weakly: `threading` keeps handles, and finds out by the collector which threads
    are gone.
    """

    _reference = None
    _had_greenlet = False

    def __init__(self, *_args, **_kwargs):
        pass

    def _set_greenlet(self, greenlet):
        from weakref import ref

        self._reference = ref(greenlet)
        self._had_greenlet = True

    def _get_greenlet(self):
        return None if self._reference is None else self._reference()

    @property
    def ident(self):
        """The greenlet's number."""
        greenlet = self._get_greenlet()
        return None if greenlet is None else get_ident(greenlet)

    def is_done(self):
        """Whether it has ended."""
        greenlet = self._get_greenlet()
        return greenlet is None or greenlet.dead

    def join(self, timeout=-1):
        """Wait until it has ended."""
        if not self._had_greenlet:
            raise RuntimeError("thread not started")
        greenlet = self._get_greenlet()
        if greenlet is None:
            return
        if greenlet is getcurrent():
            raise RuntimeError("Cannot join current thread")
        timeout = None if timeout is None or timeout < 0 else timeout
        if hasattr(greenlet, "join"):
            greenlet.join(timeout)
        else:
            wait_until(self.is_done, timeout)

    def _set_done(self, enter_hub=True):
        if not self._had_greenlet:
            raise RuntimeError("thread not started")
        self._reference = None
        if enter_hub:  # those who have joined it see it before the interpreter goes on to end
            sleep(0.001)

    def __repr__(self):
        name = f"{type(self).__module__}.{type(self).__name__}"
        return f"<{name} at {id(self):#x} greenlet={self._get_greenlet()!r}>"


def handle_of_current():
    """A handle of the current greenlet."""
    handle = _ThreadHandle()
    handle._set_greenlet(getcurrent())
    return handle


def _make_thread_handle(*_args):
    return handle_of_current()


def wait_until(is_done, timeout):
    """Let other greenlets run until something is so that tells nobody, or the time is up."""
    from time import monotonic

    deadline = None if timeout is None else monotonic() + timeout
    while not is_done():
        if deadline is not None and monotonic() >= deadline:
            break
        sleep(0.001)


class LockType(BoundedSemaphore):
    """A lock that makes greenlets wait, with the interface of `_thread.lock`."""

    _OVER_RELEASE_ERROR = error

    def __init__(self):
        super().__init__()

    def __init_subclass__(cls):
        raise TypeError("type 'LockType' is not an acceptable base type")

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock; returns whether that came about in time."""
        if timeout is None or timeout == -1:
            timeout = None
        elif not blocking:
            raise ValueError("can't specify a timeout for a non-blocking call")
        elif timeout < 0:
            raise ValueError("timeout value must be a non-negative number")
        elif timeout > TIMEOUT_MAX:
            raise OverflowError("timeout value is too large")
        try:
            acquired = BoundedSemaphore.acquire(self, blocking, timeout)
        except LoopExit:
            if blocking:
                raise
            acquired = False
        if not acquired and not blocking and getcurrent() is not get_hub_if_exists():
            sleep()  # who tries again and again waits for somebody else to run
        return acquired


allocate_lock = lock = LockType


def exit():
    """End the current greenlet."""
    raise GreenletExit


_real_stack_size = __thread__.stack_size
_SMALLEST_STACK = 32 * 1024


def stack_size(size=None):
    """The size of the stacks of real threads: it can grow, as greenlets run on them."""
    if size is None:
        return _real_stack_size()
    if size > _real_stack_size():
        return _real_stack_size(size)
    if size != 0 and size < _SMALLEST_STACK:
        raise ValueError(f"size not valid: {size} bytes")
    return 0


__imports__ = copy_globals(__thread__, globals(), only_names=__imports__, ignore_missing_names=True)
__all__ = [name for name in __implements__ + __imports__ if name != "_local"]
