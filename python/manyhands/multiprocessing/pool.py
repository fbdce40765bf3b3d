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
import functools
import itertools
import os
import pickle
import signal
import sys
import time
import traceback
import weakref

from manyhands import _native, _progress
from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import _processors, _surroundings, context, util
from manyhands.multiprocessing._last_words import SAYS_WHERE, LastWords, report_to
from manyhands.multiprocessing._options import view_of

_original = original("multiprocessing.pool")
_Tally = _native.concurrent.Tally
_native = _native.multiprocessing

__all__ = ["Pool", "ThreadPool"]

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

#: How many chunks a map has at least, if there are as many items, whose progress is shown.
_STEPS = 100

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
            context = _default_context()
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
        self._last_words = last_words = LastWords()
        self._scheduler = _native.Scheduler(
            2 * processes + _MORE_SEATS,
            _rebuild,
            functools.partial(_died, last_words),
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
        _progress.show_all(self._scheduler, self._shown_as or type(self).__name__)

    def _first(self, processes):
        """Return how many workers there are at first."""
        return processes

    @staticmethod
    def _work(*args):
        """Be a worker: what its process runs."""
        worker(*args)

    @staticmethod
    def _ended():
        """Return the exception of a call that was not done."""
        return context.ProcessError("the pool was terminated before the call was done")

    def __getattr__(self, name):
        # What programs read of the standard library's to show how far they are.
        if self._scheduler is not None:
            if name == "_cache":
                return range(self._scheduler.pending)
            if name == "_taskqueue":
                return _Backlog(self._scheduler)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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
                args=(
                    scheduler.reference(),
                    seat,
                    self._last_words.place(),
                    self._initializer,
                    self._initargs,
                    self._maxtasksperchild,
                    self._wrap_exception,
                    _surroundings.collect(self._ctx.get_start_method()),
                ),
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
        self._check_running()
        return self._scheduler.apply(
            self, func, args, kwds, callback, error_callback, self._options
        )

    def map(self, func, iterable, chunksize=None, *, progress=False):
        """Return the results of `func` for each item; `progress` shows how far that is."""
        if not progress or self._scheduler is None:
            return super().map(func, iterable, chunksize)
        shown = _ShownMap(self, progress, iterable, chunksize)
        with shown.bar:
            return shown.begin(func, _original.mapstar).get()

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
        shown = _ShownMap(self, progress, iterable, chunksize)
        return shown.begin(func, _original.mapstar, callback, error_callback)

    def starmap(self, func, iterable, chunksize=None, *, progress=False):
        """As `map`, with the items of each item as arguments."""
        if not progress or self._scheduler is None:
            return super().starmap(func, iterable, chunksize)
        shown = _ShownMap(self, progress, iterable, chunksize)
        with shown.bar:
            return shown.begin(func, _original.starmapstar).get()

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
        shown = _ShownMap(self, progress, iterable, chunksize)
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
        tally = _Tally() if progress else None
        items = iter(iterable) if type(iterable) in _PLAIN else None
        results = self._scheduler.imap(self, func, items, chunksize, ordered, self._options, tally)
        if items is None:
            try:
                _thread.start_new_thread(_send, (results, iterable, chunksize))
            except BaseException as error:
                results._finish(error)
                raise
        if progress:
            _show_imap(progress, iterable, weakref.ref(results), self._scheduler, tally)
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
        if _replaces_parts(type(self), ThreadPool):
            _original.ThreadPool.__init__(self, processes, initializer, initargs)
            return
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._ctx = _default_context()
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
        _progress.show_all(threads, type(self).__name__)

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
                worker_obj.join()
            joined |= left
        if self._helper is not None:
            self._helper.join()


class _ShownMap:
    """A map, and the bar that shows how far it is."""

    def __init__(self, pool, progress, iterable, chunksize):
        pool._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        if chunksize is None:
            # The bar moves when a chunk is done.
            chunksize = -(-len(iterable) // max(_STEPS, pool._processes * 4))
        self._pool = pool
        self._arguments = iterable, chunksize
        self._tally = _Tally()
        self.bar = _progress.show(progress, _reader(pool._scheduler, self._tally, len(iterable)))

    def begin(self, func, mapper, *callbacks):
        """Begin it; return its result to be."""
        iterable, chunksize = self._arguments
        callbacks = callbacks or (None, None)
        try:
            return self._pool._map_async(
                func, iterable, mapper, chunksize, *callbacks, tally=self._tally
            )
        except BaseException:
            self.bar.end()
            raise


def _reader(scheduler, tally, total):
    """Return what tells how far so many calls of a pool are."""

    def read():
        *_, running, is_over = scheduler.progress()
        _, done, failed = tally.read()
        left = total - done - failed
        return _progress.Numbers(total, done, failed, min(left, running), is_over or left <= 0)

    return read


def _show_imap(progress, iterable, results, scheduler, tally):
    try:
        length = len(iterable)
    except TypeError:
        length = None

    def read():
        iterator = results()
        *_, running, is_over = scheduler.progress()
        is_all_sent = iterator is not None and iterator._length is not None
        submitted, done, failed = tally.read()
        left = submitted - done - failed
        is_over = is_over or iterator is None or (is_all_sent and left <= 0)
        total = submitted if is_all_sent or (is_over and length is None) else length
        return _progress.Numbers(total, done, failed, min(left, running), is_over)

    _progress.show(progress, read)


def _default_context():
    return context._default_context.get_context()


def _is_native(cls, ctx):
    """Whether a pool of this class and context is native."""
    if not isinstance(ctx, context.BaseContext):
        return False
    return not _replaces_parts(cls, Pool)


def _replaces_parts(cls, base):
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


class _Helper:
    """The thread that looks after workers and calls callbacks; `threading` does not know it."""

    def __init__(self, pool):
        self._running = _thread.allocate_lock()
        self._running.acquire()
        self._ident = _thread.start_new_thread(self._run, (pool._scheduler, weakref.ref(pool)))
        self._pid = os.getpid()

    def _run(self, scheduler, pool):
        try:
            try:
                scheduler.supervise(pool)
            except BaseException as error:
                # Nobody would learn of it, and everybody wait.
                scheduler.give_up(error)
                scheduler.supervise(pool)
        finally:
            self._running.release()

    def join(self):
        if self._pid == os.getpid() and self._ident != _thread.get_ident():
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


def worker(board, seat, last_words, initializer, initargs, maxtasks, wrap_exception, surroundings):
    """Do a pool's tasks: what a worker process runs."""
    report_to(*last_words, seat)

    def initialize(notices):
        settle = _surroundings.enter(surroundings, notices.log)
        if initializer is not None:
            initializer(*initargs)
        settle()

    def describe(error, *result):
        return _describe(error, result, wrap_exception)

    context.may_have_children = True
    try:
        done = _native.work(*board, seat, maxtasks, initialize, describe)
    except KeyboardInterrupt:
        # For the program, which tells about it.
        sys.exit(128 + signal.SIGINT)
    util.debug(f"worker exiting after {done} tasks")


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


def _describe(error, result, wrap):
    """Return what another process can make the exception of: its pickle, and its traceback's text.

    `result` has the result that could not be sent, if that was what the error came of.
    """
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if result:
        error = _original.MaybeEncodingError(error, result[0])
    elif wrap:
        wrapped = _original.ExceptionWithTraceback(error, error.__traceback__)
        pickled = _pickle(wrapped)
        if pickled is not None:
            return pickled, text
    pickled = _pickle(error)
    if pickled is None:
        try:
            pickle.dumps(error)
        except Exception as why:
            error = _original.MaybeEncodingError(why, error)
        pickled = pickle.dumps(error)
    return pickled, text


def _pickle(error):
    from manyhands.multiprocessing.reduction import ForkingPickler

    try:
        return bytes(ForkingPickler.dumps(error))
    except Exception:
        return None


def _rebuild(pickled, text):
    """Return the exception that a worker has described."""
    try:
        error = pickle.loads(pickled)
    except Exception as why:
        error = _original.MaybeEncodingError(why, text.strip().rpartition("\n")[2])
        error.__cause__ = _original.RemoteTraceback(f'\n"""\n{text}"""')
    return error


def _died(last_words, pid, exitcode, seat, **facts):
    """Return the exception of a call whose worker has died."""
    from manyhands.multiprocessing._died import exception_of

    return exception_of(pid, exitcode, **facts, **last_words.of(seat, exitcode))


forward(globals(), _original)
_forwarded = __getattr__  # noqa: F821


def __getattr__(name):
    if name not in ("TaskTimeout", "WorkerDied"):
        return _forwarded(name)
    from manyhands.multiprocessing import _died

    found = globals()[name] = getattr(_died, name)
    return found
