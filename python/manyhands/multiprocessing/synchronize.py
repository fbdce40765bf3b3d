"""Locks and their kin between processes: `multiprocessing.synchronize` on the Rust engine.

They lie in memory that the processes share, and know their owners. A process may end or be killed
at any moment: a lock that it held passes on to who wants it next, who gets an
`AbandonedLockWarning`; whoever waited is forgotten. Only what was taken from a semaphore stays
taken: it has no owner.

Source: https://docs.python.org/3/library/multiprocessing.html#synchronization-primitives
"""

import os
import time

from manyhands import _native
from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import _sharing

_native = _native.multiprocessing
_original = original("multiprocessing.synchronize")
_process = original("multiprocessing.process")
_threading = original("threading")

AbandonedLockWarning = _native.AbandonedLockWarning

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

RECURSIVE_MUTEX, SEMAPHORE = 0, 1
SEM_VALUE_MAX = _original.SEM_VALUE_MAX


class _SemLock:
    """What the standard library's locks have as `_semlock`: another look at the lock itself."""

    __slots__ = ("_count", "_get_value", "_is_mine", "_of", "acquire", "release")

    SEM_VALUE_MAX = SEM_VALUE_MAX

    #: Ours have no names.
    name = None

    def __init__(self, of):
        self._of = of
        self._is_mine = of._is_mine
        self._count = of._count
        self._get_value = of._get_value
        self.acquire = of.acquire
        self.release = of.release

    def __enter__(self):
        return self._of.__enter__()

    def __exit__(self, *args):
        return self._of.__exit__(*args)

    def _is_zero(self):
        return self._get_value() == 0

    def _after_fork(self):
        pass

    @property
    def handle(self):
        return self._of._reference()[1]

    @property
    def kind(self):
        return RECURSIVE_MUTEX if isinstance(self._of, RLock) else SEMAPHORE

    @property
    def maxvalue(self):
        return getattr(self._of, "_maximum", 1)


class SemLock:
    """What Lock, RLock and the semaphores have in common."""

    _rand = original("tempfile")._RandomNameSequence()

    def __init__(self, kind, value, maxvalue, *, ctx):
        raise TypeError(
            "SemLock is only a base class; use Lock, RLock, Semaphore, BoundedSemaphore"
        )

    @property
    def _semlock(self):
        return _SemLock(self)

    def __getstate__(self):
        return _sharing.state(self, self._reference())

    def __setstate__(self, state):
        self._open(*_sharing.reference(state))

    @staticmethod
    def _make_name():
        prefix = _process.current_process()._config["semprefix"]
        return f"{prefix}-{next(SemLock._rand)}"

    def _holder(self):
        """Who holds it, as a repr says it, and whether that is known exactly."""
        if self._is_mine():
            name, thread = _process.current_process().name, _threading.current_thread().name
            return name if thread == "MainThread" else f"{name}|{thread}", True
        if self._get_value() == 1:
            return "None", True
        return "SomeOtherThread" if self._count() else "SomeOtherProcess", False


class Semaphore(_native.Semaphore, SemLock):
    """A counter that acquire() takes one from, waiting while there is none, and release() adds to.

    What a process took and did not give back before it ended stays taken.
    """

    def __init__(self, value=1, *, ctx):
        self._create(value, False)

    def __repr__(self):
        return f"<{type(self).__name__}(value={self._get_value()})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that cannot be released more often than it was taken from."""

    def __init__(self, value=1, *, ctx):
        self._create(value, True)

    def __repr__(self):
        value, maximum = self._get_value(), self._maximum
        return f"<{type(self).__name__}(value={value}, maxvalue={maximum})>"


class Lock(_native.Lock, SemLock):
    """A lock that is not reentrant, and that any thread of any process may release.

    If a process ends while it holds the lock, it passes on to who wants it next, with an
    AbandonedLockWarning; `abandoned` is then True until it is set to False.
    """

    def __init__(self, *, ctx):
        self._create()

    def __repr__(self):
        return f"<{type(self).__name__}(owner={self._holder()[0]})>"


class RLock(_native.RLock, SemLock):
    """A lock that its owner, a thread, may acquire again, and releases as often.

    If its owner ends, it passes on as a Lock does.
    """

    def __init__(self, *, ctx):
        self._create()

    def __repr__(self):
        name, is_known = self._holder()
        count = self._count() if is_known else "nonzero"
        return f"<{type(self).__name__}({name}, {count})>"


class _Count:
    """What the standard library's conditions count their waiters with."""

    def __init__(self, get_value):
        self.get_value = self._get_value = get_value

    @property
    def _semlock(self):
        return self


class Condition(_native.Condition):
    """A condition variable: who holds its lock can wait for a notice, and notify who waits."""

    def __init__(self, lock=None, *, ctx):
        self._create()
        self._use(lock or ctx.RLock())

    def _use(self, lock):
        self.acquire = lock.acquire
        self.release = lock.release
        self._attach(lock, type(lock) is RLock or type(lock) is Lock)

    def __getstate__(self):
        return (_sharing.state(self, self._reference()), self._lock)

    def __setstate__(self, state):
        state, lock = state
        self._open(*_sharing.reference(state))
        self._use(lock)

    def __repr__(self):
        return f"<{type(self).__name__}({self._lock!r}, {self._waiters()})>"

    def locked(self):
        """Whether the lock is locked."""
        return self._lock.locked()

    def wait_for(self, predicate, timeout=None):
        """Wait until predicate() is true, as long as it takes or `timeout` seconds.

        Returns what it returned last.
        """
        result = predicate()
        if result:
            return result
        until = None if timeout is None else time.monotonic() + timeout
        while not result:
            if until is None:
                self.wait()
            else:
                remaining = until - time.monotonic()
                if remaining <= 0:
                    break
                self.wait(remaining)
            result = predicate()
        return result

    @property
    def _sleeping_count(self):
        return _Count(self._waiters)

    @property
    def _woken_count(self):
        return _Count(lambda: 0)

    _wait_semaphore = _woken_count


class Event(_native.Event):
    """A flag that can be set, cleared and waited for."""

    def __init__(self, *, ctx):
        self._create()

    def __getstate__(self):
        return _sharing.state(self, self._reference())

    def __setstate__(self, state):
        self._open(*_sharing.reference(state))

    if "__repr__" in vars(_original.Event):

        def __repr__(self):
            state = "set" if self.is_set() else "unset"
            return f"<{type(self).__qualname__} at {id(self):#x} {state}>"


class Barrier(_native.Barrier, _threading.Barrier):
    """A meeting of `parties` threads: they wait until all have come.

    The last to come calls `action`, if there is one, before they go on. Who ends while he waits is
    taken for not having come.
    """

    def __init__(self, parties, action=None, timeout=None, *, ctx):
        self._create(parties)
        self._parties, self._action, self._timeout = parties, action, timeout

    def __getstate__(self):
        state = _sharing.state(self, self._reference())
        return (state, self._parties, self._action, self._timeout)

    def __setstate__(self, state):
        state, self._parties, self._action, self._timeout = state
        self._open(*_sharing.reference(state))

    def wait(self, timeout=None):
        """Wait until all have come, or raise BrokenBarrierError; returns a number from 0 on.

        If that takes more than `timeout` seconds, or those given at first, the barrier breaks.
        """
        return self._pass(self._timeout if timeout is None else timeout, self._action or None)


if os.environ.get("MANYHANDS_LOCK_ORDER"):
    from manyhands import _lock_order

    _lock_order.watch(Lock, _lock_order.of_processes)
    _lock_order.watch(RLock, _lock_order.of_processes)

forward(globals(), _original)
