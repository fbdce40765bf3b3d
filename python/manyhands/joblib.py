"""A backend for joblib: `joblib.parallel_config(backend="manyhands")`.

Importing this module registers it; under `manyhands run` joblib knows it by itself. Calls go to a
`ProcessPoolExecutor` of ours. What a worker cannot import (lambdas, closures, what is in
`__main__`) goes by value, and large arrays go through shared memory, also within such calls.

Source: https://joblib.readthedocs.io/en/stable/custom_parallel_backend.html
"""

import io
import os
import pickle
import warnings
from collections import ChainMap
from importlib import import_module

import cloudpickle
from joblib._parallel_backends import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)
from joblib.parallel import register_parallel_backend

from manyhands.concurrent.futures import ProcessPoolExecutor
from manyhands.multiprocessing import _processors, context, current_process, get_context, reduction

__all__ = ["ManyhandsBackend"]

NAME = "manyhands"


class ManyhandsBackend(AutoBatchingMixin, ParallelBackendBase):
    """Worker processes of ours; `start_method` says how they are started.

    They are there as long as a call of `Parallel`, or `with` it.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True

    _executor = None

    def effective_n_jobs(self, n_jobs):
        """Return how many workers there are if so many are asked for."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs < 0:
            n_jobs = max(_processors.count() + 1 + n_jobs, 1)
        if n_jobs == 1:
            return 1
        why = None
        if current_process().daemon and not context.may_have_children:
            why = "a daemonic process can have no children"
        elif not (self.in_main_thread() or self.nesting_level == 0):
            why = "processes are not started by threads of another Parallel"
        if why is not None:
            warnings.warn(f"{why}: n_jobs is 1", stacklevel=3)
            return 1
        return n_jobs

    def configure(
        self, n_jobs=1, parallel=None, prefer=None, require=None, start_method=None, **_ignored
    ):
        """Prepare for a call of `Parallel`; return how many workers there are."""
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._executor = ProcessPoolExecutor(
            n_jobs,
            get_context(start_method or self.backend_kwargs.get("start_method")),
            _prepare,
            (self._prepare_worker_env(n_jobs), self.inner_max_num_threads),
        )
        return n_jobs

    def submit(self, func, callback=None):
        """Have a batch of calls done; return its future."""
        future = self._executor.submit(_call, _ByValue(func))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def apply_async(self, func, callback=None):
        """As `submit`: what joblib before 1.5 asks for."""
        return self.submit(func, callback)

    def retrieve_result_callback(self, out):
        """Return what a batch has come to, or raise it."""
        return out.result()

    def terminate(self):
        """End the workers, which have done all."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready=True):
        """End the workers, whatever they do."""
        executor, self._executor = self._executor, None
        if executor is not None:
            workers = executor._pool
            executor.shutdown(wait=False)
            if workers is not None:
                workers.give_up()
        if ensure_ready:
            self.configure(
                n_jobs=self.parallel.n_jobs, parallel=self.parallel, **self.parallel._backend_kwargs
            )


class _ByValue:
    """Is unpickled as the object that it is made of."""

    def __init__(self, thing):
        self._thing = thing

    def __reduce_ex__(self, protocol):
        file, buffers = io.BytesIO(), []
        _Pickler(file, buffers.append).dump(self._thing)
        # Whoever pickles this puts the buffers where it puts others.
        return _load, (file.getvalue(), buffers)


class _Pickler(cloudpickle.Pickler):
    """Pickles by value what cannot be imported, and all else as multiprocessing does."""

    def __init__(self, file, buffer_callback):
        ours = reduction.ForkingPickler(io.BytesIO()).dispatch_table
        # Before __init__, which looks it up once and for all.
        self.dispatch_table = ChainMap(ours, self.dispatch_table)
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)


def _load(pickled, buffers):
    return pickle.loads(pickled, buffers=buffers)


def _call(func):
    """Do a batch: what a worker is asked for."""
    return _ByValue(func())


def _prepare(environment, threads):
    """Have a worker's libraries use no more threads than there is room for."""
    os.environ.update(environment)
    if threads is not None:
        # Those that were loaded before a fork do not look at the environment again.
        try:
            threadpoolctl = import_module("threadpoolctl")
        except ImportError:
            return
        threadpoolctl.threadpool_limits(threads)


register_parallel_backend(NAME, ManyhandsBackend)
