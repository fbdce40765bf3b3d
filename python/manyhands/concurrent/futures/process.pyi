from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import process as _process
from concurrent.futures.process import (
    EXTRA_QUEUED_CALLS as EXTRA_QUEUED_CALLS,
    BrokenProcessPool as BrokenProcessPool,
)
from multiprocessing.context import BaseContext
from typing import Any, Literal, TypeVar

from typing_extensions import Self

_T = TypeVar("_T")

class ProcessPoolExecutor(_process.ProcessPoolExecutor):
    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None: ...
    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: bool | str = False,
    ) -> Iterator[_T]: ...
    def with_options(
        self,
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        retries: int = ...,
        running: Literal["wait", "kill"] = ...,
    ) -> Self: ...
    def terminate_workers(self) -> None: ...
    def kill_workers(self) -> None: ...
