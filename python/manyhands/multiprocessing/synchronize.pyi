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
    @property
    def abandoned(self) -> bool: ...

class RLock(synchronize.RLock):
    @property
    def abandoned(self) -> bool: ...
