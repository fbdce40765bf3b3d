"""The libraries' pools of processes, each behind a class with the same methods.

A method has a function called with each item and returns the results in a list. A class has only
the methods whose like its library has. At the end of its `with` the workers are gone, in good order
where nothing was raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

WORKERS = 2

Function = Callable[[Any], Any]


def like_multiprocessing(module: ModuleType) -> type:
    """The pool of a module that has the stdlib's names."""

    class Pool:
        def __init__(self, method: str) -> None:
            self._pool = module.get_context(method).Pool(WORKERS)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, kind: object, *_: object) -> None:
            if kind is None:
                self._pool.close()
            else:
                self._pool.terminate()
            self._pool.join()

        def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return self._pool.map(function, items)

        def map_chunks(self, function: Function, items: Sequence[Any], size: int) -> list[Any]:
            return self._pool.map(function, items, size)

        def imap(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return list(self._pool.imap(function, items))

        def imap_unordered(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return list(self._pool.imap_unordered(function, items))

        def apply(self, function: Function, items: Iterable[Any]) -> list[Any]:
            apply = self._pool.apply
            return [apply(function, (item,)) for item in items]

        def apply_async(self, function: Function, items: Iterable[Any]) -> list[Any]:
            apply_async = self._pool.apply_async
            results = [apply_async(function, (item,)) for item in items]
            return [result.get() for result in results]

    return Pool


def of_joblib() -> type:
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    class Pool:
        """Its workers are loky's, joblib's default, which start in a way of their own."""

        def __init__(self, _: str) -> None:
            self._parallel = Parallel(WORKERS)

        def __enter__(self) -> Pool:
            self._parallel.__enter__()
            return self

        def __exit__(self, *raised: Any) -> None:
            self._parallel.__exit__(*raised)
            # Else the workers would stay for minutes, for the next to use them.
            get_reusable_executor().shutdown()

        def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return self._parallel(map(delayed(function), items))

        def map_chunks(self, function: Function, items: Sequence[Any], size: int) -> list[Any]:
            self._parallel.batch_size = size
            return self.map(function, items)

    return Pool


def of_mpire() -> type:
    from mpire import WorkerPool

    class Pool:
        def __init__(self, method: str) -> None:
            self._pool = WorkerPool(WORKERS, start_method=method, keep_alive=True)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, kind: object, *_: object) -> None:
            if kind is None:
                self._pool.stop_and_join()
            else:
                self._pool.terminate()

        def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return self._pool.map(function, items)

        def map_chunks(self, function: Function, items: Sequence[Any], size: int) -> list[Any]:
            # A tuple would be several arguments; and all others return a list also of arrays.
            ones = [(item,) if isinstance(item, tuple) else item for item in items]
            return self._pool.map(function, ones, chunk_size=size, concatenate_numpy_output=False)

        def imap(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return list(self._pool.imap(function, items, chunk_size=1))

        def imap_unordered(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return list(self._pool.imap_unordered(function, items, chunk_size=1))

        def apply(self, function: Function, items: Iterable[Any]) -> list[Any]:
            apply = self._pool.apply
            return [apply(function, (item,)) for item in items]

        def apply_async(self, function: Function, items: Iterable[Any]) -> list[Any]:
            apply_async = self._pool.apply_async
            results = [apply_async(function, (item,)) for item in items]
            return [result.get() for result in results]

    return Pool


def of_ray() -> type:
    import logging
    import os

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.util.multiprocessing import Pool as RayPool

    class Pool:
        """Its workers start in a way of their own. All its other processes are there for one `with`
        only, so that they disturb nobody else.
        """

        def __init__(self, _: str) -> None:
            ray.init(
                num_cpus=WORKERS,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _node_ip_address="127.0.0.1",
            )
            self._pool = RayPool(WORKERS)

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, kind: object, *_: object) -> None:
            if kind is None:
                self._pool.close()
                self._pool.join()
            ray.shutdown()

        def map(self, function: Function, items: Sequence[Any]) -> list[Any]:
            return self._pool.map(function, items)

        def map_chunks(self, function: Function, items: Sequence[Any], size: int) -> list[Any]:
            return self._pool.map(function, items, size)

    return Pool


def of_pebble() -> type:
    from multiprocessing import get_context

    from pebble import ProcessPool

    class Pool:
        """Without `map`, as it finds no size of chunks by itself."""

        def __init__(self, method: str) -> None:
            self._pool = ProcessPool(WORKERS, context=get_context(method))

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, kind: object, *_: object) -> None:
            if kind is None:
                self._pool.close()
            else:
                self._pool.stop()
            self._pool.join()

        def map_chunks(self, function: Function, items: Sequence[Any], size: int) -> list[Any]:
            return list(self._pool.map(function, items, chunksize=size).result())

        def apply(self, function: Function, items: Iterable[Any]) -> list[Any]:
            schedule = self._pool.schedule
            return [schedule(function, (item,)).result() for item in items]

        def apply_async(self, function: Function, items: Iterable[Any]) -> list[Any]:
            schedule = self._pool.schedule
            futures = [schedule(function, (item,)) for item in items]
            return [future.result() for future in futures]

    return Pool
