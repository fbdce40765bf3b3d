"""Futures and executors: the standard library's `concurrent.futures` on the Rust engine.

`Future`, `ProcessPoolExecutor` and `ThreadPoolExecutor` are ours, and inherit from the standard
library's; `as_completed` is its own, but can show how far it is, and everything else (`wait`,
`Executor`, exceptions) is just its own.

Source: https://docs.python.org/3/library/concurrent.futures.html
"""

from importlib import import_module as _import_module

from manyhands.concurrent.futures._base import (
    ALL_COMPLETED as ALL_COMPLETED,
    FIRST_COMPLETED as FIRST_COMPLETED,
    FIRST_EXCEPTION as FIRST_EXCEPTION,
    BrokenExecutor as BrokenExecutor,
    CancelledError as CancelledError,
    Executor as Executor,
    Future as Future,
    InvalidStateError as InvalidStateError,
    TimeoutError as TimeoutError,
    as_completed as as_completed,
    wait as wait,
)

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "Executor",
    "Future",
    "InvalidStateError",
    "ProcessPoolExecutor",
    "ThreadPoolExecutor",
    "TimeoutError",
    "as_completed",
    "wait",
]

#: Where they are that are imported when somebody asks for them, as in the standard library.
_LATE = {"ProcessPoolExecutor": "process", "ThreadPoolExecutor": "thread"}


def __getattr__(name):
    if name in _LATE:
        found = getattr(_import_module(f"{__name__}.{_LATE[name]}"), name)
    elif name == "InterpreterPoolExecutor":
        # Of Python 3.14: the standard library's.
        try:
            found = _import_module("concurrent.futures.interpreter").InterpreterPoolExecutor
        except ImportError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__():
    return [*__all__]
