from collections.abc import Callable, Iterable
from concurrent.futures import TimeoutError as FuturesTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import TimeoutError as ProcessesTimeoutError, pool as _pool
from multiprocessing.pool import (
    AsyncResult as AsyncResult,
    IMapIterator as IMapIterator,
    MapResult as MapResult,
    __all__ as __all__,
)
from typing import Any, Literal, TypeVar

from typing_extensions import Self

_S = TypeVar("_S")
_T = TypeVar("_T")

class Pool(_pool.Pool):
    def with_options(
        self,
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        retries: int = ...,
        running: Literal["wait", "kill"] = ...,
    ) -> Self: ...
    def map(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        chunksize: int | None = None,
        *,
        progress: bool | str = False,
    ) -> list[_T]: ...
    def map_async(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        chunksize: int | None = None,
        callback: Callable[[list[_T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        progress: bool | str = False,
    ) -> MapResult[_T]: ...
    def starmap(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        progress: bool | str = False,
    ) -> list[_T]: ...
    def starmap_async(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[_T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        progress: bool | str = False,
    ) -> AsyncResult[list[_T]]: ...
    def imap(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        chunksize: int | None = 1,
        *,
        progress: bool | str = False,
    ) -> IMapIterator[_T]: ...
    def imap_unordered(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S],
        chunksize: int | None = 1,
        *,
        progress: bool | str = False,
    ) -> IMapIterator[_T]: ...

class ThreadPool(Pool, _pool.ThreadPool):
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None: ...

class _Certificate:
    pid: int
    exitcode: int | None
    call: str | None
    out_of_memory: bool | None
    peak_memory: int | None
    stack: str | None
    host: str | None

class HostError(ConnectionError): ...

class WorkerDied(_Certificate, BrokenProcessPool):
    def __init__(self, pid: int, exitcode: int | None, text: str) -> None: ...

class TaskTimeout(_Certificate, ProcessesTimeoutError, FuturesTimeoutError):
    timeout: float
    def __init__(self, pid: int, timeout: float, text: str) -> None: ...
