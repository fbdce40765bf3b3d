"""Locks, semaphores, events between processes: what the standard library's do, ours do."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from shared_locks import LOCKS, SHORT, child_of, finish
from support import PATIENCE, Hand

#: Those of which one can be taken by one only.
MUTEXES = ("Lock", "RLock", "BoundedSemaphore")


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_is_taken_and_given_back(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    assert lock.acquire() is True
    assert lock.release() is None
    assert lock.acquire(True, 5) is True
    lock.release()
    assert lock.acquire(block=True, timeout=None) is True
    lock.release()
    with lock as entered:
        assert entered is True


@pytest.mark.parametrize("kind", LOCKS)
def test_a_with_block_gives_it_back_and_lets_exceptions_through(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018
    assert lock._semlock._get_value() == 1
    lock.acquire()
    assert not lock.__exit__(ValueError, ValueError(), None)
    assert lock._semlock._get_value() == 1


@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "BoundedSemaphore"])
def test_who_comes_second_waits_as_long_as_he_said(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    lock.acquire()
    assert lock.acquire(False) is False
    assert lock.acquire(False, 5) is False
    assert lock.acquire(False, None) is False
    for timeout in (SHORT, -1, 0, -1e300, False):
        assert lock.acquire(True, timeout) is False
        assert lock.acquire(timeout=timeout) is False
    hand = Hand(lock.acquire, True, 1e12).blocks()
    lock.release()
    assert hand.result() is True


@pytest.mark.parametrize("timeout", [1e300, float("inf"), 1 << 80])
def test_a_timeout_beyond_all_clocks_is_for_ever(our: Any, timeout: float) -> None:
    lock, event, condition = our.Lock(), our.Event(), our.Condition()
    lock.acquire()
    waits = [Hand(lock.acquire, True, timeout), Hand(event.wait, timeout)]

    def wait() -> object:
        with condition:
            return condition.wait(timeout)

    waits.append(Hand(wait))
    for hand in waits:
        hand.blocks()
    lock.release()
    event.set()
    with condition:
        condition.notify()
    assert all(hand.result() is True for hand in waits)


def test_an_rlock_is_its_owners(mp: Any) -> None:
    lock = mp.RLock()
    for _ in range(3):
        assert lock.acquire(False) is True
    assert Hand(lock.acquire, False).result() is False
    assert Hand(lock.acquire, True, SHORT).result() is False
    with pytest.raises(AssertionError, match="attempt to release recursive lock not owned"):
        Hand(lock.release).result()

    def try_in_child() -> None:
        assert lock.acquire(False) is False
        with pytest.raises(AssertionError, match="attempt to release recursive lock not owned"):
            lock.release()

    finish(child_of(mp, try_in_child))
    for _ in range(3):
        lock.release()
    with pytest.raises(AssertionError, match="attempt to release recursive lock not owned"):
        lock.release()


@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "BoundedSemaphore"])
def test_anybody_may_release(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    lock.acquire()
    Hand(lock.release).result()
    assert lock.acquire(False)
    finish(child_of(mp, lock.release))
    assert lock.acquire(False)


@pytest.mark.parametrize("kind", ["Lock", "BoundedSemaphore"])
def test_too_many_releases_are_refused(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        lock.release()
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        lock.__exit__(None, None, None)
    assert lock.acquire(False)
    assert not lock.acquire(False)


def test_semaphores_count(mp: Any) -> None:
    semaphore = mp.Semaphore(2)
    semaphore.release()
    assert semaphore.get_value() == 3
    assert [semaphore.acquire(False) for _ in range(4)] == [True] * 3 + [False]
    bounded = mp.BoundedSemaphore(2)
    assert [bounded.acquire(False) for _ in range(3)] == [True, True, False]
    bounded.release()
    bounded.release()
    with pytest.raises(ValueError, match="released too many times"):
        bounded.release()
    assert bounded.get_value() == 2
    assert mp.BoundedSemaphore(0).get_value() == 0


def test_a_semaphore_of_0_lets_as_many_go_on_as_it_is_released(mp: Any) -> None:
    semaphore = mp.Semaphore(0)
    children = [child_of(mp, semaphore.acquire, True, PATIENCE) for _ in range(3)]
    hands = [Hand(semaphore.acquire, True, PATIENCE) for _ in range(3)]
    for hand in hands:
        hand.blocks()
    for _ in range(6):
        semaphore.release()
    assert all(hand.result() for hand in hands)
    for child in children:
        finish(child)
    assert semaphore.get_value() == 0


@pytest.mark.parametrize("kind", [*MUTEXES, "Condition"])
def test_only_one_of_all_threads_of_all_processes_has_it(mp: Any, kind: str) -> None:
    lock, total = getattr(mp, kind)(), mp.RawValue("q", 0)

    def count() -> None:
        for number in range(300):
            if number % 3:
                with lock:
                    total.value += 1
            else:
                while not lock.acquire(True, 0.001):
                    pass
                total.value += 1
                lock.release()

    def count_twice() -> None:
        for hand in [Hand(count), Hand(count)]:
            hand.result()

    children = [child_of(mp, count_twice) for _ in range(2)]
    count_twice()
    for child in children:
        finish(child)
    assert total.value == 6 * 300


def test_an_event_is_set_and_cleared(mp: Any) -> None:
    event = mp.Event()
    assert event.is_set() is False
    for timeout in (0, -1, SHORT, False):
        assert event.wait(timeout) is False
    assert event.set() is None
    assert event.is_set() is True
    assert event.set() is None
    assert event.wait() is True
    assert event.wait(None) is True
    assert event.wait(0) is True
    assert event.wait(timeout=5) is True
    assert event.clear() is None
    assert event.clear() is None
    assert event.is_set() is False


def test_an_event_lets_processes_and_threads_go_on(mp: Any) -> None:
    event, there = mp.Event(), mp.Semaphore(0)

    def wait() -> None:
        there.release()
        assert event.wait(PATIENCE)

    children = [child_of(mp, wait) for _ in range(2)]
    hands = [Hand(wait) for _ in range(2)]
    for _ in range(4):
        assert there.acquire(timeout=PATIENCE)
    event.set()
    for child in children:
        finish(child)
    for hand in hands:
        hand.result()


def test_who_waits_goes_on_also_if_the_event_is_cleared_at_once(our: Any) -> None:
    event = our.Event()
    for _ in range(20):
        hands = [Hand(event.wait, PATIENCE) for _ in range(3)]
        for hand in hands:
            hand.blocks()
        event.set()
        event.clear()
        assert all(hand.result() for hand in hands)


@pytest.mark.parametrize("kind", LOCKS)
def test_what_a_thread_waits_for_another_process_gives(mp: Any, kind: str) -> None:
    lock = getattr(mp, kind)()
    held, go = mp.Event(), mp.Event()

    def hold() -> None:
        with lock:
            held.set()
            assert go.wait(PATIENCE)

    child = child_of(mp, hold)
    assert held.wait(PATIENCE)
    results: list[bool] = []

    def take() -> None:
        results.append(lock.acquire())
        lock.release()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert lock.acquire(False) is False
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [True, True]
    finish(child)


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore"])
def test_a_timeout_that_is_none_is_told_also_if_nobody_waits(mp: Any, kind: str) -> None:
    made = getattr(mp, kind)()
    with pytest.raises(TypeError):
        made.acquire(True, "soon")
