"""Executors of worker processes.

What is submitted goes to the workers, and comes back, through queues in shared memory; whoever
waits for a future takes results from there. A worker that is killed takes the call with it that it
was doing, whose future raises `manyhands.multiprocessing.pool.WorkerDied`, and is replaced: the
executor goes on.

Source: https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor
"""

import itertools
import os
import sys
import weakref

from manyhands._mirror import forward
from manyhands._native import concurrent as _native, multiprocessing as _processes
from manyhands._stdlib import original
from manyhands.concurrent.futures import _mapping, _worker
from manyhands.multiprocessing import _processors, context as _context, get_context
from manyhands.multiprocessing._options import view_of
from manyhands.multiprocessing.pool import Pool

_original = original("concurrent.futures.process")
_threading = original("threading")

BrokenProcessPool = _original.BrokenProcessPool
_ThreadWakeup = _original._ThreadWakeup

#: Whether the interpreter ends, and takes no more calls.
_global_shutdown = False

#: Those whose calls the interpreter has to wait for.
_pools: "weakref.WeakSet[_Workers]" = weakref.WeakSet()


class _Workers(Pool):
    """The workers of an executor."""

    _work = staticmethod(_worker.work)
    _worker_name = None
    _shown_as = "ProcessPoolExecutor"
    # A child that the program forks by itself would end daemons at its exit.
    _has_daemons = False

    def __init__(self, executor):
        self._starts_all = executor._starts_all
        super().__init__(
            executor._max_workers,
            executor._initializer,
            executor._initargs,
            executor._max_tasks_per_child,
            executor._mp_context,
        )

    def _first(self, processes):
        return processes if self._starts_all else 0

    @staticmethod
    def _ended():
        return BrokenProcessPool("the executor's workers were ended before the call was done")

    def finish(self):
        """Wait until all is done and the workers are gone; a forked child does not."""
        if self._helper._pid == os.getpid():
            self.join()

    def give_up(self):
        """End the workers, whatever they do, as somebody does not want to wait any more."""
        if self._helper._pid == os.getpid():
            self.terminate()

    def __del__(self):
        """An executor that is gone has no calls left, nobody is to be warned."""


