"""What always belongs to real threads, patched or not."""

from collections import deque

from manyhands.gevent import monkey

__all__ = ["EmptyTimeout", "Lock", "Queue"]

start_new_thread, Lock, get_thread_ident = monkey.get_original(
    "_thread", ["start_new_thread", "allocate_lock", "get_ident"]
)


class EmptyTimeout(Exception):
    """There was nothing to get in time."""


class Queue:
    """A queue between real threads, without a limit.

    Each getter has a lock of its own, its cookie, by which it sleeps. The one that came last is
    woken first, so that the others may find that they are not needed.
    """

    __slots__ = ("_getters", "_items", "_mutex", "unfinished_tasks")

    def __init__(self):
        self._items = deque()
        self._getters = []
        self._mutex = Lock()
        self.unfinished_tasks = 0

    def __len__(self):
        return len(self._items)

    def qsize(self):
        """How many items there are."""
        return len(self._items)

    def empty(self):
        """Whether there are none."""
        return not self._items

    def full(self):
        """Never."""
        return False

    def allocate_cookie(self):
        """What a thread that gets has to give to get()."""
        return Lock()

    def put(self, item):
        """Put an item, and wake one getter."""
        with self._mutex:
            self._items.append(item)
            self.unfinished_tasks += 1
            if self._getters:
                self._getters.pop().release()

    def get(self, cookie, timeout=-1):
        """Take an item; EmptyTimeout if there is none in time (-1: wait for ever)."""
        while True:
            with self._mutex:
                if self._items:
                    return self._items.popleft()
                cookie.acquire()
                self._getters.append(cookie)
            in_time = _sleep(cookie, timeout)
            with self._mutex:
                if cookie in self._getters:
                    self._getters.remove(cookie)
                if cookie.locked():
                    cookie.release()
                if self._items:
                    return self._items.popleft()
                if not in_time:
                    raise EmptyTimeout

    def task_done(self):
        """One item that was got is dealt with."""
        with self._mutex:
            if not self.unfinished_tasks:
                raise ValueError("task_done() called too many times")
            self.unfinished_tasks -= 1

    def kill(self):
        """Give up what a forked child has inherited in whatever state."""
        self._items = self._getters = self._mutex = self.unfinished_tasks = None


def _sleep(cookie, timeout):
    # A name that says to who watches threads that this one has nothing to do.
    gevent_threadpool_worker_idle = True  # noqa: F841
    return cookie.acquire(timeout=timeout)
