"""Futures and executors: the standard library's `concurrent.futures` on the Rust engine.

`Future`, `ProcessPoolExecutor` and `ThreadPoolExecutor` are ours, and inherit from the standard
library's; everything else (`wait`, `as_completed`, `Executor`, exceptions) is its own.

Source: https://docs.python.org/3/library/concurrent.futures.html
"""

from importlib import import_module

from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.concurrent.futures._future import Future as Future

_original = original("concurrent.futures")

__all__ = list(_original.__all__)

#: Imported when somebody asks for them, as in the standard library.
_LATE = {"ProcessPoolExecutor": "process", "ThreadPoolExecutor": "thread"}

forward(globals(), _original)
_forwarded = __getattr__  # noqa: F821


def __getattr__(name):
    if name not in _LATE:
        return _forwarded(name)
    found = getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    globals()[name] = found
    return found
