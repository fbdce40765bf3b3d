"""Ctrl-C and other signals end, or do not end, each of the waits for shared locks."""

from __future__ import annotations

import multiprocessing as stdlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_locks import SHORT, Stop, child_of, end, signal_soon
from support import PATIENCE, Hand, alarm, run_script


class Obstacle:
    """Something that the main thread can wait for in vain, and what must be true afterwards."""

    def __init__(self, mp: Any) -> None:
        self.mp = mp
        self.wait: Callable[..., Any]

    def close(self) -> None:
        pass


class HeldLock(Obstacle):
    def __init__(self, mp: Any, kind: str = "Lock", method: str = "acquire") -> None:
        self.lock = getattr(mp, kind)()
        self.lock.acquire()
        self.wait = getattr(self.lock, method)

    def close(self) -> None:
        assert self.lock.acquire(False) is False
        self.lock.release()
        assert self.lock.acquire(False) is True


class OwnedLock(Obstacle):
    """Owned by a thread that ends when told so."""

    def __init__(self, mp: Any) -> None:
        self.lock, self.end = mp.RLock(), threading.Event()
        there = threading.Event()

        def own() -> None:
            with self.lock:
                there.set()
                self.end.wait(PATIENCE)

        self.owner = Hand(own)
        there.wait(PATIENCE)
        self.wait = self.lock.acquire

    def close(self) -> None:
        assert not self.lock._semlock._is_mine()
        self.end.set()
        self.owner.result()
        assert self.lock.acquire(False)


class UnsetEvent(Obstacle):
    def __init__(self, mp: Any) -> None:
        self.event = mp.Event()
        self.wait = self.event.wait

    def close(self) -> None:
        self.event.set()
        assert self.event.wait()


class Notice(Obstacle):
    def __init__(self, mp: Any, kind: str = "RLock") -> None:
        self.levels = 1 + (kind == "RLock")
        self.condition = mp.Condition(getattr(mp, kind)())
        for _ in range(self.levels):
            self.condition.acquire()
        self.wait = self.condition.wait

    def close(self) -> None:
        assert repr(self.condition).endswith(", 0)>")
        assert self.condition._lock._semlock._count() == self.levels, "it has its lock back"


class Meeting(Obstacle):
    def __init__(self, mp: Any) -> None:
        self.barrier = mp.Barrier(2)
        self.wait = self.barrier.wait

    def close(self) -> None:
        assert self.barrier.n_waiting == 0
        assert not self.barrier.broken
        hand = Hand(self.barrier.wait, PATIENCE)
        self.barrier.wait(PATIENCE)
        hand.result()


OBSTACLES: dict[str, Callable[[Any], Obstacle]] = {
    "Lock": HeldLock,
    "Lock.__enter__": lambda mp: HeldLock(mp, method="__enter__"),
    "RLock": OwnedLock,
    "Semaphore": lambda mp: HeldLock(mp, "Semaphore"),
    "BoundedSemaphore": lambda mp: HeldLock(mp, "BoundedSemaphore"),
    "Event": UnsetEvent,
    "Condition": Notice,
    "Condition of a Lock": lambda mp: Notice(mp, "Lock"),
    "Barrier": Meeting,
}


@pytest.fixture(params=OBSTACLES.values(), ids=OBSTACLES)
def obstacle(mp: Any, request: pytest.FixtureRequest) -> Obstacle:
    made: Obstacle = request.param(mp)
    return made


