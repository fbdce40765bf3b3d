"""Barriers between processes: what the standard library's do, and ours the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import _native, multiprocessing
from shared_locks import SHORT, Stop, child_of, finish, stand_still_inside
from support import PATIENCE, Hand, until


def test_a_barrier_is_passed_together(mp: Any) -> None:
    barrier = mp.Barrier(3)
    numbers = mp.Array("i", 3)

    def meet() -> None:
        for _ in range(50):
            number = barrier.wait(PATIENCE)
            with numbers.get_lock():
                numbers[number] += 1

    children = [child_of(mp, meet) for _ in range(3)]
    for child in children:
        finish(child)
    assert list(numbers) == [50] * 3
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_nobody_is_a_round_ahead(mp: Any) -> None:
    barrier, rounds = mp.Barrier(4), mp.RawArray("i", 4)

    def meet(me: int) -> None:
        for number in range(40):
            rounds[me] = number
            barrier.wait(PATIENCE)
            assert all(number <= other <= number + 1 for other in rounds)
            barrier.wait(PATIENCE)
            assert all(number <= other <= number + 1 for other in rounds)

    def meet_twice() -> None:
        for hand in [Hand(meet, 2), Hand(meet, 3)]:
            hand.result()

    children = [child_of(mp, meet, 0), child_of(mp, meet, 1)]
    meet_twice()
    for child in children:
        finish(child)


def test_a_barrier_for_one_is_no_obstacle(mp: Any) -> None:
    barrier = mp.Barrier(1)
    assert [barrier.wait() for _ in range(5)] == [0] * 5
    assert barrier.wait(0) == 0
    assert barrier.wait(timeout=-1) == 0


@pytest.mark.parametrize("parties", [0, -1])
def test_a_barrier_that_nobody_can_pass_can_be_made(mp: Any, parties: int) -> None:
    barrier = mp.Barrier(parties)
    assert barrier.parties == parties
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(SHORT)
    assert barrier.broken
    barrier.reset()
    hand = Hand(barrier.wait).blocks()
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()


def test_a_barrier_calls_its_action_once(mp: Any) -> None:
    calls, seen = mp.Value("i", 0), mp.Semaphore(0)

    def act() -> None:
        calls.value += 1

    def meet() -> None:
        for number in range(20):
            barrier.wait(PATIENCE)
            assert calls.value == number + 1, "all pass after the action, and before the next"
            seen.release()
            barrier_between.wait(PATIENCE)

    barrier, barrier_between = mp.Barrier(2, act), mp.Barrier(2)
    child = child_of(mp, meet)
    meet()
    finish(child)
    assert seen.get_value() == 40


@pytest.mark.parametrize("timeout", [SHORT, 0, -1])
def test_a_timeout_breaks_a_barrier(mp: Any, timeout: float) -> None:
    barrier = mp.Barrier(3)
    child = child_of(mp, expect_broken, barrier)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(timeout)
    finish(child)
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
    assert barrier.n_waiting == 0


def expect_broken(barrier: Any) -> None:
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)


def test_the_timeout_of_the_barrier_is_the_default(mp: Any) -> None:
    barrier = mp.Barrier(2, timeout=SHORT)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    assert barrier.broken
    barrier.reset()
    hand = Hand(barrier.wait, PATIENCE).blocks()
    barrier.wait()
    hand.result()


def test_a_reset_barrier_is_as_new(mp: Any) -> None:
    barrier = mp.Barrier(2)
    for _ in range(3):
        barrier.abort()
        assert barrier.broken
        barrier.reset()
        assert not barrier.broken
        child = child_of(mp, barrier.wait, PATIENCE)
        barrier.wait(PATIENCE)
        finish(child)


@pytest.mark.parametrize("how", ["abort", "reset"])
def test_who_waits_fails_if_the_barrier_is(mp: Any, how: str) -> None:
    barrier = mp.Barrier(3)
    child, hand = child_of(mp, expect_broken, barrier), Hand(expect_broken, barrier)
    until(lambda: barrier.n_waiting == 2)
    getattr(barrier, how)()
    finish(child)
    hand.result()
    assert barrier.broken is (how == "abort")
    assert barrier.n_waiting == 0


def test_a_failing_action_breaks_the_barrier(mp: Any) -> None:
    def fail() -> None:
        raise Stop

    barrier = mp.Barrier(2, fail)
    child = child_of(mp, expect_broken, barrier)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(Stop):
        barrier.wait()
    assert barrier.broken
    finish(child)


def test_an_action_may_use_its_barrier(our: Any) -> None:
    barrier = our.Barrier(2, lambda: barrier.abort())
    hand = Hand(barrier.wait, PATIENCE)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE)
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()


def test_who_comes_while_the_action_runs_meets_in_the_next_round(our: Any) -> None:
    acting, go = our.Event(), our.Event()

    def act() -> None:
        acting.set()
        assert go.wait(PATIENCE)

    barrier = our.Barrier(2, act)
    first = [Hand(barrier.wait, PATIENCE) for _ in range(2)]
    assert acting.wait(PATIENCE)
    second = [Hand(barrier.wait, PATIENCE).blocks() for _ in range(2)]
    go.set()
    assert sorted(hand.result() for hand in first) == [0, 1]
    assert sorted(hand.result() for hand in second) == [0, 1]


def meets() -> None:
    NARROW.wait()


def counts() -> None:
    assert WIDE.n_waiting == 0


def resets() -> None:
    WIDE.reset()


def aborts() -> None:
    WIDE.abort()


def takes_stock() -> None:
    _native.multiprocessing.arena_statistics()


def makes_and_drops() -> None:
    multiprocessing.Lock()


def puts_and_gets() -> None:
    # Messages that have their own places in the memory that is shared.
    items = multiprocessing.SimpleQueue()
    items.put(LARGE)
    items.get()


NARROW, WIDE, LARGE = multiprocessing.Barrier(1), multiprocessing.Barrier(500), bytes(10_000)


@pytest.mark.parametrize(
    ("busy", "use"),
    [
        (meets, meets),
        (counts, counts),
        (counts, resets),
        (counts, aborts),
        (takes_stock, makes_and_drops),
        (takes_stock, puts_and_gets),
    ],
)
def test_a_process_that_stands_still_inside_stops_no_other_thread(
    busy: Callable[[], None], use: Callable[[], None]
) -> None:
    # Wherever it was stopped: what it had locked is waited for outside of the interpreter.
    kept = [multiprocessing.Lock() for _ in range(1000)]
    stand_still_inside(busy, use, 100)
    del kept
