"""Pools of real threads, for what cannot let greenlets run by itself."""

import os
import sys

from manyhands.gevent._threading import Queue
from manyhands.gevent._threadpool_executor import ThreadPoolExecutor
from manyhands.gevent._threadpool_worker import (
    WorkerGreenlet as _WorkerGreenlet,
    describe as _describe,
    get_thread_profile as _get_thread_profile,  # noqa: F401  (looked for here)
    get_thread_trace as _get_thread_trace,  # noqa: F401
)
from manyhands.gevent.event import AsyncResult
from manyhands.gevent.exceptions import InvalidThreadUseError
from manyhands.gevent.greenlet import Greenlet
from manyhands.gevent.hub import get_hub, getcurrent, sleep
from manyhands.gevent.lock import Semaphore
from manyhands.gevent.pool import GroupMappingMixin

__all__ = ["ThreadPool", "ThreadPoolExecutor", "ThreadResult"]

#: The longest that somebody sleeps between two looks at what threads have come to.
_LONGEST_NAP = 0.05


def _naps(hub):
    """Lets other greenlets run, and threads: ever longer."""
    delay = max(0.0005, hub.loop.approx_timer_resolution)
    while True:
        sleep(delay)
        yield
        delay = min(delay * 2, _LONGEST_NAP)


class ThreadPool(GroupMappingMixin):
    """Real threads that do what one thread's greenlets hand them: ``get_hub().threadpool`` is one.

    Has the methods of `gevent.pool.Pool`, but `apply_async`, which makes a greenlet. Threads are
    started when there is something to do, up to `maxsize`, and end after `idle_task_timeout`
    seconds of having nothing to do (-1: not). Whoever calls spawn() waits while all of them, and
    one task more, are busy. Profilers and tracers given to `threading` are in force during tasks.
    """

    __slots__ = (
        "_free",
        "_idle_task_timeout",
        "_maxsize",
        "_overbooked",
        "_worker_greenlets",
        "fork_watcher",
        "hub",
        "manager",
        "pid",
        "task_queue",
    )

    _WorkerGreenlet = _WorkerGreenlet

    def __init__(self, maxsize, hub=None, idle_task_timeout=-1):
        self.hub = get_hub() if hub is None else hub
        self.pid = os.getpid()
        self.manager = None
        self.task_queue = Queue()
        self.fork_watcher = None
        self._idle_task_timeout = idle_task_timeout
        self._worker_greenlets = set()
        # One task more than threads may be there, so that none of these has to wait for the hub.
        self._free = Semaphore(1)
        # By how much the limit was lowered below what was taken already.
        self._overbooked = 0
        self._maxsize = 0
        self._set_maxsize(maxsize)
        self.fork_watcher = self.hub.loop.fork(ref=False)

    def __repr__(self):
        return (
            f"<{type(self).__name__} at {id(self):#x} tasks={len(self)} size={self.size} "
            f"maxsize={self.maxsize} hub={_describe(self.hub)}>"
        )

    def __len__(self):
        return self.task_queue.unfinished_tasks

    def _set_maxsize(self, maxsize):
        if not isinstance(maxsize, int):
            raise TypeError(f"maxsize must be integer: {maxsize!r}")
        if maxsize < 0:
            raise ValueError(f"maxsize must not be negative: {maxsize!r}")
        more = maxsize - self._maxsize
        self._maxsize = maxsize
        self.adjust()
        for _ in range(more):
            self._release()
        for _ in range(-more):
            if not self._free.acquire(blocking=False):
                self._overbooked += 1

    def _get_maxsize(self):
        return self._maxsize

    maxsize = property(_get_maxsize, _set_maxsize, doc="How many threads there may be.")

    def _release(self):
        if self._overbooked:
            self._overbooked -= 1
        else:
            self._free.release()

    def _get_size(self):
        return len(self._worker_greenlets)

    def _set_size(self, size):
        if size < 0:
            raise ValueError(f"Size of the pool cannot be negative: {size!r}")
        if size > self._maxsize:
            raise ValueError(
                f"Size of the pool cannot be bigger than maxsize: {size!r} > {self._maxsize!r}"
            )
        if self.manager:
            self.manager.kill()
        while len(self._worker_greenlets) < size:
            self._add_thread()
        naps = _naps(self.hub)
        while len(self._worker_greenlets) > size:
            self._dismiss(size)
            if getcurrent() is self.hub:
                break
            next(naps)
        self._watch_forks()

    size = property(_get_size, _set_size, doc="How many threads there are; may be set.")

    def _dismiss(self, size):
        while len(self._worker_greenlets) - size > self.task_queue.unfinished_tasks:
            self.task_queue.put(None)

    def _watch_forks(self):
        if self._worker_greenlets:
            self.fork_watcher.start(self._on_fork)
        elif self.fork_watcher is not None:
            self.fork_watcher.stop()

    def _on_fork(self):
        if os.getpid() == self.pid:
            return
        from manyhands.gevent.util import clear_stack_frames

        # The threads are gone; what they had in their hands is to be let go of.
        frames = sys._current_frames()
        for worker in list(self._worker_greenlets):
            clear_stack_frames(frames.get(worker._thread_ident))
            worker.cleanup(worker._hub_of_worker)
            worker.__dict__.clear()
        self.task_queue.kill()
        self.__init__(self._maxsize, self.hub, self._idle_task_timeout)

    def join(self):
        """Wait until everything is done."""
        naps = _naps(self.hub)
        while self.task_queue.unfinished_tasks > 0:
            next(naps)

    def kill(self):
        """Wait until everything is done, and end all threads."""
        self.size = 0
        self.fork_watcher.close()

    def adjust(self):
        """Have as many threads as there is work for and the limit allows."""
        self._adjust_step()
        if not self.manager and len(self._worker_greenlets) > self._maxsize:
            self.manager = Greenlet.spawn(self._adjust_wait)

    def _adjust_step(self):
        while len(self._worker_greenlets) < min(self._maxsize, self.task_queue.unfinished_tasks):
            self._add_thread()
        self._dismiss(self._maxsize)
        self._watch_forks()

    def _adjust_wait(self):
        naps = _naps(self.hub)
        while True:
            self._adjust_step()
            if len(self._worker_greenlets) <= self._maxsize:
                return
            next(naps)

    def _add_thread(self):
        self._WorkerGreenlet(self)

    # The set's own methods are safe between threads.
    def _register_worker(self, worker):
        self._worker_greenlets.add(worker)

    def _unregister_worker(self, worker):
        self._worker_greenlets.discard(worker)

    def _on_worker_exit(self):
        if self.task_queue.unfinished_tasks:
            self.hub.loop.run_callback_threadsafe(self.adjust)

    def spawn(self, func, *args, **kwargs):
        """Have a thread call the function, as soon as there is room; returns an `AsyncResult`.

        `InvalidThreadUseError` if another thread than that of the pool's hub calls this.
        """
        if self.hub is not get_hub():
            raise InvalidThreadUseError
        while True:
            free = self._free
            free.acquire()
            if free is self._free:  # not if there was a fork meanwhile
                break
        result = AsyncResult()
        thread_result = None
        try:
            thread_result = ThreadResult(result, self.hub, self._release)
            self.task_queue.put((func, args, kwargs, thread_result))
            self.adjust()
        except BaseException:
            if thread_result is not None:
                thread_result.destroy_in_main_thread()
            self._release()
            raise
        return result

    # For GroupMappingMixin.
    def _apply_immediately(self):
        # A thread that calls its own pool could not wait for it.
        return get_hub() is not self.hub

    def _apply_async_cb_spawn(self, callback, result):
        callback(result)

    def _apply_async_use_greenlet(self):
        return True


