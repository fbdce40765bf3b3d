"""`ThreadPool`; programs have it from `pool`."""

import weakref

from manyhands import _progress
from manyhands._native import multiprocessing as _native, others_run_until
from manyhands._stdlib import original, threads_are_greenlets
from manyhands.multiprocessing import _processors, util
from manyhands.multiprocessing.pool import INIT, RUN, Pool, default_context, replaces_parts

_original = original("multiprocessing.pool")


class ThreadPool(Pool, _original.ThreadPool):
    """Worker threads that do the calls which are submitted to them.

    `processes` is their number (None: as many as there are processors for this process), and
    `initializer(*initargs)` is called in each when it begins.
    """

    def __init__(self, processes=None, initializer=None, initargs=()):
        self._pool = []
        self._state = INIT
        if processes is None:
            processes = _processors.count()
        if replaces_parts(type(self), ThreadPool) or threads_are_greenlets():
            _original.ThreadPool.__init__(self, processes, initializer, initargs)
            return
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._ctx = default_context()
        self._processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = None
        self._lock = original("threading").RLock()
        self._helper = None
        self._scheduler = threads = _native.Threads(processes, weakref.ref(self), self._ended)
        try:
            for _ in range(processes):
                self._start_worker()
        except BaseException:
            threads.terminate()
            raise
        self._terminate = util.Finalize(self, threads.terminate, exitpriority=15)
        self._state = RUN
        _progress.show_all(self, threads, type(self).__name__)

    def _start_worker(self):
        threads = self._scheduler
        args = (threads, self._initializer, self._initargs)
        worker_obj = self.Process(self._ctx, target=_work_in_thread, args=args)
        worker_obj.daemon = True
        threads.enter()
        try:
            worker_obj.start()
        except BaseException:
            threads.leave()
            raise
        self._pool.append(worker_obj)

    def with_options(self, **options):
        """Raise NotImplementedError: a call cannot be ended in a thread."""
        raise NotImplementedError("a call cannot be ended in a thread; use a Pool of processes")

    def _grow(self):
        """Start one more worker for one that waits for another call; return whether there is."""
        threads = self._scheduler
        if not threads.hire():
            return False
        with self._lock:
            if len(self._pool) > 2 * threads.workers:
                self._pool[:] = [each for each in self._pool if each.is_alive()]
            try:
                self._start_worker()
            except RuntimeError:
                # There can be no more threads: it waits as it would in the standard library's.
                threads.dismiss()
                return False
        return True

    def _call_back(self):
        """Start the thread that calls callbacks, one after the other, if it is not there."""
        with self._lock:
            if self._helper is None:
                helper = original("threading").Thread(
                    target=_handle_results, args=(self._scheduler,), daemon=True
                )
                helper.start()
                self._helper = helper

    def apply_async(
        self,
        func,
        args=(),
        kwds={},  # noqa: B006
        callback=None,
        error_callback=None,
    ):
        """Have `func(*args, **kwds)` called; return its result to be."""
        if self._scheduler is not None and (callback or error_callback):
            self._check_running()
            self._call_back()
        return super().apply_async(func, args, kwds, callback, error_callback)

    def _map_async(
        self,
        func,
        iterable,
        mapper,
        chunksize=None,
        callback=None,
        error_callback=None,
        tally=None,
    ):
        if self._scheduler is not None and (callback or error_callback):
            self._check_running()
            self._call_back()
        return super()._map_async(
            func, iterable, mapper, chunksize, callback, error_callback, tally
        )

    def join(self):
        """Wait for the end of all workers, after close() or terminate()."""
        if self._scheduler is None:
            super().join()
            return
        util.debug("joining pool")
        self._check_joinable()
        joined = set()
        # Meanwhile there may be more.
        while left := set(self._pool) - joined:
            for worker_obj in left:
                others_run_until(lambda worker_obj=worker_obj: not worker_obj.is_alive())
                worker_obj.join()
            joined |= left
        if self._helper is not None:
            self._helper.join()


ThreadPool.__module__ = "manyhands.multiprocessing.pool"


def _work_in_thread(threads, initializer, initargs):
    """Do a pool's tasks: what a worker thread runs."""
    try:
        try:
            if initializer is not None:
                initializer(*initargs)
        except BaseException as error:
            threads.give_up(error)
            raise
        for _ in threads:
            pass
    finally:
        threads.leave()


# As in the names of threads.
_work_in_thread.__name__ = "worker"


def _handle_results(threads):
    """Call the callbacks of a pool of threads."""
    threads.call_backs()
