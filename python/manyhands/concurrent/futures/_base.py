"""What all executors have in common.

`Future` is ours, `as_completed` can show how far it is, and all else is the standard library's.
"""

from manyhands import _progress
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


def as_completed(fs, timeout=None, *, progress=False):
    """Return an iterator over futures that gives each when it has ended or was cancelled.

    TimeoutError is raised if one has not ended `timeout` seconds after the first is asked for.
    `progress` shows how far they are.
    """
    if not progress:
        return _original.as_completed(fs, timeout)
    return _as_completed(set(fs), timeout, progress)


def _as_completed(futures, timeout, progress):
    tally = _native.Tally()
    left = list(futures)
    _progress.count_all(left, tally)

    def read():
        running = _progress.running_of(left)
        total, done, failed = tally.read()
        return _progress.Numbers(total, done, failed, running, False)

    with _progress.show(progress, read):
        completed = _original.as_completed(futures, timeout)
        # None that was given out is kept.
        del futures
        yield from completed


copy(globals(), _original)
