"""Shared locks in the hands of children, of each start method, and of nobody else."""

from __future__ import annotations

import copy
import multiprocessing as stdlib
import os
import pickle
import threading
from typing import Any

import pytest
from manyhands import multiprocessing as ours
from manyhands.multiprocessing import synchronize
from shared_locks import ALL, finish
from support import PATIENCE, in_fork, run_script

METHODS = ["fork", "forkserver", "spawn"]

pytestmark = pytest.mark.patience(180)


def start(mp: Any, target: Any, *args: Any) -> Any:
    child = mp.Process(target=target, args=args)
    child.start()
    return child


def everything(mp: Any) -> list[Any]:
    return [*(getattr(mp, kind)() for kind in ALL), mp.Barrier(2)]


def use_all(
    lock: Any, rlock: Any, semaphore: Any, bounded: Any, event: Any, condition: Any, barrier: Any
) -> None:
    for one in (lock, rlock, semaphore, bounded):
        for _ in range(100):
            with one:
                pass
    barrier.wait(PATIENCE)
    with condition:
        if event.is_set():
            condition.notify()
        else:
            event.set()
            assert condition.wait(PATIENCE)
    barrier.wait(PATIENCE)
    assert event.wait(PATIENCE)


@pytest.mark.parametrize("method", METHODS)
def test_children_of_all_start_methods_share_them(method: str) -> None:
    mp = ours.get_context(method)
    shared = everything(mp)
    child = start(mp, use_all, *shared)
    use_all(*shared)
    finish(child)
    assert repr(shared[0]) == "<Lock(owner=None)>"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("maker", METHODS)
def test_it_does_not_matter_which_context_made_them(maker: str, method: str) -> None:
    shared = everything(ours.get_context(maker))
    child = start(ours.get_context(method), use_all, *shared)
    use_all(*shared)
    finish(child)


@pytest.mark.parametrize("method", METHODS)
def test_children_that_the_stdlib_starts_share_them(method: str) -> None:
    shared = everything(ours.get_context(method))
    child = start(stdlib.get_context(method), use_all, *shared)
    use_all(*shared)
    finish(child)


def test_a_plain_fork_shares_them(our: Any) -> None:
    shared = everything(our)
    hand = threading.Thread(target=use_all, args=shared)

    def body() -> None:
        use_all(*shared)

    hand.start()
    in_fork(body)
    hand.join(PATIENCE)
    assert not hand.is_alive()


def test_a_forked_child_does_not_hold_what_its_parent_does(mp: Any) -> None:
    lock, rlock, condition = mp.Lock(), mp.RLock(), mp.Condition()
    lock.acquire(), rlock.acquire(), condition.acquire()

    def body() -> None:
        assert not lock.acquire(False)
        assert not rlock.acquire(False)
        assert not condition.acquire(False)
        assert rlock._semlock._count() == 0
        with pytest.raises(AssertionError):
            rlock.release()

    finish(start(mp, body))
    assert rlock._semlock._count() == 1
    rlock.release(), condition.release(), lock.release()


def test_a_fork_in_the_middle_of_a_wait_is_harmless(our: Any) -> None:
    """While other threads wait, a child is forked, which uses the same objects."""
    condition, event, lock, barrier = our.Condition(), our.Event(), our.Lock(), our.Barrier(2)
    lock.acquire()

    def wait() -> None:
        with condition:
            assert condition.wait(PATIENCE)

    def meet() -> None:
        barrier.wait(PATIENCE)

    def take() -> None:
        with lock:
            assert event.wait(PATIENCE)

    threads = [threading.Thread(target=target) for target in (wait, meet, take)]
    for thread in threads:
        thread.start()
    while condition._waiters() < 1 or barrier.n_waiting < 1:
        pass

    def body() -> None:
        with condition:
            condition.notify()
        barrier.wait(PATIENCE)
        lock.release()
        event.set()

    in_fork(body)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("kind", ALL)
