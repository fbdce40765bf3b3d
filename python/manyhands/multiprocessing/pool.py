"""Pools of worker processes.

A `Pool` is native: what is called goes to the workers, and comes back, through queues in shared
memory, and whoever waits for a result takes it from there. A worker that is killed takes the call
with it that it was doing, which raises `WorkerDied`, and is replaced.

A `ThreadPool` has the same results, which its threads bring at once. While one of them waits for
another call of its pool that has to be done first, there may be one thread more.

A pool is the standard library's where its class replaces what that is made of, or its context is
not ours.

Source: https://docs.python.org/3/library/multiprocessing.html#module-multiprocessing.pool
"""

import _thread
import itertools
import os
import time
import weakref
from importlib import import_module

from manyhands import _native, _progress
from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import _processors, _surroundings, context, util
from manyhands.multiprocessing._last_words import SAYS_WHERE, LastWords
from manyhands.multiprocessing._options import view_of
from manyhands.multiprocessing._pool_progress import ShownMap, show_imap
from manyhands.multiprocessing._pool_worker import rebuild, work

_original = original("multiprocessing.pool")
_others_run_until = _native.others_run_until
_concurrent, _native = _native.concurrent, _native.multiprocessing

__all__ = ["Pool", "ThreadPool"]  # noqa: F822 (late)

INIT, RUN, CLOSE, TERMINATE = "INIT", "RUN", "CLOSE", "TERMINATE"

ApplyResult = AsyncResult = _native.ApplyResult
MapResult = _native.MapResult
IMapIterator = _native.IMapIterator
IMapUnorderedIterator = _native.IMapUnorderedIterator

#: How long workers have to end when they are told to; in seconds.
_GRACE = 1.0

#: How many more workers there can be for a while than the pool has: dead ones are not forgotten at
#: once.
_MORE_SEATS = 64

#: Iterables whose items are there: taking them takes no time.
_PLAIN = frozenset((list, tuple, range, dict, set, frozenset, str, bytes, bytearray))

#: What a subclass may replace only of the standard library's pool.
_PARTS = frozenset(
    name
    for name in vars(_original.Pool)
    if name.startswith("_") and not name.startswith("__") and name != "_wrap_exception"
)


