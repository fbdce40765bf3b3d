"""What `imap` and `imap_unordered` return: greenlets that start the tasks, and give the results."""

from manyhands.gevent.greenlet import Greenlet
from manyhands.gevent.lock import Semaphore
from manyhands.gevent.queue import SimpleQueue

__all__ = ["IMap", "IMapUnordered"]


class Failure:
    """Stands in the queue for a result that is not there: who meets it has to raise."""

    __slots__ = ("exc",)

    def __init__(self, exc):
        self.exc = exc


def _result(task):
    return task.value if task.successful() else Failure(task.exception)


class IMapUnordered(Greenlet):
    """Calls `spawn(func, item)` for each item; iterating gives the results as they come."""

    def __init__(self, func, iterable, spawn, maxsize=None, _zipped=False):
        Greenlet.__init__(self)
        self.func = func
        self.iterable = iterable
        self.spawn = spawn
        self.queue = SimpleQueue()
        self.finished = False
        self._zipped = _zipped
        # Counts the results that may come without being fetched.
        self._result_semaphore = Semaphore(maxsize) if maxsize else None
        # Tasks that have not told of their end.
        self._outstanding_tasks = 0
        self._max_index = -1

    def __iter__(self):
        return self

    def __next__(self):
        if self._result_semaphore is not None:
            self._result_semaphore.release()
        result = self._inext()
        if isinstance(result, Failure):
            raise result.exc
        return result

    next = __next__

    def _inext(self):
        return self.queue.get()

    def _run(self):
        room, spawn, func = self._result_semaphore, self.spawn, self.func
        try:
            for item in self.iterable:
                self._max_index += 1
                if room is not None:
                    room.acquire()
                self._outstanding_tasks += 1
                task = spawn(func, *item) if self._zipped else spawn(func, item)
                self._await(task, self._max_index)
        except BaseException as error:
            if not self.finished:
                self.finished = True
                self._put(self._max_index + 1, Failure(error))
            raise
        finally:
            # What they refer to may be much, and refer to this.
            self.func = self.iterable = self.spawn = self._result_semaphore = None
        self._end_if_all_told()

    def _await(self, task, _index):
        task.rawlink(self._on_result)

    def _on_result(self, task):
        self._outstanding_tasks -= 1
        self.queue.put(_result(task))
        if self.spawn is None:
            self._end_if_all_told()

    def _end_if_all_told(self):
        if self._outstanding_tasks <= 0 and not self.finished:
            self.finished = True
            self._put(self._max_index + 1, Failure(StopIteration()))

    def _put(self, _index, result):
        self.queue.put(result)


class IMap(IMapUnordered):
    """Gives the results in the order of the items, however the tasks end."""

    def __init__(self, *args, **kwargs):
        # Results that came before their turn, and whose turn it is.
        self._results = {}
        self.index = 0
        IMapUnordered.__init__(self, *args, **kwargs)

    def _inext(self):
        results = self._results
        while self.index not in results:
            index, result = self.queue.get()
            results[index] = result
        result = results.pop(self.index)
        self.index += 1
        return result

    def _await(self, task, index):
        task._imap_task_index = index
        task.rawlink(self._on_result)

    def _on_result(self, task):
        self._outstanding_tasks -= 1
        self.queue.put((task._imap_task_index, _result(task)))
        if self.spawn is None:
            self._end_if_all_told()

    def _put(self, index, result):
        self.queue.put((index, result))
