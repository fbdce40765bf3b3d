"""Executors whose threads are real ones, patched or not."""

import sys
from functools import cached_property

from manyhands._stdlib import original
from manyhands.gevent import monkey
from manyhands.gevent.timeout import Timeout

__all__ = ["ThreadPoolExecutor"]

_executors = original("concurrent.futures")


class _FutureProxy:
    """An `AsyncResult` with the interface of `concurrent.futures.Future`."""

    def __init__(self, asyncresult):
        self.asyncresult = asyncresult

    # By these wait() and as_completed() of concurrent.futures learn of outcomes.
    @cached_property
    def _condition(self):
        if monkey.is_module_patched("threading") or self.done():
            import threading

            return threading.Condition()
        raise AttributeError(
            "_condition: concurrent.futures.wait() would stop all greenlets unless threading is "
            "patched"
        )

    @cached_property
    def _waiters(self):
        self.asyncresult.rawlink(self._tell_waiters)
        return []

    def _tell_waiters(self, _result):
        for waiter in self._waiters:
            if self.successful():
                waiter.add_result(self)
            else:
                waiter.add_exception(self)

    @property
    def _state(self):
        return "FINISHED" if self.done() else "RUNNING"

    def set_running_or_notify_cancel(self):
        """Nothing is ever cancelled."""

    def result(self, timeout=None):
        """What the call returned or raised."""
        try:
            return self.asyncresult.result(timeout=timeout)
        except Timeout:
            raise _executors.TimeoutError() from None

    def exception(self, timeout=None):
        """What the call raised, or None."""
        try:
            self.asyncresult.get(timeout=timeout)
        except Timeout:
            raise _executors.TimeoutError() from None
        except BaseException:
            if not self.done():
                raise
        return self.asyncresult.exception

    def add_done_callback(self, fn):
        """Call a function with this when it is done; what it raises is printed."""
        if self.done():
            fn(self)
        else:
            self.asyncresult.rawlink(lambda _result: self._call(fn))

    def _call(self, fn):
        try:
            fn(self)
        except Exception:
            self.asyncresult.hub.print_exception((fn, self), *sys.exc_info())

    def rawlink(self, fn):
        """As `AsyncResult.rawlink`."""
        self.asyncresult.rawlink(lambda _result: fn(self))

    def __str__(self):
        return str(self.asyncresult)

    def __getattr__(self, name):
        return getattr(self.asyncresult, name)


class ThreadPoolExecutor(_executors.ThreadPoolExecutor):
    """`concurrent.futures.ThreadPoolExecutor` with real threads, also where `threading` is patched.

    Greenlets can wait for its futures, `gevent.wait()` too. What else than the number of threads
    is given to it is ignored.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        from manyhands.gevent.threadpool import ThreadPool

        self._threadpool = ThreadPool(self._max_workers)

    def submit(self, fn, *args, **kwargs):
        """Have a thread call the function; returns a future."""
        with self._shutdown_lock:
            if self._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            return _FutureProxy(self._threadpool.spawn(fn, *args, **kwargs))

    def shutdown(self, wait=True, **kwargs):
        """Do what was submitted, and end all threads."""
        super().shutdown(wait, **kwargs)
        pool, self._threadpool = self._threadpool, None
        if pool is not None:
            pool.kill()

    kill = shutdown

    def _adjust_thread_count(self):
        pass