class ThreadResult:
    """Brings what a call in another thread came to into the hub's thread, which makes it."""

    __slots__ = (
        "_call_when_ready",
        "async_watcher",
        "context",
        "exc_info",
        "hub",
        "receiver",
        "value",
    )

    def __init__(self, receiver, hub, call_when_ready):
        self.receiver = receiver
        self.hub = hub
        self.context = None
        self.value = None
        self.exc_info = ()
        self._call_when_ready = call_when_ready
        self.async_watcher = hub.loop.async_()
        self.async_watcher.start(self._on_async)

    @property
    def exception(self):
        """The exception that the call raised."""
        return self.exc_info[1] if self.exc_info else None

    def successful(self):
        """Whether it raised none."""
        return self.exception is None

    def set(self, value):
        """In the thread: the call has returned."""
        self.value = value
        self.async_watcher.send()

    def handle_error(self, context, exc_info):
        """In the thread: the call has raised."""
        self.context = context
        self.exc_info = exc_info
        self.async_watcher.send()

    def destroy_in_main_thread(self):
        """Give up, as the call was never handed over."""
        self._close_watcher()
        self._let_go()

    def _on_async(self):
        self._close_watcher()
        hub, receiver = self.hub, self.receiver
        try:
            self._call_when_ready()
            if self.exc_info:
                hub.handle_error(self.context, *self.exc_info)
            receiver(self)
        finally:
            self._let_go()
            self.value = None
            if self.exc_info:  # the traceback holds what the thread had
                self.exc_info = (*self.exc_info[:2], None)

    def _close_watcher(self):
        watcher, self.async_watcher = self.async_watcher, None
        watcher.stop()
        watcher.close()

    def _let_go(self):
        self.context = self.hub = None
        self._call_when_ready = self.receiver = _nothing


def _nothing(*_args):
    pass
