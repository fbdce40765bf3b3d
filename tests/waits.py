"""Every way in which a thread waits, each with the means to end the wait.

What is true of all waits (signals, Ctrl-C, timeouts, other threads run meanwhile) is tested once,
over this table.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import Any, ClassVar

from support import Engine, Hand

#: A short timeout, in seconds.
SHORT = 0.05


class Wait:
    """A wait about to be made, by the thread that makes this object or another.

    `wait` returns whether it got what it waited for. `satisfy` lets the one who waits go on; it may
    be called in a signal handler. `check` says that nothing was lost after `wait` was given up
    because of an exception, and before `satisfy` was called.
    """

    #: Whether `wait` takes a timeout.
    timed: ClassVar[bool] = True

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.set_up()

    def set_up(self) -> None:
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> bool:
        raise NotImplementedError

    def satisfy(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """Somebody else waits, and gets it."""
        hand = Hand(self.wait).blocks()
        self.satisfy()
        assert hand.result()

    def clean_up(self) -> None:
        pass


class LockAcquire(Wait):
    def set_up(self) -> None:
        self.lock = self.engine.threading.Lock()
        self.lock.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self.lock.acquire(timeout=-1 if timeout is None else timeout))

    def satisfy(self) -> None:
        self.lock.release()


class LockEnter(LockAcquire):
    timed = False

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self.lock.__enter__())


class RLockAcquire(Wait):
    def set_up(self) -> None:
        self.lock = self.engine.threading.RLock()
        self.go, there = _thread.allocate_lock(), _thread.allocate_lock()
        self.go.acquire()
        there.acquire()

        def hold() -> None:
            with self.lock:
                there.release()
                self.go.acquire()

        self.holder = Hand(hold)
        there.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        got = bool(self.lock.acquire(timeout=-1 if timeout is None else timeout))
        if got:
            self.lock.release()
        return got

    def satisfy(self) -> None:
        self.go.release()

    def clean_up(self) -> None:
        if self.holder.is_alive and self.go.locked():
            self.go.release()
        self.holder.result()


class SemaphoreAcquire(Wait):
    def set_up(self) -> None:
        self.semaphore = self.engine.threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self.semaphore.acquire(timeout=timeout))

    def satisfy(self) -> None:
        self.semaphore.release()


class BoundedSemaphoreAcquire(SemaphoreAcquire):
    def set_up(self) -> None:
        self.semaphore = self.engine.threading.BoundedSemaphore(1)
        self.semaphore.acquire()


class EventWait(Wait):
    def set_up(self) -> None:
        self.event = self.engine.threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        return bool(self.event.wait(timeout))

    def satisfy(self) -> None:
        self.event.set()


class ConditionWait(Wait):
    """Notified without its lock held by the notifier's thread for long."""

    def make_lock(self) -> Any:
        return self.engine.threading.RLock()

    def set_up(self) -> None:
        self.condition = self.engine.threading.Condition(self.make_lock())

    def wait(self, timeout: float | None = None) -> bool:
        with self.condition:
            return bool(self.condition.wait(timeout))

    def satisfy(self) -> None:
        with self.condition:
            self.condition.notify()

    def check(self) -> None:
        assert "Condition" in repr(self.condition)
        assert repr(self.condition).endswith(", 0)>") or not self.engine.is_ours
        super().check() if self.engine.is_ours else None


class ConditionWaitWithLock(ConditionWait):
    def make_lock(self) -> Any:
        return self.engine.threading.Lock()


class ConditionWaitWithForeignLock(ConditionWait):
    """A lock of another make."""

    def make_lock(self) -> Any:
        return _thread.allocate_lock()


class BarrierWait(Wait):
    def set_up(self) -> None:
        self.barrier = self.engine.threading.Barrier(2)
        self.hands: list[Hand] = []

    def wait(self, timeout: float | None = None) -> bool:
        try:
            self.barrier.wait(timeout)
        except self.engine.threading.BrokenBarrierError:
            return False
        return True

    def satisfy(self) -> None:
        self.hands.append(Hand(self.barrier.wait))

    def check(self) -> None:
        """A timeout breaks the barrier; who leaves because of an exception is just not there."""
        if self.barrier.broken:
            self.barrier.reset()
        assert self.barrier.n_waiting == 0
        super().check()

    def clean_up(self) -> None:
        self.barrier.abort()
        for hand in self.hands:
            hand.finish()


class QueueGet(Wait):
    kind = "Queue"

    def set_up(self) -> None:
        self.queue = getattr(self.engine.queue, self.kind)()

    def wait(self, timeout: float | None = None) -> bool:
        try:
            assert self.queue.get(timeout=timeout) == "item"
        except self.engine.queue.Empty:
            return False
        return True

    def satisfy(self) -> None:
        self.queue.put("item")

    def check(self) -> None:
        super().check()
        assert self.queue.qsize() == 0


class LifoQueueGet(QueueGet):
    kind = "LifoQueue"


class PriorityQueueGet(QueueGet):
    kind = "PriorityQueue"


class SimpleQueueGet(QueueGet):
    kind = "SimpleQueue"


class OpenQueueGet(QueueGet):
    """Of a queue whose insides are in use."""

    def set_up(self) -> None:
        super().set_up()
        assert not self.queue.mutex.locked()


class QueuePut(Wait):
    kind = "Queue"

    def set_up(self) -> None:
        self.queue = getattr(self.engine.queue, self.kind)(1)
        self.queue.put("item")

    def wait(self, timeout: float | None = None) -> bool:
        try:
            self.queue.put("item", timeout=timeout)
        except self.engine.queue.Full:
            return False
        return True

    def satisfy(self) -> None:
        assert self.queue.get() == "item"

    def check(self) -> None:
        assert self.queue.qsize() == 1
        super().check()
        assert self.queue.qsize() == 1


class PriorityQueuePut(QueuePut):
    kind = "PriorityQueue"


class OpenQueuePut(QueuePut):
    def set_up(self) -> None:
        super().set_up()
        assert not self.queue.mutex.locked()


class QueueJoin(Wait):
    timed = False

    def set_up(self) -> None:
        self.queue = self.engine.queue.Queue()
        self.queue.put("item")

    def wait(self, timeout: float | None = None) -> bool:
        self.queue.join()
        return True

    def satisfy(self) -> None:
        self.queue.task_done()

    def check(self) -> None:
        assert self.queue.unfinished_tasks == 1
        super().check()


class OpenQueueJoin(QueueJoin):
    def set_up(self) -> None:
        super().set_up()
        assert not self.queue.mutex.locked()


class ThreadJoin(Wait):
    def set_up(self) -> None:
        self.go = _thread.allocate_lock()
        self.go.acquire()
        self.thread = self.engine.threading.Thread(target=self.go.acquire, daemon=True)
        self.thread.start()

    def check(self) -> None:
        """Not ours: until 3.13, an interrupted join() takes the thread for ended."""

    def wait(self, timeout: float | None = None) -> bool:
        self.thread.join(timeout)
        return not self.thread.is_alive()

    def satisfy(self) -> None:
        self.go.release()

    def clean_up(self) -> None:
        if self.go.locked():
            self.go.release()
        self.thread.join()


def _all(base: type[Wait]) -> list[type[Wait]]:
    return [found for below in base.__subclasses__() for found in (below, *_all(below))]


WAITS: list[type[Wait]] = _all(Wait)
TIMED_WAITS = [wait for wait in WAITS if wait.timed]

MakeWait = Callable[[Engine], Wait]
