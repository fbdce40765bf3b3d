"""The standard library's `threading`, with greenlets for threads: for `gevent.monkey`.

Nothing of the standard library's changes by importing this.
"""

import os
import sys
import threading as __threading__

from manyhands.gevent.hub import getcurrent, sleep as _sleep  # noqa: F401
from manyhands.gevent.local import local as local
from manyhands.gevent.lock import RLock as RLock
from manyhands.gevent.thread import (
    _make_thread_handle as _make_thread_handle,
    _ThreadHandle as _ThreadHandle,
    allocate_lock,
    get_ident,
    start_joinable_thread,
    start_new_thread,
    wait_until,
)

#: The name that a thread's handle has here; None where threads have none.
HANDLE = next(
    (
        name
        for name in ("_handle", "_os_thread_handle")
        if hasattr(__threading__.main_thread(), name)
    ),
    None,
)

__implements__ = [
    "Lock",
    "Thread",
    "Timer",
    "_CRLock",
    "_DummyThread",
    "_allocate_lock",
    "get_ident",
    "local",
]
__extensions__ = []
if sys.version_info >= (3, 13):
    __implements__ += ["_ThreadHandle", "_make_thread_handle", "_start_joinable_thread"]
    __extensions__ += ["_set_sentinel"]
else:
    __implements__ += ["_set_sentinel", "_start_new_thread"]

Lock = _allocate_lock = allocate_lock
_get_ident = get_ident
_start_new_thread = start_new_thread
_start_joinable_thread = start_joinable_thread
#: Up to Python 3.12, makes the lock by which a thread is joined.
_set_sentinel = allocate_lock
#: Without it `threading` makes its RLock of its own Lock, which is replaced.
_CRLock = None

_RealDummyThread = __threading__._DummyThread
_MainThread = __threading__._MainThread
_always_set = __threading__.Event()
_always_set.set()


def main_native_thread():
    """The main thread's object."""
    return __threading__.main_thread()


def join_native(thread):
    """A method join() for a thread that was there before: it lets other greenlets run."""

    def join(timeout=None):
        if __threading__.current_thread() is thread:
            raise RuntimeError("Cannot join current thread")
        wait_until(lambda: not thread.is_alive(), timeout)

    return join


class _DummyThread(_RealDummyThread):
    """Stands for a greenlet that somebody else than `threading` has started.

    Servers make one for each request, when they log it; so what is the same for all lies in the
    class, and the costly part of what Thread.__init__ does is left out.
    """

    _is_stopped = False
    _initialized = True
    _daemonic = True
    _args = ()
    _kwargs = None
    _target = None
    _ident = None
    _started = _always_set
    _tstate_lock = None
    _context = None

    def __init__(self):
        self._name = __threading__._newname("Dummy-%d")
        self._set_ident()
        self._native_id = __threading__.get_native_id()
        self._green_handle = _make_thread_handle()
        greenlet = getcurrent()
        ident = get_ident(greenlet)
        __threading__._active[ident] = self
        if hasattr(greenlet, "rawlink"):
            greenlet.rawlink(_forget)
        else:
            from weakref import ref

            self._greenlet_reference = ref(
                greenlet, lambda _: __threading__._active.pop(ident, None)
            )

    def _stop(self):
        pass

    def _wait_for_tstate_lock(self, *args, **kwargs):
        pass

    def is_alive(self):
        """Always, as for any thread that `threading` has not started."""
        return True

    def _get_handle(self):
        return self._green_handle

    def _set_handle(self, handle):
        self._green_handle = handle

    if HANDLE is not None:
        locals()[HANDLE] = property(_get_handle, _set_handle)

    # After a fork, newer patch releases of `threading` make a dummy that forked the main thread,
    # by a change of its class. It has not got what a main thread must have; `after_fork_in_child`
    # makes a true one.
    _NEEDS_CLASS_FORK_FIXUP = (3, 11, 8) <= sys.version_info[:3] < (3, 12) or (
        sys.version_info[:3] >= (3, 12, 2)
    )

    def _get_class(self):
        return type(self)

    def _set_class(self, new):
        if new is not _MainThread:
            object.__dict__["__class__"].__set__(self, new)

    __class__ = property(_get_class, _set_class)


def _forget(greenlet):
    __threading__._active.pop(get_ident(greenlet), None)


class Thread(__threading__.Thread):
    """A thread that is a greenlet."""

    # Up to Python 3.12: the interpreter releases the lock of a real thread when that has ended.
    def _set_tstate_lock(self):
        super()._set_tstate_lock()
        getcurrent().rawlink(self._greenlet_ended)

    def _greenlet_ended(self, _greenlet):
        if self._tstate_lock:
            self._tstate_lock.release()
            self._stop()


class Timer(Thread, __threading__.Timer):
    """A timer that is a greenlet."""


class _Forks:
    """Keeps the table of threads true in a child, where `threading` has looked for a real
    thread.
    """

    def before(self):
        """Called in the parent."""
        self.active = dict(__threading__._active)
        self.current = get_ident()

    def after_in_child(self):
        """Called after what `threading` does there itself."""
        if HANDLE is not None:
            for ident, thread in self.active.items():
                if ident != self.current:
                    getattr(thread, HANDLE)._set_done(enter_hub=False)
        main = _MainThread()
        main._ident = get_ident()
        __threading__._active.clear()
        __threading__._active[main._ident] = main
        __threading__._main_thread = main
        self.active = None


_forks = _Forks()
_watches_forks = False


def _gevent_will_monkey_patch(native_module, items, warn):
    global _watches_forks

    main = main_native_thread()
    if __threading__.current_thread() is not main:
        warn(
            "Monkey-patching outside the main native thread. Some APIs will not be available. "
            "Expect a KeyError to be printed at shutdown."
        )
        return
    active, ident = __threading__._active, get_ident()
    if ident not in active:  # the main thread is found by its greenlet's number from now on
        del active[main.ident]
        main._ident = ident
        active[ident] = main
    if not _watches_forks:
        _watches_forks = True
        os.register_at_fork(before=_forks.before, after_in_child=_forks.after_in_child)
