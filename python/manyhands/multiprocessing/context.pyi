from collections.abc import Callable, Iterable
from multiprocessing import context
from multiprocessing.context import (
    AuthenticationError as AuthenticationError,
    BufferTooShort as BufferTooShort,
    ProcessError as ProcessError,
    TimeoutError as TimeoutError,
    assert_spawning as assert_spawning,
    get_spawning_popen as get_spawning_popen,
    set_spawning_popen as set_spawning_popen,
)
from typing import Any, ClassVar, Literal, overload

from manyhands.multiprocessing import pool, queues, synchronize

__all__ = ()

START_METHOD: str

class BaseContext(context.BaseContext):
    def Lock(self) -> synchronize.Lock: ...
    def RLock(self) -> synchronize.RLock: ...
    def Queue(self, maxsize: int = 0) -> queues.Queue[Any]: ...
    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]: ...  # type: ignore[override]
    def SimpleQueue(self) -> queues.SimpleQueue[Any]: ...
    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        *,
        hosts: str | Iterable[str] | None = None,
        python: str = "python3",
        procs: int | None = None,
        bootstrap: bool = False,
    ) -> pool.Pool: ...
    @overload
    def get_context(self, method: None = None) -> DefaultContext: ...
    @overload
    def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
    @overload
    def get_context(self, method: Literal["fork"]) -> ForkContext: ...
    @overload
    def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
    @overload
    def get_context(self, method: str) -> BaseContext: ...

class Process(context.Process): ...
class ForkProcess(context.ForkProcess): ...
class SpawnProcess(context.SpawnProcess): ...
class ForkServerProcess(context.ForkServerProcess): ...

class DefaultContext(BaseContext, context.DefaultContext):
    Process: ClassVar[type[Process]]

class ForkContext(BaseContext, context.ForkContext):
    Process: ClassVar[type[ForkProcess]]

class SpawnContext(BaseContext, context.SpawnContext):
    Process: ClassVar[type[SpawnProcess]]

class ForkServerContext(BaseContext, context.ForkServerContext):
    Process: ClassVar[type[ForkServerProcess]]

_default_context: DefaultContext
