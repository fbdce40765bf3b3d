"""Worlds of greenlets and their kin, with one set of methods: what `of.green` is.

Each method does the same work in its world, and returns the seconds of CPU and of the clock that it
took. A world lacks the methods of what it does not have.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from time import perf_counter, process_time
from types import SimpleNamespace
from typing import Any

#: Seconds of CPU, and of the clock.
Taken = tuple[float, float]

#: How many are in a batch, and how many workers a pool has.
BATCH = 100

#: How many share what they contend for.
RIVALS = 4


@contextmanager
def timed() -> Iterator[list[float]]:
    taken: list[float] = []
    cpu, wall = process_time(), perf_counter()
    yield taken
    taken += [process_time() - cpu, perf_counter() - wall]


def nothing(*_: Any) -> None:
    pass


def naps(count: int) -> Iterator[float]:
    """From 1 to 50 ms, all lengths alike often, in no order."""
    return ((1 + number * 37 % 50) / 1000 for number in range(count))


class Threads:
    """What a world of preemptive threads has, and all of greenlets."""

    def __init__(self, name: str, **names: Any) -> None:
        #: What servers and fetches are started by in processes of their own.
        self.name = name
        self.__dict__.update(names)

    def together(self, *functions: Callable[[], Any]) -> Taken:
        with timed() as taken:
            self.join([self.spawn(function) for function in functions])
        return taken[0], taken[1]

    def batches(self, count: int) -> Taken:
        with timed() as taken:
            for _ in range(count // BATCH):
                self.join([self.spawn(nothing) for _ in range(BATCH)])
        return taken[0], taken[1]

    def pool_map(self, count: int) -> Taken:
        with self.pool(BATCH) as pool, timed() as taken:
            pool(nothing, range(count))
        return taken[0], taken[1]

    def ping_pong(self, count: int) -> Taken:
        there, back = self.Queue(), self.Queue()

        def ask() -> None:
            for _ in range(count):
                there.put(None)
                back.get()

        def answer() -> None:
            for _ in range(count):
                there.get()
                back.put(None)

        return self.together(ask, answer)

    def bounded(self, count: int) -> Taken:
        fifo = self.Queue(1)

        def produce() -> None:
            for _ in range(count):
                fifo.put(None)

        def consume() -> None:
            for _ in range(count):
                fifo.get()

        return self.together(produce, consume)

    def contended(self, count: int) -> Taken:
        semaphore, let_others, turns = self.Semaphore(1), self.sleep, count // RIVALS

        def rival() -> None:
            for _ in range(turns):
                with semaphore:
                    let_others(0)

        return self.together(*[rival] * RIVALS)

    def free(self, count: int) -> Taken:
        acquire, release = (lock := self.Semaphore(1)).acquire, lock.release
        with timed() as taken:
            for _ in range(count):
                acquire()
                release()
        return taken[0], taken[1]


class WithEvents(Threads):
    def events(self, count: int) -> Taken:
        there, back = self.Event(), self.Event()

        def ask() -> None:
            for _ in range(count):
                there.set()
                back.wait()
                back.clear()

        def answer() -> None:
            for _ in range(count):
                there.wait()
                there.clear()
                back.set()

        return self.together(ask, answer)

    def rlock(self, count: int) -> Taken:
        lock = self.RLock()
        with timed() as taken:
            for _ in range(count):
                with lock, lock:
                    pass
        return taken[0], taken[1]


class Greenlets(Threads):
    def all_at_once(self, count: int) -> Taken:
        with timed() as taken:
            self.join([self.spawn(nothing) for _ in range(count)])
        return taken[0], taken[1]

    def switches(self, count: int) -> Taken:
        sleep = self.sleep

        def switch() -> None:
            for _ in range(count // 2):
                sleep(0)

        return self.together(switch, switch)

    def sleeps(self, count: int) -> Taken:
        with timed() as taken:
            self.join([self.spawn(self.sleep, nap) for nap in naps(count)])
        return taken[0], taken[1]

    def timeouts(self, count: int) -> Taken:
        timeout = self.timeout
        with timed() as taken:
            for _ in range(count):
                with timeout(10):
                    pass
        return taken[0], taken[1]


class Gevents(Greenlets, WithEvents):
    pass


def of_gevent(package: str, name: str) -> Threads:
    """gevent, or what has its names."""
    gevent = import_module(package)
    for module in ("event", "lock", "pool", "queue"):
        import_module(f"{package}.{module}")

    @contextmanager
    def pool(size: int) -> Iterator[Callable[..., Any]]:
        yield gevent.pool.Pool(size).map

    return Gevents(
        name,
        spawn=gevent.spawn,
        join=gevent.joinall,
        sleep=gevent.sleep,
        Queue=gevent.queue.Queue,
        Event=gevent.event.Event,
        Semaphore=gevent.lock.Semaphore,
        RLock=gevent.lock.RLock,
        pool=pool,
        timeout=gevent.Timeout,
    )


def of_eventlet() -> Threads:
    import eventlet
    import eventlet.queue
    import eventlet.semaphore

    def join(tasks: list[Any]) -> None:
        for task in tasks:
            task.wait()

    @contextmanager
    def pool(size: int) -> Iterator[Callable[..., Any]]:
        workers = eventlet.GreenPool(size)
        yield lambda function, items: list(workers.imap(function, items))

    return Greenlets(
        "eventlet",
        spawn=eventlet.spawn,
        join=join,
        sleep=eventlet.sleep,
        Queue=eventlet.queue.Queue,
        Semaphore=eventlet.semaphore.Semaphore,
        pool=pool,
        timeout=eventlet.Timeout,
    )


def of_threads(of: SimpleNamespace) -> Threads:
    """The threads of a namespace of the standard library's names."""
    from multiprocessing.pool import ThreadPool

    def spawn(function: Callable[..., Any], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=function, args=args)
        thread.start()
        return thread

    def join(tasks: list[threading.Thread]) -> None:
        for task in tasks:
            task.join()

    @contextmanager
    def pool(size: int) -> Iterator[Callable[..., Any]]:
        with ThreadPool(size) as workers:
            yield workers.map

    return WithEvents(
        "threads",
        spawn=spawn,
        join=join,
        sleep=time.sleep,
        Queue=of.Queue,
        Event=of.Event,
        Semaphore=of.Semaphore,
        RLock=of.RLock,
        pool=pool,
    )


def of_asyncio(name: str = "asyncio") -> Any:
    from bench.green_loops import Asyncios

    if name == "uvloop":
        import uvloop

        return Asyncios(name, uvloop.new_event_loop)
    import asyncio

    return Asyncios(name, asyncio.new_event_loop)


def of_trio() -> Any:
    from bench.green_loops import Trios

    return Trios()


def by_name(name: str) -> Any:
    """A world, for a process of its own."""
    if name in ("asyncio", "uvloop"):
        return of_asyncio(name)
    if name in ("trio", "eventlet"):
        return getattr(sys.modules[__name__], f"of_{name}")()
    if name == "threads":
        names = {n: getattr(threading, n) for n in ("Event", "Semaphore", "RLock")}
        return of_threads(SimpleNamespace(Queue=queue.Queue, **names))
    return of_gevent(package_of(name), name)


def package_of(name: str) -> str:
    """The package of a world that has gevent's names."""
    return "manyhands.gevent" if name == "manyhands" else name
