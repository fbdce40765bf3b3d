"""Lock, RLock, Semaphore, BoundedSemaphore: what one acquires and releases."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from support import Engine, Hand, until

KINDS = ["Lock", "RLock", "Semaphore", "BoundedSemaphore"]


@pytest.fixture(params=KINDS)
def lock(request: pytest.FixtureRequest, engine: Engine) -> Any:
    return getattr(engine.threading, request.param)()


def test_acquire_returns_whether_it_got_it(lock: Any) -> None:
    assert lock.acquire() is True
    assert Hand(lock.acquire, False).result() is False
    assert Hand(lock.acquire, timeout=0.001).result() is False
    assert lock.release() is None
    assert lock.acquire(blocking=False) is True
    lock.release()
    assert lock.acquire(True, 1) is True
    lock.release()


def test_with_acquires_and_releases(lock: Any) -> None:
    with lock as entered:
        assert entered is True
        assert not Hand(lock.acquire, False).result()
    assert lock.acquire(False)
    lock.release()


def test_with_releases_after_an_exception_and_lets_it_pass(lock: Any) -> None:
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert lock.acquire(False)
    lock.release()


def test_release_lets_one_who_waits_go_on(lock: Any) -> None:
    def use() -> str:
        with lock:
            return "done"

    lock.acquire()
    hands = [Hand(use).blocks() for _ in range(3)]
    lock.release()
    assert [hand.result() for hand in hands] == ["done"] * 3


def test_only_one_thread_is_inside(lock: Any) -> None:
    inside: list[int] = []

    def use() -> None:
        for number in range(300):
            with lock:
                inside.append(number)
                assert len(inside) == 1
                inside.pop()

    for hand in [Hand(use) for _ in range(6)]:
        hand.result()
    assert lock.acquire(False)
    lock.release()


class TestLock:
    def test_any_thread_may_release_it(self, engine: Engine) -> None:
        lock = engine.threading.Lock()
        lock.acquire()
        Hand(lock.release).result()
        assert not lock.locked()

    def test_it_is_not_reentrant(self, engine: Engine) -> None:
        lock = engine.threading.Lock()
        lock.acquire()
        assert not lock.acquire(False)
        assert not lock.acquire(timeout=0.01)

    def test_locked_tells(self, engine: Engine) -> None:
        lock = engine.threading.Lock()
        assert lock.locked() is False
        with lock:
            assert lock.locked() is True

    def test_releasing_a_free_one_is_an_error(self, engine: Engine) -> None:
        with pytest.raises(RuntimeError, match=r"^release unlocked lock$"):
            engine.threading.Lock().release()
        with pytest.raises(RuntimeError, match=r"^release unlocked lock$"):
            engine.threading.Lock().__exit__(None, None, None)

    def test_the_obsolete_names_work(self, engine: Engine) -> None:
        lock = engine.threading.Lock()
        assert lock.acquire_lock() is True
        assert lock.acquire_lock(False) is False
        assert lock.acquire_lock(timeout=0.001) is False
        assert lock.locked_lock() is True
        assert lock.release_lock() is None

    def test_it_can_be_handed_from_thread_to_thread(self, engine: Engine) -> None:
        ping, pong = engine.threading.Lock(), engine.threading.Lock()
        ping.acquire()
        pong.acquire()

        def answer() -> None:
            for _ in range(200):
                ping.acquire()
                pong.release()

        hand = Hand(answer)
        for _ in range(200):
            ping.release()
            pong.acquire()
        hand.result()


class TestRLock:
    def test_its_owner_acquires_it_again(self, engine: Engine) -> None:
        lock = engine.threading.RLock()
        for _ in range(3):
            assert lock.acquire() is True
        assert lock.acquire(timeout=0) is True
        for _ in range(3):
            lock.release()
            assert not Hand(lock.acquire, False).result()
        lock.release()
        assert lock.acquire(False)
        lock.release()

    def test_only_its_owner_releases_it(self, engine: Engine) -> None:
        lock = engine.threading.RLock()
        with pytest.raises(RuntimeError, match=r"^cannot release un-acquired lock$"):
            lock.release()
        with lock, pytest.raises(RuntimeError, match=r"^cannot release un-acquired lock$"):
            Hand(lock.release).result()

    def test_who_owns_it_is_known(self, engine: Engine) -> None:
        lock = engine.threading.RLock()
        assert not lock._is_owned()
        with lock:
            assert lock._is_owned()
            assert not Hand(lock._is_owned).result()

    def test_its_state_can_be_saved_and_restored(self, engine: Engine) -> None:
        lock = engine.threading.RLock()
        lock.acquire()
        lock.acquire()
        state = lock._release_save()
        assert Hand(lock.acquire, False).result()

        lock._at_fork_reinit()
        lock._acquire_restore(state)
        lock.release()
        lock.release()
        with pytest.raises(RuntimeError):
            lock._release_save()

    def test_arguments_of_the_constructor_are_ignored(self, engine: Engine) -> None:
        if sys.version_info >= (3, 13):
            with pytest.warns(DeprecationWarning, match="assing arguments to RLock is deprecated"):
                engine.threading.RLock(1, name="two")
        else:
            engine.threading.RLock(1, name="two")

    def test_the_thread_that_held_it_may_end(self, engine: Engine) -> None:
        lock = engine.threading.RLock()
        Hand(lock.acquire).result()
        assert not lock.acquire(timeout=0.01)
        lock._at_fork_reinit()
        assert lock.acquire(False)


class TestSemaphore:
    @pytest.fixture(params=["Semaphore", "BoundedSemaphore"])
    def make(self, request: pytest.FixtureRequest, engine: Engine) -> Any:
        return getattr(engine.threading, request.param)

    def test_it_counts(self, make: Any) -> None:
        semaphore = make(3)
        assert [semaphore.acquire(False) for _ in range(4)] == [True] * 3 + [False]
        semaphore.release()
        assert semaphore.acquire(False)

    def test_it_starts_with_one(self, make: Any) -> None:
        semaphore = make()
        assert [semaphore.acquire(False) for _ in range(2)] == [True, False]

    def test_it_may_start_with_none(self, make: Any) -> None:
        assert not make(0).acquire(timeout=0.001)

    def test_less_than_none_is_an_error(self, make: Any) -> None:
        with pytest.raises(ValueError, match=r"^semaphore initial value must be >= 0$"):
            make(-1)
        with pytest.raises(ValueError, match="must be >= 0"):
            make(value=-1)

    def test_any_thread_may_release_it(self, make: Any) -> None:
        semaphore = make(1)
        semaphore.acquire()
        Hand(semaphore.release).result()
        assert semaphore.acquire(False)

    def test_release_of_many_wakes_as_many(self, engine: Engine) -> None:
        semaphore = engine.threading.Semaphore(0)
        hands = [Hand(semaphore.acquire).blocks() for _ in range(4)]
        semaphore.release(3)
        until(lambda: [hand.is_alive for hand in hands].count(False) == 3)
        semaphore.release(n=1)
        assert [hand.result() for hand in hands] == [True] * 4
        assert not semaphore.acquire(False)

    @pytest.mark.parametrize("n", [0, -1])
    def test_release_of_none_is_an_error(self, make: Any, n: int) -> None:
        with pytest.raises(ValueError, match=r"^n must be one or more$"):
            make(1).release(n)

    def test_a_bounded_one_does_not_exceed_its_first_value(self, engine: Engine) -> None:
        semaphore = engine.threading.BoundedSemaphore(2)
        message = "^Semaphore released too many times$"
        with pytest.raises(ValueError, match=message):
            semaphore.release()
        semaphore.acquire()
        with pytest.raises(ValueError, match=message):
            semaphore.release(2)
        semaphore.release()
        assert semaphore._value == 2

    def test_a_bounded_one_is_a_semaphore(self, engine: Engine) -> None:
        assert issubclass(engine.threading.BoundedSemaphore, engine.threading.Semaphore)

    def test_a_timeout_for_a_call_that_does_not_block_is_an_error(self, make: Any) -> None:
        with pytest.raises(ValueError, match=r"^can't specify timeout for non-blocking acquire$"):
            make().acquire(False, 1)

    def test_a_negative_timeout_does_not_wait(self, make: Any) -> None:
        assert make(1).acquire(timeout=-1) is True
        assert make(0).acquire(timeout=-5) is False


class TestEvent:
    def test_it_is_set_and_cleared(self, engine: Engine) -> None:
        event = engine.threading.Event()
        assert event.is_set() is False
        assert event.set() is None
        event.set()
        assert event.is_set() is True
        assert event.clear() is None
        assert event.is_set() is False

    def test_all_who_wait_go_on_when_it_is_set(self, engine: Engine) -> None:
        event = engine.threading.Event()
        hands = [Hand(event.wait).blocks() for _ in range(4)]
        event.set()
        assert [hand.result() for hand in hands] == [True] * 4

    def test_who_waits_goes_on_though_it_is_cleared_at_once(self, engine: Engine) -> None:
        event = engine.threading.Event()
        hands = [Hand(event.wait).blocks() for _ in range(4)]
        event.set()
        event.clear()
        assert [hand.result() for hand in hands] == [True] * 4
        assert not event.wait(0)

    def test_a_set_one_does_not_make_wait(self, engine: Engine) -> None:
        event = engine.threading.Event()
        event.set()
        assert event.wait() is True
        assert event.wait(0) is True
        assert event.wait(timeout=-1) is True

    def test_the_time_may_be_up(self, engine: Engine) -> None:
        event = engine.threading.Event()
        assert event.wait(0.01) is False
        assert event.wait(timeout=0) is False
        assert event.wait(-1) is False
