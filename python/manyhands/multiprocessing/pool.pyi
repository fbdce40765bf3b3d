from concurrent.futures import TimeoutError as FuturesTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import TimeoutError as ProcessesTimeoutError, pool as _pool
from multiprocessing.pool import *
from typing import Literal

from typing_extensions import Self

__all__ = ["Pool", "ThreadPool"]

class Pool(_pool.Pool):
    def with_options(
        self,
        *,
        timeout: float | None = ...,
        memory: int | None = ...,
        retries: int = ...,
        running: Literal["wait", "kill"] = ...,
    ) -> Self: ...

class ThreadPool(Pool, _pool.ThreadPool): ...

class _Certificate:
    pid: int
    exitcode: int | None
    call: str | None
    out_of_memory: bool | None
    peak_memory: int | None
    stack: str | None

class WorkerDied(_Certificate, BrokenProcessPool):
    def __init__(self, pid: int, exitcode: int | None, text: str) -> None: ...

class TaskTimeout(_Certificate, ProcessesTimeoutError, FuturesTimeoutError):
    timeout: float
    def __init__(self, pid: int, timeout: float, text: str) -> None: ...
