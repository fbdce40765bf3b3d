"""Locks and their kin in one process."""

from __future__ import annotations

from time import perf_counter
from types import SimpleNamespace

from bench.workloads import run_threads, workload

UNCONTENDED = 50_000
TURNS = 1_000
ROUNDS = 150


def _acquire_release(lock) -> tuple[int, float]:
    acquire, release = lock.acquire, lock.release
    begin = perf_counter()
    for _ in range(UNCONTENDED):
        acquire()
        release()
    return UNCONTENDED, perf_counter() - begin


def _with(lock) -> tuple[int, float]:
    begin = perf_counter()
    for _ in range(UNCONTENDED):
        with lock:
            pass
    return UNCONTENDED, perf_counter() - begin


def _new(new) -> tuple[int, float]:
    count = 10_000
    begin = perf_counter()
    for _ in range(count):
        new()
    return count, perf_counter() - begin


@workload("sync: Lock acquire+release", "pair", "Lock")
def lock(of: SimpleNamespace) -> tuple[int, float]:
    return _acquire_release(of.Lock())


@workload("sync: Lock with", "pair", "Lock")
def lock_with(of: SimpleNamespace) -> tuple[int, float]:
    return _with(of.Lock())


@workload("sync: RLock acquire+release", "pair", "RLock")
def rlock(of: SimpleNamespace) -> tuple[int, float]:
    return _acquire_release(of.RLock())


@workload("sync: RLock with", "pair", "RLock")
def rlock_with(of: SimpleNamespace) -> tuple[int, float]:
    return _with(of.RLock())


@workload("sync: Semaphore acquire+release", "pair", "Semaphore")
def semaphore(of: SimpleNamespace) -> tuple[int, float]:
    return _acquire_release(of.Semaphore())


@workload("sync: Semaphore with", "pair", "Semaphore")
def semaphore_with(of: SimpleNamespace) -> tuple[int, float]:
    return _with(of.Semaphore())


@workload("sync: Semaphore, round trip between threads", "round trip", "Semaphore")
def semaphore_ping_pong(of: SimpleNamespace) -> tuple[int, float]:
    there, back = of.Semaphore(0), of.Semaphore(0)

    def ask() -> None:
        for _ in range(TURNS):
            there.release()
            back.acquire()

    def answer() -> None:
        for _ in range(TURNS):
            there.acquire()
            back.release()

    return TURNS, run_threads(ask, answer)


@workload("sync: Event set+clear", "pair", "Event")
def event_set_clear(of: SimpleNamespace) -> tuple[int, float]:
    event = of.Event()
    set_, clear = event.set, event.clear
    begin = perf_counter()
    for _ in range(UNCONTENDED):
        set_()
        clear()
    return UNCONTENDED, perf_counter() - begin


@workload("sync: Event wait when set", "wait", "Event")
def event_wait(of: SimpleNamespace) -> tuple[int, float]:
    event = of.Event()
    event.set()
    wait = event.wait
    begin = perf_counter()
    for _ in range(UNCONTENDED):
        wait()
    return UNCONTENDED, perf_counter() - begin


@workload("sync: Event new", "object", "Event")
def event_new(of: SimpleNamespace) -> tuple[int, float]:
    return _new(of.Event)


@workload("sync: Condition with+notify", "notice", "Condition")
def condition_notify(of: SimpleNamespace) -> tuple[int, float]:
    condition = of.Condition()
    notify = condition.notify
    begin = perf_counter()
    for _ in range(UNCONTENDED):
        with condition:
            notify()
    return UNCONTENDED, perf_counter() - begin


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
