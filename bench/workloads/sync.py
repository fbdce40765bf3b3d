"""Locks and their kin in one process."""

from __future__ import annotations

from time import perf_counter
from types import SimpleNamespace

from bench.workloads import run_threads, workload
from bench.workloads.locks import acquire_release, enter, notify, round_trips, set_clear, wait

UNCONTENDED = 50_000
TURNS = 1_000
ROUNDS = 150


def _new(new) -> tuple[int, float]:
    count = 10_000
    begin = perf_counter()
    for _ in range(count):
        new()
    return count, perf_counter() - begin


@workload("sync: Lock acquire+release", "pair", "Lock")
def lock(of: SimpleNamespace) -> tuple[int, float]:
    return acquire_release(of.Lock(), UNCONTENDED)


@workload("sync: Lock with", "pair", "Lock")
def lock_with(of: SimpleNamespace) -> tuple[int, float]:
    return enter(of.Lock(), UNCONTENDED)


@workload("sync: RLock acquire+release", "pair", "RLock")
def rlock(of: SimpleNamespace) -> tuple[int, float]:
    return acquire_release(of.RLock(), UNCONTENDED)


@workload("sync: RLock with", "pair", "RLock")
def rlock_with(of: SimpleNamespace) -> tuple[int, float]:
    return enter(of.RLock(), UNCONTENDED)


@workload("sync: Semaphore acquire+release", "pair", "Semaphore")
def semaphore(of: SimpleNamespace) -> tuple[int, float]:
    return acquire_release(of.Semaphore(), UNCONTENDED)


@workload("sync: Semaphore with", "pair", "Semaphore")
def semaphore_with(of: SimpleNamespace) -> tuple[int, float]:
    return enter(of.Semaphore(), UNCONTENDED)


@workload("sync: Semaphore, round trip between threads", "round trip", "Semaphore")
def semaphore_ping_pong(of: SimpleNamespace) -> tuple[int, float]:
    return TURNS, run_threads(*round_trips(of.Semaphore(0), of.Semaphore(0), TURNS))


@workload("sync: Event set+clear", "pair", "Event")
def event_set_clear(of: SimpleNamespace) -> tuple[int, float]:
    return set_clear(of.Event(), UNCONTENDED)


@workload("sync: Event wait when set", "wait", "Event")
def event_wait(of: SimpleNamespace) -> tuple[int, float]:
    return wait(of.Event(), UNCONTENDED)


@workload("sync: Event new", "object", "Event")
def event_new(of: SimpleNamespace) -> tuple[int, float]:
    return _new(of.Event)


@workload("sync: Condition with+notify", "notice", "Condition")
def condition_notify(of: SimpleNamespace) -> tuple[int, float]:
    return notify(of.Condition(), UNCONTENDED)


@workload("sync: Condition, turns between two threads", "turn", "Condition")
def condition_turns(of: SimpleNamespace) -> tuple[int, float]:
    condition = of.Condition()
    turn = [0]

    def take_turns(mine: int) -> None:
        for _ in range(TURNS):
            with condition:
                while turn[0] != mine:
                    condition.wait()
                turn[0] = 1 - mine
                condition.notify()

    return 2 * TURNS, run_threads(lambda: take_turns(0), lambda: take_turns(1))


@workload("sync: Barrier of 4 threads", "round", "Barrier")
def barrier(of: SimpleNamespace) -> tuple[int, float]:
    meeting = of.Barrier(4)

    def meet() -> None:
        for _ in range(ROUNDS):
            meeting.wait()

    return ROUNDS, run_threads(*[meet] * 4)


@workload("sync: Lock contended by 4 threads", "pair", "Lock")
def lock_contended(of: SimpleNamespace) -> tuple[int, float]:
    lock = of.Lock()
    count = 20_000

    def work() -> None:
        for _ in range(count):
            with lock:
                pass

    return 4 * count, run_threads(*[work] * 4)
