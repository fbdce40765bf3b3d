"""What all executors have in common: `Future` is ours, all else the standard library's.

`wait` and `as_completed` are so, too; it is known of workers that they wait there.
"""

from manyhands._mirror import copy
from manyhands._native import concurrent as _native
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


Future.__module__ = "concurrent.futures._base"


def wait(fs, timeout=None, return_when=_original.ALL_COMPLETED):
    """Wait for futures; return those that are done, or were cancelled, and the others.

    `return_when` says whether all are waited for, one, or one that raises an exception; `timeout`
    how many seconds at most (None: as long as it takes).
    """
    if not _native.is_worker() or (timeout is not None and timeout <= 0):
        return _original.wait(fs, timeout, return_when)
    fs = set(fs)
    for_one = return_when == _original.FIRST_COMPLETED
    return _native.wait_for(fs, for_one, _original.wait, fs, timeout, return_when)


def as_completed(fs, timeout=None):
    """Return an iterator that gives each of the futures when it is done, or was cancelled.

    TimeoutError is raised if they are not all done `timeout` seconds after the iterator began.
    """
    if not _native.is_worker():
        return _original.as_completed(fs, timeout)
    return _as_completed(set(fs), timeout)


def _as_completed(left, timeout):
    """Yield them in a worker."""
    futures = _original.as_completed(set(left), timeout)
    try:
        while left:
            future = _native.wait_for(left, True, next, futures)
            left.discard(future)
            yield future
            # Nothing that was given out is kept.
            del future
    finally:
        futures.close()


copy(globals(), _original)
