from collections.abc import Iterable, Iterator
from concurrent.futures._base import (
    ALL_COMPLETED as ALL_COMPLETED,
    CANCELLED as CANCELLED,
    CANCELLED_AND_NOTIFIED as CANCELLED_AND_NOTIFIED,
    FINISHED as FINISHED,
    FIRST_COMPLETED as FIRST_COMPLETED,
    FIRST_EXCEPTION as FIRST_EXCEPTION,
    LOGGER as LOGGER,
    PENDING as PENDING,
    RUNNING as RUNNING,
    BrokenExecutor as BrokenExecutor,
    CancelledError as CancelledError,
    Error as Error,
    Executor as Executor,
    Future as Future,
    InvalidStateError as InvalidStateError,
    TimeoutError as TimeoutError,
    wait as wait,
)
from typing import TypeVar

_T = TypeVar("_T")

def as_completed(
    fs: Iterable[Future[_T]], timeout: float | None = None, *, progress: bool | str = False
) -> Iterator[Future[_T]]: ...
