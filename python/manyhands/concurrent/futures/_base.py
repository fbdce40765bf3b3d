"""What all executors have in common.


`Future` is ours, and all else the standard library's. Of `wait` and `as_completed` it is known that
workers wait there; the latter can show how far it is.
"""

import sys
import types

from manyhands import _progress
from manyhands._mirror import copy
from manyhands._native import Event as _Event, concurrent as _native
from manyhands._stdlib import original

_original = original("concurrent.futures._base")


class _Meta(type):
    """Programs that ask whether something is a `Future` mean the standard library's too."""

    def __instancecheck__(cls, instance):
        return super().__instancecheck__(instance) or (
            cls is Future and isinstance(instance, _original.Future)
        )

    def __subclasscheck__(cls, subclass):
        return super().__subclasscheck__(subclass) or (
            cls is Future and issubclass(subclass, _original.Future)
        )


class Future(_native.Future, _original.Future, metaclass=_Meta):
    """What a call comes to: a result or an exception, if it is not cancelled."""

    __slots__ = ()

    # Not that which a class gets whose instances have one: who gets hold of it may make a cycle.
    __dict__ = vars(_native.Future)["__dict__"]


Future.__module__ = "concurrent.futures._base"


class _BesideOthers:
    """The standard library's functions, for greenlets: they wait in an event of ours."""

    def __init__(self):
        names = dict(vars(_original), _create_and_install_waiters=self._install)
        for function in _original.wait, _original.as_completed:
            ours = types.FunctionType(
                function.__code__, names, function.__name__, function.__defaults__
            )
            setattr(self, function.__name__, ours)

    @staticmethod
    def _install(futures, return_when):
        # The caller holds the conditions of all of them: nobody has been told anything yet.
        waiter = _original._create_and_install_waiters(futures, return_when)
        waiter.event = _Event()
        return waiter


_beside_others = _BesideOthers()


def _waiting():
    green = sys.modules.get("manyhands.gevent._green")
    has_others = green is not None and green.get_hub_if_exists() is not None
    return _beside_others if has_others else _original


def wait(fs, timeout=None, return_when=_original.ALL_COMPLETED):
    """Wait for futures; return those that are done, or were cancelled, and the others.

    `return_when` says whether all are waited for, one, or one that raises an exception; `timeout`
    how many seconds at most (None: as long as it takes).
    """
    if not _native.is_worker() or (timeout is not None and timeout <= 0):
        return _waiting().wait(fs, timeout, return_when)
    fs = set(fs)
    for_one = return_when == _original.FIRST_COMPLETED
    return _native.wait_for(fs, for_one, _waiting().wait, fs, timeout, return_when)


def as_completed(fs, timeout=None, *, progress=False):
    """Return an iterator over futures that gives each when it has ended or was cancelled.

    TimeoutError is raised if one has not ended `timeout` seconds after the first is asked for.
    `progress` shows how far they are.
    """
    if progress:
        return _shown(set(fs), timeout, progress)
    return _as_completed(fs, timeout)


def _as_completed(futures, timeout):
    if not _native.is_worker():
        return _waiting().as_completed(futures, timeout)
    return _awaited_by_worker(set(futures), timeout)


def _awaited_by_worker(left, timeout):
    """Yield them in a worker."""
    futures = _waiting().as_completed(set(left), timeout)
    try:
        while left:
            future = _native.wait_for(left, True, next, futures)
            left.discard(future)
            yield future
            # Nothing that was given out is kept.
            del future
    finally:
        futures.close()


def _shown(futures, timeout, progress):
    tally = _native.Tally()
    left = list(futures)
    _progress.count_all(left, tally)

    def read():
        running = _progress.running_of(left)
        total, done, failed = tally.read()
        return _progress.Numbers(total, done, failed, running, False)

    with _progress.show(progress, read):
        completed = _as_completed(futures, timeout)
        # None that was given out is kept.
        del futures
        yield from completed


copy(globals(), _original)
