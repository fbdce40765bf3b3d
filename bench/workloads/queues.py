"""Queues in one process."""

from __future__ import annotations

import random
from time import perf_counter
from types import SimpleNamespace

from bench.workloads import run_threads, workload

ONE_THREAD = 50_000
BETWEEN_THREADS = 40_000
ROUND_TRIPS = 1_000


def _put_get(queue) -> tuple[int, float]:
    put, get = queue.put, queue.get
    begin = perf_counter()
    for _ in range(ONE_THREAD):
        put(None)
        get()
    return ONE_THREAD, perf_counter() - begin


@workload("queue: Queue put+get, one thread", "item", "Queue")
def queue_one_thread(of: SimpleNamespace) -> tuple[int, float]:
    return _put_get(of.Queue())


@workload("queue: LifoQueue put+get, one thread", "item", "LifoQueue")
def lifo_one_thread(of: SimpleNamespace) -> tuple[int, float]:
    return _put_get(of.LifoQueue())


@workload("queue: SimpleQueue put+get, one thread", "item", "SimpleQueue")
def simple_one_thread(of: SimpleNamespace) -> tuple[int, float]:
    return _put_get(of.SimpleQueue())


@workload("queue: Queue new", "object", "Queue")
def queue_new(of: SimpleNamespace) -> tuple[int, float]:
    new, count = of.Queue, 3_000
    begin = perf_counter()
    for _ in range(count):
        new()
    return count, perf_counter() - begin


def _through(queue, producers: int, consumers: int) -> tuple[int, float]:
    def produce() -> None:
        for _ in range(BETWEEN_THREADS // producers):
            queue.put(None)

    def consume() -> None:
        for _ in range(BETWEEN_THREADS // consumers):
            queue.get()

    seconds = run_threads(*[produce] * producers, *[consume] * consumers)
    return BETWEEN_THREADS, seconds


@workload("queue: Queue, 1 producer 1 consumer", "item", "Queue")
def queue_1p1c(of: SimpleNamespace) -> tuple[int, float]:
    return _through(of.Queue(), 1, 1)


@workload("queue: Queue, 4 producers 4 consumers", "item", "Queue")
def queue_4p4c(of: SimpleNamespace) -> tuple[int, float]:
    return _through(of.Queue(), 4, 4)


@workload("queue: Queue(100), 1 producer 1 consumer", "item", "Queue")
def bounded_1p1c(of: SimpleNamespace) -> tuple[int, float]:
    return _through(of.Queue(100), 1, 1)


@workload("queue: SimpleQueue, 1 producer 1 consumer", "item", "SimpleQueue")
def simple_1p1c(of: SimpleNamespace) -> tuple[int, float]:
    return _through(of.SimpleQueue(), 1, 1)


@workload("queue: Queue, round trip between threads", "round trip", "Queue")
def queue_ping_pong(of: SimpleNamespace) -> tuple[int, float]:
    there, back = of.Queue(), of.Queue()

    def answer() -> None:
        for _ in range(ROUND_TRIPS):
            back.put(there.get())

    def ask() -> None:
        for _ in range(ROUND_TRIPS):
            there.put(None)
            back.get()

    return ROUND_TRIPS, run_threads(ask, answer)


def _fill_and_drain(queue, items: list) -> tuple[int, float]:
    begin = perf_counter()
    for item in items:
        queue.put(item)
    for _ in items:
        queue.get()
    return len(items), perf_counter() - begin


@workload("queue: PriorityQueue fill+drain 100k integers", "item", "PriorityQueue")
def priority_integers(of: SimpleNamespace) -> tuple[int, float]:
    numbers = random.Random(1)
    return _fill_and_drain(of.PriorityQueue(), [numbers.randrange(10**9) for _ in range(100_000)])


@workload("queue: PriorityQueue fill+drain 100k (priority, number)", "item", "PriorityQueue")
def priority_tuples(of: SimpleNamespace) -> tuple[int, float]:
    numbers = random.Random(2)
    items = [(numbers.randrange(100), number) for number in range(100_000)]
    return _fill_and_drain(of.PriorityQueue(), items)


@workload("queue: PriorityQueue fill+drain 20k strings", "item", "PriorityQueue")
def priority_strings(of: SimpleNamespace) -> tuple[int, float]:
    numbers = random.Random(3)
    return _fill_and_drain(of.PriorityQueue(), [str(numbers.random()) for _ in range(20_000)])
