"""Executors of worker threads.

What is submitted goes into a native queue, from which workers take it; they sleep outside of the
interpreter while there is nothing. At most one of them is being woken at a time, which wakes the
next if there is more to do: so those who submit are not interrupted for each call. While a worker
waits for another call of its executor that has to be done first, there may be one worker more.

An executor works as the standard library's where a subclass replaces what that is made of, the
program puts a queue of its own into the executor, or `gevent.monkey` has made greenlets of threads.

Source: https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor
"""

import functools
import types
import weakref

from manyhands import _progress
from manyhands._mirror import forward
from manyhands._native import concurrent as _native, others_run_until
from manyhands._stdlib import original, threads_are_greenlets
from manyhands.concurrent.futures import _mapping
from manyhands.multiprocessing import _processors

_original = original("concurrent.futures.thread")
_base = original("concurrent.futures._base")
_threading = original("threading")

BrokenThreadPool = _original.BrokenThreadPool

_FAILED = "A thread initializer failed, the thread pool is not usable anymore"

#: What a subclass may replace only of the standard library's executor.
_PARTS = frozenset(("_adjust_thread_count", "_initializer_failed", "prepare_context"))


class ThreadPoolExecutor(_native.ThreadPoolExecutor, _original.ThreadPoolExecutor):
    """Worker threads that do the calls which are submitted to them.

    `max_workers` is how many there are at most (None: 4 more than there are processors for this
    process, but no more than 32); `thread_name_prefix` is what their names begin with, and
    `initializer(*initargs)` is called in each when it begins.
    """

    def __init__(
        self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), **ctxkwargs
    ):
        if max_workers is None:
            max_workers = min(32, _processors.count() + 4)
        if ctxkwargs or not _is_native(type(self)) or threads_are_greenlets():
            self._become_theirs(max_workers, thread_name_prefix, initializer, initargs, ctxkwargs)
            return
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._max_workers = max_workers
        self._threads = set()
        self._broken = False
        self._shutdown = False
        self._shutdown_lock = _threading.RLock()
        self._thread_name_prefix = thread_name_prefix or f"ThreadPoolExecutor-{self._counter()}"
        self._initializer = initializer
        self._initargs = initargs
        self._jobs = _jobs(self)
        _progress.show_all(self, self._jobs, "ThreadPoolExecutor")

    def _become_theirs(self, max_workers, prefix, initializer, initargs, ctxkwargs):
        """Work as the standard library's from now on."""
        self._jobs = None
        _original.ThreadPoolExecutor.__init__(
            self, max_workers, prefix, initializer, initargs, **ctxkwargs
        )

    @property
    def _work_queue(self):
        jobs = self._jobs
        if jobs is not None:
            return jobs
        try:
            return vars(self)["_work_queue"]
        except KeyError:
            message = f"{type(self).__name__!r} object has no attribute '_work_queue'"
            raise AttributeError(message) from None

    @_work_queue.setter
    def _work_queue(self, queue):
        jobs = self._jobs
        if jobs is not None:
            # A queue of the program's own, say with a bound. Calls that there are go on in ours.
            threads = self._threads
            jobs.close()
            self._become_theirs(
                self._max_workers, self._thread_name_prefix, self._initializer, self._initargs, {}
            )
            self._threads |= threads
        vars(self)["_work_queue"] = queue

    def _submit(self, fn, args, kwargs):
        """Submit a call where that is not just one more for workers that are there."""
        if self._jobs is None:
            submit = _original.ThreadPoolExecutor.submit
            if threads_are_greenlets():
                # With the standard library's futures, whose waiting is patched.
                submit = types.FunctionType(submit.__code__, {**vars(_original), "_base": _base})
            return submit(self, fn, *args, **(kwargs or {}))
        with self._shutdown_lock, _original._global_shutdown_lock:
            if self._broken:
                raise BrokenThreadPool(self._broken)
            if self._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if _original._shutdown:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            if not self._jobs.is_open:
                # This is a child of the process with the workers, or the program has ended them.
                self._threads = set()
                self._jobs = _jobs(self)
            future = self._jobs.call(fn, args, kwargs)
            self._hire()
        return future

    def _adjust_thread_count(self):
        """Start one more worker, unless there is one that has nothing to do."""
        if self._jobs is None:
            super()._adjust_thread_count()
            return
        with self._shutdown_lock, _original._global_shutdown_lock:
            # Otherwise those that there are do what was submitted before.
            if not (self._shutdown or _original._shutdown):
                self._hire()

    def _grow(self):
        """Start one more worker for one that waits for another call; return whether there is."""
        with self._shutdown_lock, _original._global_shutdown_lock:
            if self._jobs is None:
                return False
            if len(self._threads) > 2 * self._jobs.workers:
                self._threads -= {each for each in self._threads if not each.is_alive()}
            try:
                return self._hire()
            except RuntimeError:
                # There can be no more threads: it waits as it would in the standard library's.
                return False

    def _hire(self):
        jobs = self._jobs
        number = jobs.hire()
        if number is None:
            return False
        thread = _threading.Thread(
            name=f"{self._thread_name_prefix or self}_{number}",
            target=_work,
            args=(weakref.ref(self, jobs.close), jobs, self._initializer, self._initargs),
        )
        try:
            thread.start()
        except BaseException:
            jobs.dismiss()
            raise
        self._threads.add(thread)
        # By that the standard library ends them, and waits for them, when the interpreter ends.
        _original._threads_queues[thread] = jobs
        return True

    def _initializer_failed(self):
        if self._jobs is None:
            super()._initializer_failed()
            return
        with self._shutdown_lock:
            self._broken = _FAILED
            self._jobs.close()
        _break(self._jobs, _FAILED)

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None, progress=False):
        """Return an iterator over the results of `fn` for the iterables' items, in their order.

        `buffersize` is how many calls are submitted ahead of the one whose result is asked for
        (None: all, at once). TimeoutError is raised if a result is not there `timeout` seconds
        after the call of map(). `chunksize` means nothing here. `progress` shows how far it is.
        """
        _mapping.check_buffersize(buffersize)
        # An iterator over results that were asked for ahead does not keep the executor.
        calls = zip(*iterables, strict=False)
        shown = None
        if progress:
            shown = _mapping.Shown(progress, iterables, self._running())
            calls = shown.calls(calls)
        submit_next = functools.partial(_submit_next, weakref.ref(self), fn, calls)
        futures = iter(submit_next, None)
        if shown is not None:
            futures = shown.futures(futures)
        return _mapping.results_of(futures, timeout, buffersize)

    def with_options(self, **options):
        """Raise NotImplementedError: a call cannot be ended in a thread."""
        raise NotImplementedError("a call cannot be ended in a thread; use a ProcessPoolExecutor")

    def _running(self):
        """Return what tells how many calls workers make now."""
        reference = weakref.ref(self)

        def running():
            executor = reference()
            jobs = None if executor is None else executor._jobs
            return None if jobs is None else jobs.progress()[3]

        return running

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Take no more calls; wait until those that there are have been done, if `wait`.

        With `cancel_futures` those that no worker has begun are cancelled.
        """
        jobs = self._jobs
        if jobs is None:
            super().shutdown(wait, cancel_futures=cancel_futures)
            return
        with self._shutdown_lock:
            self._shutdown = True
            jobs.close()
        if cancel_futures:
            for future in jobs.drain():
                future.cancel()
        if wait:
            joined = set()
            # Meanwhile there may be more.
            while left := set(self._threads) - joined:
                for thread in left:
                    others_run_until(lambda thread=thread: not thread.is_alive())
                    thread.join()
                joined |= left


def _is_native(cls):
    """Whether an executor of this class is native."""
    own = cls.__mro__[: cls.__mro__.index(ThreadPoolExecutor)]
    return not any(_PARTS & vars(each).keys() for each in own)


def _jobs(executor):
    # As many as there can be, for what is no number of a size.
    limit = int(-(-min(executor._max_workers, 2**32) // 1))
    return _native.Jobs(limit, weakref.ref(executor))


def _submit_next(reference, fn, calls):
    """Submit one more of the calls; return its future, None if there is none or no executor."""
    executor = reference()
    args = None if executor is None else next(calls, None)
    return None if args is None else executor.submit(fn, *args)


def _break(jobs, why):
    """Fail the calls that no worker has begun."""
    for future in jobs.drain():
        if future.set_running_or_notify_cancel():
            future.set_exception(BrokenThreadPool(why))


def _work(reference, jobs, initializer, initargs):
    """Be a worker: what its thread runs."""
    if initializer is not None:
        try:
            initializer(*initargs)
        except BaseException:
            _base.LOGGER.critical("Exception in initializer:", exc_info=True)
            executor = reference()
            if executor is not None:
                executor._initializer_failed()
            else:
                _break(jobs, _FAILED)
            return
    while True:
        try:
            for _ in jobs:
                pass
            return
        except BaseException:
            # Of a callback; there may be more to do.
            _base.LOGGER.critical("Exception in worker", exc_info=True)


forward(globals(), _original)
