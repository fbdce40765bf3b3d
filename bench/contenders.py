"""The libraries that are compared: each a namespace with the stdlib's names."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace

SYNC = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")


def _stdlib() -> SimpleNamespace:
    import multiprocessing
    import multiprocessing.connection
    import queue
    import threading

    return _with_processes(_pick(threading, queue), multiprocessing)


def _manyhands() -> SimpleNamespace:
    from manyhands import multiprocessing, queue, threading

    return _with_processes(_pick(threading, queue), multiprocessing)


def _billiard() -> SimpleNamespace:
    import billiard
    import billiard.connection

    return _with_processes(SimpleNamespace(), billiard)


def _faster_fifo() -> SimpleNamespace:
    import faster_fifo

    class Queue:
        """With room for what the workloads leave in it; and blocking without a timeout."""

        def __init__(self) -> None:
            self._queue = faster_fifo.Queue(256 << 20)

        def put(self, item: object) -> None:
            self._queue.put(item, timeout=1e6)

        def get(self) -> object:
            return self._queue.get(timeout=1e6)

    return SimpleNamespace(ProcessQueue=Queue)


def _dejaq() -> SimpleNamespace:
    import dejaq

    return SimpleNamespace(ProcessQueue=lambda: dejaq.DejaQueue(buffer_bytes=256 << 20))


def _with_processes(of: SimpleNamespace, multiprocessing: ModuleType) -> SimpleNamespace:
    """Adds what is between processes, as the module gives it: `of.multiprocessing`."""
    of.multiprocessing = multiprocessing
    of.ProcessQueue = multiprocessing.get_context("fork").Queue
    return of


def _culsans() -> SimpleNamespace:
    import culsans

    def synchronous(name: str) -> Callable[..., object]:
        queue = getattr(culsans, name)
        return lambda *args: queue(*args).sync_q

    return SimpleNamespace(**{name: synchronous(name) for name in QUEUES[:3]})


def _pick(threading: object, queue: object) -> SimpleNamespace:
    names = {name: getattr(threading, name) for name in SYNC}
    return SimpleNamespace(**names, **{name: getattr(queue, name) for name in QUEUES})


CONTENDERS = {
    "stdlib": _stdlib,
    "manyhands": _manyhands,
    "culsans": _culsans,
    "billiard": _billiard,
    "faster-fifo": _faster_fifo,
    "dejaq": _dejaq,
}