class ProcessPoolExecutor(_native.ProcessPoolExecutor, _original.ProcessPoolExecutor):
    """Worker processes that do the calls which are submitted to them.

    `max_workers` is their number (None: as many as there are processors for this process),
    `mp_context` the `multiprocessing` context that starts them, `initializer(*initargs)` is called
    in each when it begins, and `max_tasks_per_child` is after how many calls one is replaced (None:
    never).
    """

    #: What calls may take, if that is limited; of `with_options`.
    _options = None

    def __init__(
        self,
        max_workers=None,
        mp_context=None,
        initializer=None,
        initargs=(),
        *,
        max_tasks_per_child=None,
    ):
        if max_workers is None:
            max_workers = _processors.count()
        elif max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if mp_context is None:
            mp_context = get_context("spawn" if max_tasks_per_child is not None else None)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._starts_all = mp_context.get_start_method(allow_none=False) == "fork"
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
            if self._starts_all:
                raise ValueError(
                    "max_tasks_per_child is incompatible with the 'fork' multiprocessing start "
                    "method; supply a different mp_context."
                )
        self._max_workers = max_workers
        self._mp_context = _ours(mp_context)
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child
        self._safe_to_dynamically_spawn_children = not self._starts_all
        self._shutdown_lock = _threading.RLock()
        self._shutdown_thread = False
        self._pool = None

    @property
    def _processes(self):
        # Read by programs that look at, or end, the workers.
        if self._shutdown_thread:
            return None
        pool = self._pool
        if pool is None:
            return {}
        # One that is being started may have had a result already.
        with pool._lock:
            return {process.pid: process for process in pool._pool}

    @property
    def _pending_work_items(self):
        # Read by programs that want to know how much there is to do.
        pool = self._pool
        return {} if pool is None else dict(enumerate(pool._scheduler.futures()))

    @property
    def _broken(self):
        pool = self._pool
        why = None if pool is None else pool._scheduler.broken
        return False if why is None else str(why)

    def _submit(self, fn, args, kwargs, repeats=None):
        """Submit a call where that is not just one more for all the workers that there can be."""
        pool = self._pool
        if pool is None or self._shutdown_thread or _global_shutdown:
            pool = self._open()
        if pool._processes < self._max_workers:
            self._grow(pool)
        elif self._options is None:
            self._set_complete(pool)
        return pool._scheduler.submit_future(pool, fn, args, kwargs, self._options, repeats)

    def _open(self):
        """Return the pool, made if it is not there."""
        with self._shutdown_lock:
            if self._shutdown_thread:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if _global_shutdown:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            if self._pool is None:
                pool = _Workers(self)
                _pools.add(pool)
                self._pool = pool
            return self._pool

    def _grow(self, pool):
        """Start one more worker, unless there is one that has nothing to do."""
        with self._shutdown_lock:
            if pool._scheduler.pending >= pool._processes < self._max_workers:
                pool._processes += 1
                try:
                    pool._repopulate_pool()
                except BaseException:
                    pool._processes -= 1
                    raise

    def map(self, fn, *iterables, timeout=None, chunksize=1, buffersize=None, progress=False):
        """Return an iterator over the results of `fn` for the items, in their order.

        `chunksize` is how many calls go to a worker at a time; `buffersize` how many such chunks
        are submitted ahead of the one whose results are asked for (None: all, at once).
        TimeoutError is raised if a result is not there `timeout` seconds after the call of map().
        `progress` shows how far it is.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        _mapping.check_buffersize(buffersize)
        calls = zip(*iterables, strict=False)
        shown = None
        if progress:
            shown = _mapping.Shown(progress, iterables, self._running())
            calls = shown.calls(calls)
        # By which an array that is in many calls is copied once.
        repeats = _processes.Repeats()
        if chunksize > 1:
            calls = _chunks(calls, chunksize)
            # As one list, which `submit` would take for one argument.
            futures = (self._submit(fn, args, None, repeats) for args in calls)
        elif type(self).submit is ProcessPoolExecutor.submit and "submit" not in vars(self):
            futures = (self._submit_of_map(fn, args, repeats) for args in calls)
        else:
            # Somebody else's is to be called.
            futures = (self.submit(fn, *args) for args in calls)
        if shown is not None:
            futures = shown.futures(futures)
        results = _mapping.results_of(futures, timeout, buffersize)
        return results if chunksize == 1 else _original._chain_from_iterable_of_lists(results)

    def with_options(self, **options):
        """Return the same executor, with options for the calls that are submitted through it.

        They are those of `manyhands.multiprocessing.pool.Pool.with_options`: `timeout` in seconds,
        `memory` in bytes, `retries`, and `running="kill"`, with which `Future.cancel()` kills the
        worker that does the call.
        """
        return view_of(self, options)

    def _running(self):
        """Return what tells how many calls workers make now."""
        reference = weakref.ref(self)

        def running():
            executor = reference()
            pool = None if executor is None else executor._pool
            return None if pool is None else pool._scheduler.progress()[3]

        return running

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Take no more calls; wait until those that there are have been done, if `wait`.

        With `cancel_futures` those that no worker has begun are cancelled.
        """
        with self._shutdown_lock:
            self._shutdown_thread = True
            pool = self._pool
        self._set_complete()
        if pool is None:
            return
        pool.close()
        if cancel_futures:
            for future in pool._scheduler.futures():
                future.cancel()
        if wait:
            pool.finish()
        # What is under way keeps it.
        self._pool = None

    def __exit__(self, exc_type, exc_val, exc_tb):
        if exc_type is None or not issubclass(exc_type, KeyboardInterrupt):
            return super().__exit__(exc_type, exc_val, exc_tb)
        pool = self._pool
        self.shutdown(wait=False, cancel_futures=True)
        if pool is not None:
            pool.give_up()
        return False

    def terminate_workers(self):
        """Shut down, and end the workers: calls that they do fail."""
        self._end_workers("terminate")

    def kill_workers(self):
        """Shut down, and kill the workers: calls that they do fail."""
        self._end_workers("kill")

    def _end_workers(self, how):
        workers = list(self._pool._pool) if self._pool is not None else []
        self.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            getattr(worker, how)()


def _check_system_limits():
    """Raise nothing: the system's limits of named semaphores are none of ours."""


def _ours(mp_context):
    """Return our context for one of the standard library's."""
    if isinstance(mp_context, _context.BaseContext):
        return mp_context
    return get_context(mp_context.get_start_method(allow_none=False))


def _chunks(calls, size):
    while chunk := list(itertools.islice(calls, size)):
        yield chunk


def _python_exit():
    """Have what was submitted done before the interpreter ends, unless that is for Ctrl-C."""
    global _global_shutdown
    _global_shutdown = True
    # Of an interactive session this tells nothing about its end.
    last = None if hasattr(sys, "ps1") else getattr(sys, "last_type", None)
    is_interrupted = last is not None and issubclass(last, KeyboardInterrupt)
    pools = list(_pools)
    if not is_interrupted:
        # All of them, before the first is waited for: they take no more calls.
        for pool in pools:
            pool.close()
    for pool in pools:
        if is_interrupted:
            pool.give_up()
        else:
            pool.finish()


_threading._register_atexit(_python_exit)

forward(globals(), _original)
