"""Conditions between processes: what the standard library's do, and ours the same."""

from __future__ import annotations

from typing import Any

import pytest
from shared_locks import SHORT, Stop, child_of, finish
from support import PATIENCE, Hand, until


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_condition_notifies(mp: Any, kind: str) -> None:
    condition = mp.Condition(getattr(mp, kind)())
    there, notified = mp.Semaphore(0), mp.Semaphore(0)

    def wait() -> None:
        with condition:
            there.release()
            assert condition.wait(PATIENCE) is True
            notified.release()

    children = [child_of(mp, wait) for _ in range(3)]
    for _ in children:
        assert there.acquire(timeout=PATIENCE)
    with condition:
        assert repr(condition).endswith(", 3)>")
        condition.notify()
    assert notified.acquire(timeout=PATIENCE)
    assert notified.get_value() == 0
    with condition:
        condition.notify_all()
    for child in children:
        finish(child)
    with condition:
        condition.notify(n=3)
        assert condition.wait(0) is False
        assert condition.wait(SHORT) is False


@pytest.mark.parametrize("count", [2, 5])
def test_threads_and_processes_wait_in_one_line(mp: Any, count: int) -> None:
    condition, there, woken = mp.Condition(), mp.Semaphore(0), mp.Semaphore(0)

    def wait() -> None:
        with condition:
            there.release()
            assert condition.wait(PATIENCE) is True
        woken.release()

    children = [child_of(mp, wait) for _ in range(2)]
    hands = [Hand(wait) for _ in range(3)]
    for _ in range(5):
        assert there.acquire(timeout=PATIENCE)
    with condition:
        condition.notify(count)
    for _ in range(count):
        assert woken.acquire(timeout=PATIENCE)
    assert woken.acquire(timeout=SHORT) is False
    with condition:
        condition.notify_all()
    for child in children:
        finish(child)
    for hand in hands:
        hand.result()


def test_a_condition_wants_its_lock(mp: Any) -> None:
    condition = mp.Condition()

    def refuses() -> None:
        with pytest.raises(AssertionError, match=r"must acquire.. condition before using wait"):
            condition.wait()
        with pytest.raises(AssertionError, match="lock is not owned"):
            condition.notify()
        with pytest.raises(AssertionError, match="lock is not owned"):
            condition.notify_all()

    refuses()
    with condition:
        Hand(refuses).result()
        finish(child_of(mp, refuses))
    with pytest.raises(AttributeError):
        mp.Condition(5)


def test_negative_timeouts_and_counts(mp: Any) -> None:
    condition = mp.Condition()
    with condition:
        assert condition.wait(-5) is False
        assert condition.wait_for(list, -5) == []
        assert condition.notify(0) is None
    there = mp.Semaphore(0)

    def wait() -> object:
        with condition:
            there.release()
            return condition.wait(PATIENCE)

    hand = Hand(wait)
    assert there.acquire(timeout=PATIENCE)
    with condition:
        condition.notify(0)
    hand.blocks()
    with condition:
        condition.notify(100)
    assert hand.result() is True


def test_a_wait_gives_up_all_levels_of_an_rlock(mp: Any) -> None:
    condition = mp.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition, condition:
        assert condition.acquire() is True
        hand = Hand(notify)
        assert condition.wait(PATIENCE) is True
        assert condition._lock._semlock._count() == 3
        condition.release()
    hand.result()


def test_who_timed_out_has_his_lock_back(mp: Any) -> None:
    condition = mp.Condition()
    with condition, condition:
        for timeout in (0, -1, SHORT):
            assert condition.wait(timeout) is False
            assert condition._lock._semlock._count() == 2
        assert Hand(condition.acquire, False).result() is False
    assert repr(condition).endswith(", 0)>")


def test_one_lock_serves_several_conditions(mp: Any) -> None:
    lock = mp.Lock()
    free, full = mp.Condition(lock), mp.Condition(lock)
    places = mp.RawArray("i", 2)

    def consume() -> None:
        for _ in range(100):
            with full:
                assert full.wait_for(lambda: places[0], PATIENCE)
                places[0] -= 1
                places[1] += 1
                free.notify()

    children = [child_of(mp, consume) for _ in range(2)]
    for _ in range(200):
        with free:
            assert free.wait_for(lambda: places[0] < 3, PATIENCE)
            places[0] += 1
            full.notify()
    for child in children:
        finish(child)
    assert list(places) == [0, 200]


def test_wait_for_returns_what_the_predicate_did(mp: Any) -> None:
    condition = mp.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition:
        assert condition.wait_for(lambda: "there") == "there"
        assert condition.wait_for(list, SHORT) == []
        assert condition.wait_for(predicate=list, timeout=0) == []
        results = iter([None, 7])
        hand = Hand(notify)
        assert condition.wait_for(lambda: next(results), PATIENCE) == 7
    hand.result()


def test_an_exception_of_the_predicate_leaves_the_lock_held(mp: Any) -> None:
    condition = mp.Condition()

    def fail() -> None:
        raise Stop

    with condition:
        with pytest.raises(Stop):
            condition.wait_for(fail)
        assert condition._lock._semlock._is_mine()


def test_wait_for_waits_by_the_method_of_a_subclass(mp: Any) -> None:
    timeouts = []

    class Loud(type(mp.Condition())):  # type: ignore[misc]
        def wait(self, timeout: float | None = None) -> bool:
            timeouts.append(timeout)
            return bool(super().wait(SHORT))

    condition, results = Loud(ctx=mp), iter([0, 0, 1])
    with condition:
        assert condition.wait_for(lambda: next(results)) == 1
    assert timeouts == [None, None]


def test_a_condition_takes_a_subclass_by_its_methods(mp: Any) -> None:
    calls = []

    class Loud(type(mp.Lock())):  # type: ignore[misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            take, give = self.acquire, self.release
            self.acquire = lambda *args: calls.append("acquire") or take(*args)
            self.release = lambda: calls.append("release") or give()

    condition = mp.Condition(Loud(ctx=mp))
    condition.acquire()
    assert condition.wait(0) is False
    condition.release()
    assert calls == ["acquire", "release", "acquire", "release"]


def test_a_condition_takes_a_lock_of_the_stdlib(our: Any) -> None:
    import multiprocessing as stdlib

    condition = our.Condition(stdlib.get_context("fork").RLock())

    def wait() -> None:
        with condition, condition:
            assert condition.wait(PATIENCE) is True
            assert condition._lock._semlock._count() == 2

    child = child_of(our, wait)
    until(lambda: condition._waiters() == 1)
    with condition:
        condition.notify()
    finish(child)


def test_more_wait_than_there_are_places_at_first(our: Any) -> None:
    condition = our.Condition()

    def wait() -> object:
        with condition:
            return condition.wait(PATIENCE)

    hands = [Hand(wait) for _ in range(80)]
    until(lambda: condition._waiters() == 80)
    with condition:
        condition.notify(30)
    until(lambda: condition._waiters() == 50)
    with condition:
        condition.notify_all()
    assert all(hand.result() is True for hand in hands)
    assert condition._waiters() == 0
