from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import thread as _thread
from concurrent.futures.thread import BrokenThreadPool as BrokenThreadPool
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")

class ThreadPoolExecutor(_thread.ThreadPoolExecutor):
    def map(
        self,
        fn: Callable[..., _T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: bool | str = False,
    ) -> Iterator[_T]: ...
    def with_options(self, **options: object) -> NoReturn: ...

def _break(jobs: Any, why: str) -> None: ...
