"""The libraries that are compared: each a namespace with the stdlib's names."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from types import ModuleType, SimpleNamespace

from bench import greens, pools, shells

SYNC = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier")
QUEUES = ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue")


def _stdlib() -> SimpleNamespace:
    import concurrent.futures
    import multiprocessing
    import multiprocessing.connection
    import multiprocessing.pool
    import queue
    import threading

    of = _with_processes(_pick(threading, queue), multiprocessing)
    of.ThreadPool = partial(multiprocessing.pool.ThreadPool, pools.WORKERS)
    of.green = greens.of_threads(of)
    return _with_executors(of, concurrent.futures)


def _manyhands() -> SimpleNamespace:
    from manyhands import multiprocessing, queue, threading
    from manyhands.multiprocessing.pool import ThreadPool

    of = _with_processes(_pick(threading, queue), multiprocessing)
    of.ThreadPool = partial(ThreadPool, pools.WORKERS)
    with contextlib.suppress(ModuleNotFoundError):
        _with_executors(of, import_module("manyhands.concurrent.futures"))
    with contextlib.suppress(ModuleNotFoundError):
        of.green = greens.of_gevent("manyhands.gevent", "manyhands")
    return _with_ssh(of, shells.Manyhands, "manyhands.paramiko")


def _billiard() -> SimpleNamespace:
    import billiard
    import billiard.connection
    import billiard.pool

    # A worker waits at its end for its results to be counted, and those of a map often are not:
    # that would be half a minute, after all that is measured.
    billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 1
    return _with_processes(SimpleNamespace(), billiard)


def _faster_fifo() -> SimpleNamespace:
    import faster_fifo

    class Queue:
        """With room for what the workloads leave in it; and blocking without a timeout."""

        def __init__(self) -> None:
            self._queue = faster_fifo.Queue(256 << 20)

        def put(self, item: object) -> None:
            self._queue.put(item, timeout=1e6)

        def get(self) -> object:
            return self._queue.get(timeout=1e6)

    return SimpleNamespace(ProcessQueue=Queue, RoundTripQueue=Queue)


def _dejaq() -> SimpleNamespace:
    import dejaq

    def queue() -> object:
        return dejaq.DejaQueue(buffer_bytes=256 << 20)

    return SimpleNamespace(ProcessQueue=queue, RoundTripQueue=queue)


def _ultradict() -> SimpleNamespace:
    from UltraDict import UltraDict

    @contextlib.contextmanager
    def shared_dict() -> Iterator[object]:
        shared = UltraDict()
        yield shared
        shared.unlink()

    return SimpleNamespace(shared_dict=shared_dict)


def _pipe() -> SimpleNamespace:
    import os
    import pickle

    class Queue:
        """Not a queue, but the least that brings a pickled object to another process: a pipe of the
        system, which one puts into and one gets from, nothing longer than the system writes whole.
        """

        def __init__(self) -> None:
            self._reader, self._writer = os.pipe()

        def put(self, item: object) -> None:
            os.write(self._writer, pickle.dumps(item, 5))

        def get(self) -> object:
            return pickle.loads(os.read(self._reader, 4096))

        def __del__(self) -> None:
            os.close(self._reader)
            os.close(self._writer)

    return SimpleNamespace(RoundTripQueue=Queue)


def _loky() -> SimpleNamespace:
    import loky

    return SimpleNamespace(ProcessExecutor=partial(loky.ProcessPoolExecutor, pools.WORKERS))


def _joblib() -> SimpleNamespace:
    return SimpleNamespace(Pool=pools.of_joblib())


def _mpire() -> SimpleNamespace:
    return SimpleNamespace(Pool=pools.of_mpire())


def _ray() -> SimpleNamespace:
    return SimpleNamespace(Pool=pools.of_ray())


def _pebble() -> SimpleNamespace:
    return SimpleNamespace(Pool=pools.of_pebble())


def _gevent() -> SimpleNamespace:
    return SimpleNamespace(green=greens.of_gevent("gevent", "gevent"))


def _eventlet() -> SimpleNamespace:
    return SimpleNamespace(green=greens.of_eventlet())


def _asyncio() -> SimpleNamespace:
    return SimpleNamespace(green=greens.of_asyncio())


def _uvloop() -> SimpleNamespace:
    return SimpleNamespace(green=greens.of_asyncio("uvloop"))


def _trio() -> SimpleNamespace:
    return SimpleNamespace(green=greens.of_trio())


def _paramiko() -> SimpleNamespace:
    return _with_ssh(SimpleNamespace(), shells.Paramiko, "paramiko")


def _asyncssh() -> SimpleNamespace:
    import_module("asyncssh")
    return SimpleNamespace(ssh=shells.AsyncSSH, ssh_class=shells.AsyncSSH, ssh_package="asyncssh")


def _ssh2() -> SimpleNamespace:
    import_module("ssh2.session")
    return SimpleNamespace(ssh=shells.SSH2, ssh_class=shells.SSH2)


def _hussh() -> SimpleNamespace:
    import_module("hussh")
    return SimpleNamespace(ssh=shells.Hussh, ssh_class=shells.Hussh, ssh_package="hussh")


def _openssh() -> SimpleNamespace:
    if shutil.which("ssh") is None:
        raise ImportError("there is no ssh")
    return SimpleNamespace(ssh=shells.OpenSSH, ssh_class=shells.OpenSSH)


def _with_ssh(of: SimpleNamespace, shell: type[shells.Paramiko], package: str) -> SimpleNamespace:
    """Adds connections of SSH: `of.ssh(kind="ed25519")`."""
    import_module(package)
    of.ssh, of.ssh_class, of.ssh_package = partial(shell, package), shell, package
    return of


def _with_processes(of: SimpleNamespace, multiprocessing: ModuleType) -> SimpleNamespace:
    """Adds what is between processes, as the module gives it: `of.multiprocessing`."""
    of.multiprocessing = multiprocessing
    of.shared_dict = partial(_dict_of_a_manager, multiprocessing)
    of.ProcessQueue = of.RoundTripQueue = multiprocessing.get_context("fork").Queue
    of.Pool = pools.like_multiprocessing(multiprocessing)
    with contextlib.suppress(ModuleNotFoundError):
        of.SharedMemory = import_module(f"{multiprocessing.__name__}.shared_memory").SharedMemory
    return of


@contextlib.contextmanager
def _dict_of_a_manager(multiprocessing: ModuleType) -> Iterator[object]:
    with multiprocessing.Manager() as manager:
        yield manager.dict()


def _with_executors(of: SimpleNamespace, futures: ModuleType) -> SimpleNamespace:
    """Adds the executors, as the module gives them; processes are those of `of`."""
    context = of.multiprocessing.get_context("fork")
    of.ProcessExecutor = partial(futures.ProcessPoolExecutor, pools.WORKERS, mp_context=context)
    of.ThreadExecutor = partial(futures.ThreadPoolExecutor, pools.WORKERS)
    return of


def _culsans() -> SimpleNamespace:
    import culsans

    def synchronous(name: str) -> Callable[..., object]:
        queue = getattr(culsans, name)
        return lambda *args: queue(*args).sync_q

    return SimpleNamespace(**{name: synchronous(name) for name in QUEUES[:3]})


def _pick(threading: object, queue: object) -> SimpleNamespace:
    names = {name: getattr(threading, name) for name in SYNC}
    return SimpleNamespace(**names, **{name: getattr(queue, name) for name in QUEUES})


CONTENDERS = {
    "stdlib": _stdlib,
    "manyhands": _manyhands,
    "culsans": _culsans,
    "billiard": _billiard,
    "faster-fifo": _faster_fifo,
    "dejaq": _dejaq,
    "UltraDict": _ultradict,
    "a bare pipe": _pipe,
    "loky": _loky,
    "joblib": _joblib,
    "mpire": _mpire,
    "pebble": _pebble,
    "ray": _ray,
    "gevent": _gevent,
    "eventlet": _eventlet,
    "asyncio": _asyncio,
    "uvloop": _uvloop,
    "trio": _trio,
    "paramiko": _paramiko,
    "asyncssh": _asyncssh,
    "ssh2-python": _ssh2,
    "hussh": _hussh,
    "openssh": _openssh,
}
