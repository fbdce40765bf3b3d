"""Queues that greenlets wait at."""

import queue as _stdlib

from manyhands.gevent import _green
from manyhands.queue import Empty, Full, ShutDown

__implements__ = ["Queue", "PriorityQueue", "LifoQueue", "SimpleQueue"]
__extensions__ = ["JoinableQueue", "Channel"]
__imports__ = ["Empty", "Full"]
(__imports__ if hasattr(_stdlib, "ShutDown") else __extensions__).append("ShutDown")
__all__ = [
    "Channel",
    "Empty",
    "Full",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "ShutDown",
    "SimpleQueue",
]

SimpleQueue = _green.primitives.SimpleQueue
Queue = _green.primitives.Queue
LifoQueue = _green.primitives.LifoQueue
PriorityQueue = _green.primitives.PriorityQueue
Channel = _green.primitives.Channel

#: The name that Queue had when there was one that could not be joined.
JoinableQueue = Queue


class UnboundQueue(Queue):
    """A queue that is never full."""

    __slots__ = ()

    def __init__(self, maxsize=None, items=()):
        if maxsize is not None:
            raise ValueError("UnboundQueue has no maxsize")
        super().__init__(None, items)