class Pool(_original.Pool):
    """Worker processes that do the calls which are submitted to them.

    `processes` is their number (None: as many as there are processors for this process);
    `initializer(*initargs)` is called in each when it begins, and `maxtasksperchild` is after how
    many tasks one is replaced (None: never).
    """

    _scheduler = None

    #: What the names of workers begin with; None: as those of other processes.
    _worker_name = "PoolWorker"

    #: What calls may take, if that is limited; of `with_options`.
    _options = None

    #: What a bar is called that shows how far it is; None: as the class.
    _shown_as = None

    #: Whether the program sees that workers are daemons. They end with this process in any case.
    _has_daemons = True

    def __init__(
        self,
        processes=None,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        context=None,
    ):
        self._pool = []
        self._state = INIT
        if context is None:
            context = default_context()
        if not _is_native(type(self), context):
            if processes is None:
                processes = _processors.count()
            _original.Pool.__init__(
                self, processes, initializer, initargs, maxtasksperchild, context
            )
            return
        if processes is None:
            processes = _processors.count()
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and not (
            isinstance(maxtasksperchild, int) and maxtasksperchild > 0
        ):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._ctx = context
        self._processes = self._first(processes)
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = maxtasksperchild
        #: Whoever changes `_pool`; a signal handler may want to while somebody does.
        self._lock = original("threading").RLock()
        self._last_words = last_words = self._LastWords()
        self._scheduler = _native.Scheduler(
            2 * processes + _MORE_SEATS,
            rebuild,
            last_words.exception_of,
            self._ended,
            SAYS_WHERE,
        )
        try:
            self._repopulate_pool()
            helper = self._helper = _Helper(self)
        except BaseException:
            _end(self._scheduler, self._pool, self._lock, None)
            raise
        self._terminate = util.Finalize(
            self, _end, args=(self._scheduler, self._pool, self._lock, helper), exitpriority=15
        )
        self._state = RUN
        _progress.show_all(self, self._scheduler, self._shown_as or type(self).__name__)

    def _first(self, processes):
        """Return how many workers there are at first."""
        return processes

    #: What a worker's process runs.
    _work = staticmethod(work)

    #: What tells how workers have ended.
    _LastWords = LastWords

    @staticmethod
    def _ended():
        """Return the exception of a call that was not done."""
        return context.ProcessError("the pool was terminated before the call was done")

    # What programs read of the standard library's to show how far they are. No `__getattr__`: with
    # that each attribute of a pool takes longer.

    @property
    def _cache(self):
        return self._theirs("_cache") if self._scheduler is None else range(self._scheduler.pending)

    @_cache.setter
    def _cache(self, cache):
        vars(self)["_cache"] = cache

    @property
    def _taskqueue(self):
        return self._theirs("_taskqueue") if self._scheduler is None else _Backlog(self._scheduler)

    @_taskqueue.setter
    def _taskqueue(self, queue):
        vars(self)["_taskqueue"] = queue

    def _theirs(self, name):
        try:
            return vars(self)[name]
        except KeyError:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message) from None

    def _repopulate_pool(self):
        """Start as many workers as are missing."""
        if self._scheduler is None:
            super()._repopulate_pool()
            return
        with self._lock:
            while len(self._pool) < self._processes and self._scheduler.wants_workers:
                self._start_worker()

    def _start_worker(self):
        scheduler = self._scheduler
        seat = scheduler.hire()
        if seat is None:
            raise RuntimeError("too many workers of this pool have ended and are not settled")
        try:
            process_obj = self.Process(
                self._ctx,
                target=self._work,
                args=self._told(seat, self._ctx.get_start_method()),
            )
            if self._worker_name is not None:
                process_obj.name = process_obj.name.replace("Process", self._worker_name)
            process_obj.daemon = True
            process_obj.start()
            process_obj._config["daemon"] = self._has_daemons
        except BaseException:
            scheduler.release(seat)
            raise
        self._pool.append(process_obj)
        scheduler.watch(process_obj.pid, seat)

    def _told(self, seat, start_method):
        """Return what the worker that gets this seat is told."""
        return (
            self._scheduler.reference(),
            seat,
            self._last_words.place(),
            self._initializer,
            self._initargs,
            self._maxtasksperchild,
            self._wrap_exception,
            _surroundings.collect(start_method),
        )

    def _worker_ended(self, pid):
        """Return exit code and peak memory of a worker that has ended; it is none any more."""
        with self._lock:
            for index, process_obj in enumerate(self._pool):
                if process_obj.pid == pid:
                    process_obj.join()
                    if self._scheduler.wants_workers:
                        del self._pool[index]
                    return process_obj.exitcode, process_obj._popen.peak_memory
        return None, None

    def _replace_workers(self):
        """Start others for those that have ended."""
        try:
            if self._scheduler.wants_workers:
                self._repopulate_pool()
        except Exception as error:
            util.info(f"a worker could not be replaced: {error}")
            if not self._pool:
                self._scheduler.give_up(error)

    # The default, which nobody changes, is as in the standard library's signature.
    def apply_async(
        self,
        func,
        args=(),
        kwds={},  # noqa: B006
        callback=None,
        error_callback=None,
    ):
        """Have `func(*args, **kwds)` called; return its result to be."""
        if self._scheduler is None:
            return super().apply_async(func, args, kwds, callback, error_callback)
        if self._state != RUN:
            self._check_running()
        return self._scheduler.apply(
            self, func, args, kwds, callback, error_callback, self._options
        )

    def map(self, func, iterable, chunksize=None, *, progress=False):
        """Return the results of `func` for each item; `progress` shows how far that is."""
        if not progress or self._scheduler is None:
            return super().map(func, iterable, chunksize)
        shown = ShownMap(self, progress, iterable, chunksize)
        return shown.get(func, _original.mapstar)

    def map_async(
        self,
        func,
        iterable,
        chunksize=None,
        callback=None,
        error_callback=None,
        *,
        progress=False,
    ):
        """As `map`, but return the result to be."""
        if not progress or self._scheduler is None:
            return super().map_async(func, iterable, chunksize, callback, error_callback)
        shown = ShownMap(self, progress, iterable, chunksize)
        return shown.begin(func, _original.mapstar, callback, error_callback)

    def starmap(self, func, iterable, chunksize=None, *, progress=False):
        """As `map`, with the items of each item as arguments."""
        if not progress or self._scheduler is None:
            return super().starmap(func, iterable, chunksize)
        shown = ShownMap(self, progress, iterable, chunksize)
        return shown.get(func, _original.starmapstar)

    def starmap_async(
        self,
        func,
        iterable,
        chunksize=None,
        callback=None,
        error_callback=None,
        *,
        progress=False,
    ):
        """As `starmap`, but return the result to be."""
        if not progress or self._scheduler is None:
            return super().starmap_async(func, iterable, chunksize, callback, error_callback)
        shown = ShownMap(self, progress, iterable, chunksize)
        return shown.begin(func, _original.starmapstar, callback, error_callback)

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
        if self._scheduler is None:
            return super()._map_async(func, iterable, mapper, chunksize, callback, error_callback)
        self._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        length = len(iterable)
        if chunksize is None:
            chunksize, extra = divmod(length, self._processes * 4)
            chunksize += bool(extra)
        if length == 0 or chunksize <= 0:
            chunksize = 0
        starred = mapper is _original.starmapstar
        return self._scheduler.map(
            self,
            func,
            starred,
            iterable,
            length,
            chunksize,
            callback,
            error_callback,
            self._options,
            tally,
        )

    def imap(self, func, iterable, chunksize=1, *, progress=False):
        """Return an iterator over the results of `func` for each item, in their order.

        `progress` shows how far that is.
        """
        return self._imap(func, iterable, chunksize, super().imap, True, progress)

    def imap_unordered(self, func, iterable, chunksize=1, *, progress=False):
        """Return an iterator over the results of `func` for each item, as they come.

        `progress` shows how far that is.
        """
        return self._imap(func, iterable, chunksize, super().imap_unordered, False, progress)

    def _imap(self, func, iterable, chunksize, theirs, ordered, progress):
        if self._scheduler is None:
            return theirs(func, iterable, chunksize)
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
        tally = _concurrent.Tally() if progress else None
        items = iter(iterable) if type(iterable) in _PLAIN else None
        results = self._scheduler.imap(self, func, items, chunksize, ordered, self._options, tally)
        if items is None:
            try:
                _thread.start_new_thread(_send, (results, iterable, chunksize))
            except BaseException as error:
                results._finish(error)
                raise
        if progress:
            show_imap(progress, iterable, weakref.ref(results), self._scheduler, tally)
        if chunksize == 1:
            return results
        return (item for chunk in results for item in chunk)

    def with_options(self, **options):
        """Return the same pool, with options for the calls that are submitted through it.

        `timeout` is how many seconds a call may take, from when a worker begins it: then that
        worker is killed, and `TaskTimeout` raised, which is a `TimeoutError`. `memory` is how many
        bytes it may have more than its worker has when it begins: what wants more raises
        `MemoryError`. `retries` is how often it is tried again if its worker dies. With
        `running="kill"` the `cancel()` of a future kills the worker that does the call. Of a map
        each item has that time, and each chunk that memory and those tries.
        """
        if self._scheduler is None:
            raise NotImplementedError(
                "this pool is the standard library's, as its class replaces a part of it, or its "
                "context is not of manyhands; that has no options"
            )
        return view_of(self, options)

    def close(self):
        """Take no more calls; workers end when those that there are have been done."""
        if self._scheduler is None:
            super().close()
            return
        util.debug("closing pool")
        if self._state in (RUN, CLOSE):
            self._state = CLOSE
            self._scheduler.close()

    def _check_joinable(self):
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")

    def join(self):
        """Wait for the end of all workers, after close() or terminate()."""
        if self._scheduler is None:
            super().join()
            return
        util.debug("joining pool")
        self._check_joinable()
        self._scheduler.join()
        joined = None
        while joined != self._pool:
            # Meanwhile one may have been replaced.
            joined = list(self._pool)
            for process_obj in joined:
                process_obj.join()
        self._scheduler.end()
        self._helper.join()


