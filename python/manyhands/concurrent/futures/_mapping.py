"""What the `map` of all executors has in common."""

import itertools
import time
from collections import deque

from manyhands import _progress
from manyhands._native import concurrent as _native


def check_buffersize(buffersize):
    """Raise what is to be raised for a wrong `buffersize`."""
    if buffersize is not None and not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or > 0")


class Shown:
    """A map that shows how far it is; `running()` tells how many calls the executor makes."""

    def __init__(self, progress, iterables, running):
        try:
            self._total = min(map(len, iterables))
        except (TypeError, ValueError):
            self._total = None
        self._running = running
        self._tally = _native.Tally()
        self._is_all_sent = False
        self._taken = 0
        _progress.show(progress, self._read)

    def _read(self):
        # Before it is read: more may be sent meanwhile, but not if all was.
        is_all_sent = self._is_all_sent
        submitted, done, failed = self._tally.read()
        left = submitted - done - failed
        running = self._running()
        if running is not None:
            running = min(left, running)
        total = submitted if is_all_sent and self._total is None else self._total
        return _progress.Numbers(total, done, failed, running, is_all_sent and left <= 0)

    def calls(self, calls):
        """Give the calls on, which are counted."""
        for call in calls:
            self._taken += 1
            yield call

    def futures(self, futures):
        """Give the futures on, each of which is for the calls that were taken for it."""
        try:
            for future in futures:
                taken, self._taken = self._taken, 0
                _progress.count(future, self._tally, taken)
                yield future
                del future
        finally:
            self._is_all_sent = True


def results_of(futures, timeout, buffersize):
    """Return an iterator over the results of futures, as an iterator gives them that submits calls.

    `buffersize` is how many are submitted ahead of the one whose result is asked for (None: all, at
    once); TimeoutError is raised if a result is not there `timeout` seconds after now.
    """
    end = None if timeout is None else time.monotonic() + timeout
    if buffersize is None:
        return _results(deque(futures), None, end)
    return _results(deque(itertools.islice(futures, buffersize)), futures, end)


def _results(ahead, futures, end):
    """Yield the results of the futures that are under way; submit one more for each, if any."""
    try:
        while ahead:
            # Nothing that was given out, or will be, is kept here.
            if futures is not None:
                ahead.extend(itertools.islice(futures, 1))
            yield _result(ahead.popleft(), None if end is None else end - time.monotonic())
    finally:
        for future in ahead:
            future.cancel()


def _result(future, timeout):
    try:
        return future.result(timeout)
    except BaseException:
        future.cancel()
        raise
    finally:
        # Its exception has this frame in its traceback.
        del future