def test_only_children_can_be_handed_one(mp: Any, kind: str) -> None:
    shared = getattr(mp, kind)()
    with pytest.raises(RuntimeError, match="should only be shared between processes through"):
        pickle.dumps(shared)


@pytest.mark.parametrize("kind", [*ALL, "Barrier"])
def test_there_are_no_copies_either(our: Any, kind: str) -> None:
    shared = getattr(our, kind)(*[1] * (kind == "Barrier"))
    for stranger in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(RuntimeError, match="should only be shared between processes through"):
            stranger(shared)


def test_a_queue_takes_none_either(our: Any) -> None:
    queue = our.Queue()
    with pytest.raises(RuntimeError, match="Lock objects should only be shared between processes"):
        queue.put(our.Lock())
    queue.close()
    queue.join_thread()


def use_bunch(bunch: dict[str, Any]) -> None:
    lock, condition = bunch["lock"], bunch["condition"]
    assert bunch["again"][0] is lock
    assert condition._lock is lock
    assert condition.acquire(True, PATIENCE)
    assert not lock.acquire(False)
    condition.notify()
    lock.release()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_one_object_stays_one(method: str) -> None:
    mp = ours.get_context(method)
    lock = mp.Lock()
    condition = mp.Condition(lock)
    lock.acquire()
    child = start(mp, use_bunch, {"lock": lock, "again": [lock], "condition": condition})
    assert condition.wait(PATIENCE)
    lock.release()
    finish(child)


class Named(synchronize.Lock):
    """A lock with something of its own, which a child gets, too."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def __getstate__(self) -> Any:
        return super().__getstate__(), self.name

    def __setstate__(self, state: Any) -> None:
        state, self.name = state
        super().__setstate__(state)


def use_named(lock: Any, expected: str) -> None:
    assert (type(lock), lock.name) == (Named, expected)
    lock.release()


@pytest.mark.parametrize("method", METHODS)
def test_objects_of_subclasses_can_be_handed_on(method: str) -> None:
    mp = ours.get_context(method)
    lock = Named("mine", ctx=mp)
    lock.acquire()
    child = start(mp, use_named, lock, "mine")
    assert lock.acquire(True, PATIENCE)
    finish(child)


def pass_on(method: str, depth: int, shared: list[Any]) -> None:
    if depth == 0:
        use_all(*shared)
    else:
        finish(start(ours.get_context(method), pass_on, method, depth - 1, shared))


@pytest.mark.parametrize("method", METHODS)
def test_grandchildren_share_them(method: str) -> None:
    mp = ours.get_context(method)
    shared = everything(mp)
    child = start(mp, pass_on, method, 2, shared)
    use_all(*shared)
    finish(child)


def make_and_leave(mp_method: str, conn: Any) -> None:
    """Makes a lock, hands it to a child, and is gone before that one uses it."""
    mp = ours.get_context(mp_method)
    lock, event = mp.Lock(), mp.Event()
    mp.Process(target=use_after_the_maker, args=(lock, event, conn), daemon=False).start()
    event.set()
    conn.close()
    os._exit(0)


def use_after_the_maker(lock: Any, event: Any, conn: Any) -> None:
    conn.recv()
    for _ in range(100):
        with lock:
            pass
    conn.send((event.is_set(), repr(lock)))
    conn.close()


@pytest.mark.parametrize("method", METHODS)
def test_they_outlive_who_made_them(method: str) -> None:
    mp = ours.get_context(method)
    conn, theirs = mp.Pipe()
    child = start(mp, make_and_leave, method, theirs)
    finish(child)
    theirs.close()
    conn.send("he is gone")
    assert conn.poll(PATIENCE)
    assert conn.recv() == (True, "<Lock(owner=None)>")
    conn.close()


def test_a_program_with_locks_at_its_top_level_ends_well() -> None:
    program = (
        "from manyhands import multiprocessing as m\n"
        "lock, condition, barrier = m.Lock(), m.Condition(), m.Barrier(2)\n"
        "lock.acquire(), condition.acquire()\n"
        "print('end')\n"
    )
    assert run_script(program) == "end\n"