def default_context():
    """Return the context of pools that are given none."""
    return context._default_context.get_context()


def _is_native(cls, ctx):
    """Whether a pool of this class and context is native."""
    if not isinstance(ctx, context.BaseContext):
        return False
    return not replaces_parts(cls, Pool)


def replaces_parts(cls, base):
    """Whether a class replaces what the standard library's pool is made of, which `base` is not."""
    own = cls.__mro__[: cls.__mro__.index(base)]
    return any(_PARTS & vars(each).keys() for each in own)


class _Backlog:
    """Tells how many tasks no worker has taken."""

    def __init__(self, scheduler):
        self._scheduler = scheduler

    def qsize(self):
        """Return their number."""
        return self._scheduler.backlog

    def empty(self):
        """Return whether there is none."""
        return self._scheduler.backlog == 0


#: The helpers of this process, by thread identifier, and the kernel's numbers of their threads.
_helpers = {}


class _Helper:
    """The thread that looks after workers and calls callbacks; `threading` does not know it."""

    def __init__(self, pool):
        self._running = _thread.allocate_lock()
        self._running.acquire()
        self._ident = _thread.start_new_thread(self._run, (pool._scheduler, weakref.ref(pool)))
        self._pid = os.getpid()

    def _run(self, scheduler, pool):
        _helpers[_thread.get_ident()] = _thread.get_native_id()
        try:
            try:
                scheduler.supervise(pool)
            except BaseException as error:
                # Nobody would learn of it, and everybody wait.
                scheduler.give_up(error)
                scheduler.supervise(pool)
        finally:
            _helpers.pop(_thread.get_ident(), None)
            self._running.release()

    def join(self):
        if self._pid == os.getpid() and self._ident != _thread.get_ident():
            _others_run_until(lambda: not self._running.locked())
            with self._running:
                pass


