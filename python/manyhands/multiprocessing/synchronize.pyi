from multiprocessing import synchronize
from multiprocessing.synchronize import (
    Barrier as Barrier,
    BoundedSemaphore as BoundedSemaphore,
    Condition as Condition,
    Event as Event,
    Semaphore as Semaphore,
)

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

class AbandonedLockWarning(RuntimeWarning): ...

class Lock(synchronize.Lock):
    def locked(self) -> bool: ...
    @property
    def abandoned(self) -> bool: ...
    @abandoned.setter
    def abandoned(self, value: bool) -> None: ...

class RLock(synchronize.RLock):
    def locked(self) -> bool: ...
    @property
    def abandoned(self) -> bool: ...
    @abandoned.setter
    def abandoned(self, value: bool) -> None: ...
