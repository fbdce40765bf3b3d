"""Barrier."""

from __future__ import annotations

import pytest
from support import OURS, Engine, Hand, alarm, until


class Interruption(Exception):
    """Raised by a signal handler or an action."""


def interrupt() -> None:
    raise Interruption


def test_all_parties_pass_together_and_each_gets_another_number(engine: Engine) -> None:
    barrier = engine.threading.Barrier(3)
    hands = [Hand(barrier.wait).blocks(), Hand(barrier.wait).blocks()]
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 2, False)
    hands.append(Hand(barrier.wait))
    assert sorted(hand.result() for hand in hands) == [0, 1, 2]
    assert barrier.n_waiting == 0


def test_it_serves_one_round_after_the_other(engine: Engine) -> None:
    barrier = engine.threading.Barrier(4)
    rounds: list[list[int]] = [[] for _ in range(50)]

    def go_round() -> None:
        for row in rounds:
            row.append(barrier.wait())

    for hand in [Hand(go_round) for _ in range(4)]:
        hand.result()
    assert [sorted(row) for row in rounds] == [[0, 1, 2, 3]] * 50


def test_one_party_never_waits(engine: Engine) -> None:
    assert [engine.threading.Barrier(1).wait() for _ in range(3)] == [0, 0, 0]


def test_the_action_runs_once_a_round_before_anybody_passes(engine: Engine) -> None:
    log: list[str] = []
    barrier = engine.threading.Barrier(2, lambda: log.append("action"))

    def go() -> None:
        barrier.wait()
        log.append("passed")

    hand = Hand(go).blocks()
    go()
    hand.result()
    assert log == ["action", "passed", "passed"]


def test_an_action_that_raises_breaks_it(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2, interrupt)
    hand = Hand(barrier.wait).blocks()
    with pytest.raises(Interruption):
        barrier.wait()
    with pytest.raises(engine.threading.BrokenBarrierError):
        hand.result()
    assert barrier.broken


def test_a_timeout_breaks_it_for_all(engine: Engine) -> None:
    barrier = engine.threading.Barrier(3)
    hand = Hand(barrier.wait).blocks()
    with pytest.raises(engine.threading.BrokenBarrierError):
        barrier.wait(0.01)
    with pytest.raises(engine.threading.BrokenBarrierError):
        hand.result()
    with pytest.raises(engine.threading.BrokenBarrierError):
        barrier.wait()


def test_the_timeout_of_the_constructor_is_the_default(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2, timeout=0.01)
    with pytest.raises(engine.threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    hand = Hand(barrier.wait, 20).blocks()
    barrier.wait()
    hand.result()


def test_abort_breaks_it(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2)
    hand = Hand(barrier.wait).blocks()
    barrier.abort()
    with pytest.raises(engine.threading.BrokenBarrierError):
        hand.result()
    assert barrier.broken


def test_reset_sends_those_who_wait_away_and_makes_it_new(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2)
    hand = Hand(barrier.wait).blocks()
    barrier.reset()
    with pytest.raises(engine.threading.BrokenBarrierError):
        hand.result()
    assert not barrier.broken
    hand = Hand(barrier.wait).blocks()
    barrier.wait()
    hand.result()


def test_reset_mends_a_broken_one(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2)
    barrier.abort()
    barrier.reset()
    assert not barrier.broken


def test_reset_while_nobody_waits_does_nothing(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2)
    barrier.reset()
    assert (barrier.broken, barrier.n_waiting) == (False, 0)


def test_the_action_may_use_the_barrier() -> None:
    """Ours only: the stdlib's is not reentrant, and hangs."""
    barrier = OURS.threading.Barrier(2, lambda: barrier.abort())
    hand = Hand(barrier.wait).blocks()
    with pytest.raises(OURS.threading.BrokenBarrierError):
        barrier.wait()
    with pytest.raises(OURS.threading.BrokenBarrierError):
        hand.result()


def test_who_leaves_because_of_an_exception_does_not_break_it(engine: Engine) -> None:
    barrier = engine.threading.Barrier(3)
    hand = Hand(barrier.wait).blocks()
    with alarm(interrupt), pytest.raises(Interruption):
        barrier.wait()
    assert (barrier.broken, barrier.n_waiting) == (False, 1)
    other = Hand(barrier.wait)
    until(lambda: barrier.n_waiting == 2)
    barrier.wait()
    hand.result()
    other.result()


def test_what_cannot_be_set_is_not(engine: Engine) -> None:
    barrier = engine.threading.Barrier(2)
    for name in ("parties", "n_waiting", "broken"):
        with pytest.raises(AttributeError):
            setattr(barrier, name, 1)