def _end(scheduler, workers, lock, helper):
    """End the workers of a pool, whatever they do."""
    util.debug("ending the workers of a pool")
    scheduler.terminate()
    with lock:
        for worker_obj in workers:
            if worker_obj.exitcode is None:
                worker_obj.terminate()
        deadline = time.monotonic() + _GRACE
        for worker_obj in workers:
            worker_obj.join(max(0, deadline - time.monotonic()))
            if worker_obj.exitcode is None:
                worker_obj.kill()
                worker_obj.join()
    if helper is not None:
        helper.join()


def _send(results, iterable, size):
    """Send what an iterable gives, `size` items at a time, as there is room."""
    failure = None
    try:
        items = iter(iterable)
        while results._has_room():
            task = next(items, _END) if size == 1 else tuple(itertools.islice(items, size))
            if task is _END or (size > 1 and not task):
                break
            results._send(task)
            del task
    except BaseException as error:
        failure = error
    results._finish(failure)


_END = object()


forward(globals(), _original)
_forwarded = __getattr__  # noqa: F821


#: Where what is not always needed is.
_LATE = {
    "HostError": "_hosts",
    "TaskTimeout": "_died",
    "ThreadPool": "_thread_pool",
    "WorkerDied": "_died",
}


def __getattr__(name):
    if name not in _LATE:
        return _forwarded(name)
    module = import_module(f"manyhands.multiprocessing.{_LATE[name]}")
    found = globals()[name] = getattr(module, name)
    return found
