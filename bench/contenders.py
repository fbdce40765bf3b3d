"""The libraries that are compared: each a namespace with the stdlib's names."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

SYNC = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")


def _stdlib() -> SimpleNamespace:
    import queue
    import threading

    return _pick(threading, queue)


def _manyhands() -> SimpleNamespace:
    from manyhands import queue, threading

    return _pick(threading, queue)


def _culsans() -> SimpleNamespace:
    import culsans

    def synchronous(name: str) -> Callable[..., object]:
        queue = getattr(culsans, name)
        return lambda *args: queue(*args).sync_q

    return SimpleNamespace(**{name: synchronous(name) for name in QUEUES[:3]})


def _pick(threading: object, queue: object) -> SimpleNamespace:
    names = {name: getattr(threading, name) for name in SYNC}
    return SimpleNamespace(**names, **{name: getattr(queue, name) for name in QUEUES})


CONTENDERS = {"stdlib": _stdlib, "manyhands": _manyhands, "culsans": _culsans}