@pytest.fixture
def on_signal() -> Iterator[Callable[[Callable[..., Any]], Any]]:
    """Sets the handler of SIGUSR1."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def stop(*_: Any) -> None:
    raise Stop


def test_a_handler_that_raises_ends_the_wait(obstacle: Obstacle) -> None:
    with pytest.raises(Stop), alarm(stop):
        obstacle.wait()
    obstacle.close()


def test_it_ends_a_wait_with_a_timeout(obstacle: Obstacle) -> None:
    if obstacle.wait.__name__ == "__enter__":
        pytest.skip("has no timeout")
    timeout = {"timeout": PATIENCE}
    with pytest.raises(Stop), alarm(stop):
        obstacle.wait(**timeout)
    obstacle.close()


@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "Event"])
def test_a_handler_runs_while_its_thread_waits(mp: Any, kind: str, on_signal: Any) -> None:
    if kind == "Event" and mp is stdlib.get_context("fork"):
        pytest.skip("the standard library's waits for itself")
    shared = getattr(mp, kind)()
    give = shared.set if kind == "Event" else shared.release
    take = shared.wait if kind == "Event" else shared.acquire
    if kind != "Event":
        shared.acquire()
    with alarm(give):
        assert take() is True


def test_a_handler_that_returns_does_not_make_a_wait_shorter_or_longer(our: Any) -> None:
    lock, event, condition = our.Lock(), our.Event(), our.Condition()
    lock.acquire()
    with alarm(lambda: None, after=0.001, every=0.002) as ran:
        assert lock.acquire(True, SHORT) is False
        assert event.wait(SHORT) is False
        with condition:
            assert condition.wait(SHORT) is False
    assert ran


def held_by_a_child(our: Any, lock: Any) -> Any:
    """A child that takes the lock as soon as it can, says so with SIGUSR1, and keeps it."""
    parent = os.getpid()

    def hold() -> None:
        lock.acquire()
        os.kill(parent, signal.SIGUSR1)
        signal.pause()

    return child_of(our, hold)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_condition_that_is_interrupted_twice_gives_up_its_lock(
    our: Any, kind: str, on_signal: Any
) -> None:
    condition = our.Condition(getattr(our, kind)())
    timers: list[threading.Timer] = []

    def handle(*_: Any) -> None:
        if not timers:
            timers.append(signal_soon())
        raise Stop(len(timers))

    on_signal(handle)
    condition.acquire()
    child = held_by_a_child(our, condition._lock)
    with pytest.raises(Stop) as raised:
        condition.wait()
    assert isinstance(raised.value.__context__, Stop), "the first one is not forgotten"
    assert not condition._lock._semlock._is_mine()
    timers[0].join()
    end(child)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_condition_that_is_interrupted_once_waits_for_its_lock(
    our: Any, kind: str, on_signal: Any
) -> None:
    condition, parent = our.Condition(getattr(our, kind)()), os.getpid()
    interrupted = our.Event()

    def handle(*_: Any) -> None:
        interrupted.set()
        raise Stop

    def hold_for_a_moment() -> None:
        with condition:
            os.kill(parent, signal.SIGUSR1)
            assert interrupted.wait(PATIENCE)

    on_signal(handle)
    condition.acquire()
    child = child_of(our, hold_for_a_moment)
    with pytest.raises(Stop):
        condition.wait()
    assert condition._lock._semlock._is_mine()
    condition.release()
    child.join(PATIENCE)
    assert child.exitcode == 0
    child.close()


def test_a_notice_for_one_who_is_interrupted_goes_to_another(our: Any, on_signal: Any) -> None:
    condition, there = our.Condition(our.Lock()), our.Semaphore(0)
    on_signal(stop)
    parent = os.getpid()

    def interrupt_and_notify() -> None:
        assert there.acquire(timeout=PATIENCE)
        with condition:
            os.kill(parent, signal.SIGUSR1)
            condition.notify()

    def wait() -> object:
        with condition:
            there.release()
            return condition.wait(PATIENCE)

    def wait_on() -> None:
        while True:
            condition.wait(PATIENCE)

    for _ in range(20):
        with condition:
            child = child_of(our, interrupt_and_notify)
            hand = Hand(wait)
            with pytest.raises(Stop):
                wait_on()
        child.join(PATIENCE)
        assert child.exitcode == 0
        child.close()
        with condition:
            condition.notify()
        assert hand.result() is True


CTRL_C = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from manyhands import multiprocessing
from support import until_blocked

kind = sys.argv[1]
context = multiprocessing.get_context(sys.argv[2])


def wait(there, shared):
    if kind == "Condition":
        shared.acquire()
    there.release()
    try:
        shared.acquire() if hasattr(shared, "acquire") and kind != "Condition" else shared.wait()
    except KeyboardInterrupt:
        os.write(1, b"interrupted\\n")
        if kind == "Condition":
            shared.release()


def interrupt(*pids):
    for pid in (os.getpid(), *pids):
        until_blocked(pid, pid)
    os.killpg(0, signal.SIGINT)


if __name__ == "__main__":
    there = context.Semaphore(0)
    shared = getattr(context, kind)(*{{"Semaphore": [0], "Barrier": [9]}}.get(kind, []))
    if kind == "Lock":
        shared.acquire()
    children = [context.Process(target=wait, args=(there, shared)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in children:
        there.acquire()
    threading.Thread(target=interrupt, args=[child.pid for child in children]).start()
    wait(there, shared)
    for child in children:
        child.join()
    print([child.exitcode for child in children])
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("kind", ["Lock", "Semaphore", "Event", "Condition", "Barrier"])
def test_ctrl_c_reaches_all_processes_of_a_program(kind: str, method: str, tmp_path: Any) -> None:
    script = tmp_path / "program.py"
    script.write_text(CTRL_C)
    told = run_script(
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], None, '__main__')",
        str(script),
        kind,
        method,
    )
    assert sorted(told.splitlines()) == ["[0, 0]", *["interrupted"] * 3]
