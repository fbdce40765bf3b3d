"""Locks and their kin between processes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from types import SimpleNamespace

from bench.workloads import run_processes, workload
from bench.workloads.locks import acquire_release, enter, notify, round_trips, set_clear, wait

UNCONTENDED = 30_000
CONTENDED = 20_000
TURNS = 1_000
ROUNDS = 150
OBJECTS = 500

NEEDS = ("multiprocessing",)


def _new(of: SimpleNamespace, kind: str, *args: object):
    return getattr(of.multiprocessing.get_context("fork"), kind)(*args)


def _uncontended(kind: str) -> None:
    @workload(f"mp sync: {kind} acquire+release", "pair", *NEEDS)
    def pair(of: SimpleNamespace) -> tuple[int, float]:
        return acquire_release(_new(of, kind), UNCONTENDED)

    @workload(f"mp sync: {kind} with", "pair", *NEEDS)
    def entered(of: SimpleNamespace) -> tuple[int, float]:
        return enter(_new(of, kind), UNCONTENDED)


for _kind in ("Lock", "RLock", "Semaphore"):
    _uncontended(_kind)


@workload("mp sync: Lock new", "object", *NEEDS)
def lock_new(of: SimpleNamespace) -> tuple[int, float]:
    make = of.multiprocessing.get_context("fork").Lock
    begin = perf_counter()
    for _ in range(OBJECTS):
        make()
    return OBJECTS, perf_counter() - begin


@workload("mp sync: Event is_set", "call", *NEEDS)
def event_is_set(of: SimpleNamespace) -> tuple[int, float]:
    is_set = _new(of, "Event").is_set
    begin = perf_counter()
    for _ in range(UNCONTENDED):
        is_set()
    return UNCONTENDED, perf_counter() - begin


@workload("mp sync: Event set+clear", "pair", *NEEDS)
def event_set_clear(of: SimpleNamespace) -> tuple[int, float]:
    return set_clear(_new(of, "Event"), UNCONTENDED)


@workload("mp sync: Event wait when set", "wait", *NEEDS)
def event_wait(of: SimpleNamespace) -> tuple[int, float]:
    return wait(_new(of, "Event"), UNCONTENDED)


@workload("mp sync: Condition with+notify", "notice", *NEEDS)
def condition_notify(of: SimpleNamespace) -> tuple[int, float]:
    return notify(_new(of, "Condition"), UNCONTENDED)


@workload("mp sync: Condition, turns between two processes", "turn", *NEEDS)
def condition_turns(of: SimpleNamespace) -> tuple[int, float]:
    condition = _new(of, "Condition")
    turn = of.multiprocessing.get_context("fork").RawValue("i", 0)

    def take_turns(mine: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(TURNS):
                with condition:
                    while turn.value != mine:
                        condition.wait()
                    turn.value = 1 - mine
                    condition.notify()

        return run

    return 2 * TURNS, run_processes(take_turns(0), take_turns(1))


@workload("mp sync: Barrier of 4 processes", "round", *NEEDS)
def barrier(of: SimpleNamespace) -> tuple[int, float]:
    meeting = _new(of, "Barrier", 4)

    def meet() -> None:
        for _ in range(ROUNDS):
            meeting.wait()

    return ROUNDS, run_processes(*[meet] * 4)


@workload("mp sync: Lock contended by 2 processes", "pair", *NEEDS)
def lock_contended(of: SimpleNamespace) -> tuple[int, float]:
    lock = _new(of, "Lock")

    def work() -> None:
        for _ in range(CONTENDED):
            with lock:
                pass

    return 2 * CONTENDED, run_processes(work, work)


@workload("mp sync: Semaphore, round trip between processes", "round trip", *NEEDS)
def semaphore_ping_pong(of: SimpleNamespace) -> tuple[int, float]:
    return TURNS, run_processes(
        *round_trips(_new(of, "Semaphore", 0), _new(of, "Semaphore", 0), TURNS)
    )


@workload("mp sync: Event, round trip between processes", "round trip", *NEEDS)
def event_ping_pong(of: SimpleNamespace) -> tuple[int, float]:
    there, back = _new(of, "Event"), _new(of, "Event")

    def ask() -> None:
        for _ in range(TURNS):
            there.set()
            back.wait()
            back.clear()

    def answer() -> None:
        for _ in range(TURNS):
            there.wait()
            there.clear()
            back.set()

    return TURNS, run_processes(ask, answer)
