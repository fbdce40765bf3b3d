"""What the tests of greenlets' primitives share."""

from manyhands import gevent
from manyhands.gevent.queue import LifoQueue, PriorityQueue, Queue, SimpleQueue

QUEUES = [SimpleQueue, Queue, LifoQueue, PriorityQueue]


def parked(*functions):
    """Greenlets that have begun, in that order, and wait."""
    greenlets = [gevent.spawn(function) for function in functions]
    gevent.sleep(0)
    return greenlets


def kill_once_woken(greenlet, wake, *arguments):
    """Wake one that is about to be killed: it is, before its turn comes."""
    greenlet.kill(block=False)
    result = wake(*arguments)
    gevent.sleep(0)
    assert greenlet.dead
    return result


class Hooked(Queue):
    """A queue whose items are in a container of its own."""

    def _init(self, maxsize):
        self.mine = []

    def _qsize(self):
        return len(self.mine)

    def _put(self, item):
        if item == "refused":
            raise LookupError(item)
        self.mine.append(item)

    def _get(self):
        return self.mine.pop(0)

    def _peek(self):
        return self.mine[0]
