"""What the `map` of all executors has in common."""

import itertools
import time
from collections import deque


def check_buffersize(buffersize):
    """Raise what is to be raised for a wrong `buffersize`."""
    if buffersize is not None and not isinstance(buffersize, int):
        raise TypeError("buffersize must be an integer or None")
    if buffersize is not None and buffersize < 1:
        raise ValueError("buffersize must be None or > 0")


def results_of(futures, timeout, buffersize):
    """Return an iterator over the results of futures, as an iterator gives them that submits calls.

    `buffersize` is how many are submitted ahead of the one whose result is asked for (None: all, at
    once); TimeoutError is raised if a result is not there `timeout` seconds after now.
    """
    end = None if timeout is None else time.monotonic() + timeout
    ahead = deque(futures if buffersize is None else itertools.islice(futures, buffersize))
    return _results(ahead, futures, end)


def _results(ahead, futures, end):
    """Yield the results of the futures that are under way, and submit one more for each."""
    try:
        while ahead:
            # Nothing that was given out, or will be, is kept here.
            ahead.extend(itertools.islice(futures, 1))
            yield _result(ahead.popleft(), None if end is None else end - time.monotonic())
    finally:
        for future in ahead:
            future.cancel()


def _result(future, timeout):
    try:
        return future.result(timeout)
    finally:
        future.cancel()
        # Its exception has this frame in its traceback.
        del future
