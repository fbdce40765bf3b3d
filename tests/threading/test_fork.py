"""os.fork() while other threads hold, or wait for, what the child goes on to use."""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support import OURS, Engine, Hand, alarm, in_fork, reap, until
from waits import WAITS, Wait


@contextmanager
def elsewhere(acquire: Callable[[], Any], release: Callable[[], Any]) -> Iterator[None]:
    """Another thread holds something; it lets it go at the end, in the parent only."""
    there, go = _thread.allocate_lock(), _thread.allocate_lock()
    there.acquire()
    go.acquire()

    def hold() -> None:
        acquire()
        there.release()
        go.acquire()
        release()

    hand = Hand(hold)
    there.acquire()
    yield
    go.release()
    hand.result()


def test_a_lock_held_by_another_thread_stays_held_and_can_be_released(engine: Engine) -> None:
    lock = engine.threading.Lock()

    def child() -> None:
        assert lock.locked()
        assert not lock.acquire(timeout=0.01)
        lock.release()
        assert lock.acquire(timeout=1)
        hand = Hand(lock.acquire).blocks()
        lock.release()
        assert hand.result()

    with elsewhere(lock.acquire, lock.release):
        in_fork(child)
        assert lock.locked()
    assert not lock.locked()


def test_an_rlock_held_by_another_thread_stays_held(engine: Engine) -> None:
    lock = engine.threading.RLock()

    def child() -> None:
        assert not lock.acquire(timeout=0.01)
        with pytest.raises(RuntimeError):
            lock.release()
        lock._at_fork_reinit()
        with lock, lock:
            assert not Hand(lock.acquire, False).result()
        assert Hand(lock.acquire, False).result()

    with elsewhere(lock.acquire, lock.release):
        in_fork(child)
    assert lock.acquire(timeout=1)
    lock.release()


def test_what_the_forking_thread_holds_is_its_own_in_the_child(engine: Engine) -> None:
    lock, rlock = engine.threading.Lock(), engine.threading.RLock()
    condition = engine.threading.Condition()

    def child() -> None:
        lock.release()
        rlock.release()
        rlock.release()
        condition.notify_all()
        assert not condition.wait(0.01)
        condition.release()
        for free in (lock, rlock, condition):
            assert Hand(free.acquire, False).result()

    with lock, rlock, rlock, condition:
        in_fork(child)
        assert condition._is_owned()


@pytest.mark.parametrize("kind", WAITS, ids=lambda kind: kind.__name__)
def test_who_waits_in_the_parent_is_not_in_the_child_and_goes_on_in_the_parent(
    engine: Engine, kind: type[Wait]
) -> None:
    wait = kind(engine)
    hand = Hand(wait.wait).blocks()

    def child() -> None:
        if not engine.is_ours:
            return
        # Those who wait now are served; nothing goes to the threads of the parent.
        if kind.__name__ in ("RLockAcquire", "ThreadJoin"):
            return  # the thread that would have to act is not in the child
        if kind.__name__ == "BarrierWait":
            wait.barrier = OURS.threading.Barrier(2)
        new = [Hand(wait.wait).blocks()]
        wait.satisfy()
        for one in new:
            assert one.result()

    in_fork(child)
    wait.satisfy()
    assert hand.result()
    wait.clean_up()


def test_timeouts_work_in_the_child(engine: Engine) -> None:
    waits = [kind(engine) for kind in WAITS if kind.timed and kind.__name__ != "ThreadJoin"]

    def child() -> None:
        for wait in waits:
            start = time.monotonic()
            assert not wait.wait(0.01)
            assert time.monotonic() - start >= 0.01

    in_fork(child)
    for wait in waits:
        wait.clean_up()


def test_notify_goes_to_the_childs_own_waiters() -> None:
    """Ours only: the stdlib's notifies the parent's threads, which are not there."""
    condition = OURS.threading.Condition()

    def wait() -> Any:
        with condition:
            return condition.wait()

    hands = [Hand(wait).blocks() for _ in range(3)]

    def child() -> None:
        assert repr(condition).endswith(", 0)>")
        with condition:
            condition.notify()
        new = [Hand(wait).blocks() for _ in range(2)]
        assert repr(condition).endswith(", 2)>")
        with condition:
            condition.notify()
        until(lambda: [hand.is_alive for hand in new].count(False) == 1)
        with condition:
            condition.notify()
        for hand in new:
            assert hand.result()

    in_fork(child)
    with condition:
        condition.notify_all()
    for hand in hands:
        hand.result()


def test_signal_handlers_run_in_the_child_of_another_thread() -> None:
    """The thread that forks is the child's main thread, on which handlers run."""
    event = OURS.threading.Event()
    started: list[bool] = []

    def child() -> None:
        started.append(True)
        import signal

        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert event.wait()

    # The handler has to be there before, since only the main thread can set one.
    with alarm(event.set, after=0):
        Hand(in_fork, child).result()
    assert not event.is_set()


def test_a_handler_may_fork_while_its_thread_waits(engine: Engine) -> None:
    """Both processes go on with the wait."""
    queue = engine.queue.SimpleQueue()
    parent = os.getpid()
    children: list[int] = []

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            _thread.start_new_thread(put_soon, ("in the child",))
        else:
            children.append(pid)
            _thread.start_new_thread(put_soon, ("in the parent",))

    def put_soon(item: str) -> None:
        time.sleep(0.02)
        queue.put(item)

    status = 1
    try:
        with alarm(fork):
            got = queue.get()
        status = 0 if got == "in the child" else 2
    finally:
        if os.getpid() != parent:
            os._exit(status)
    assert got == "in the parent"
    reap(children[0])


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "open"])
def test_a_queue_with_items_is_copied(engine: Engine, opened: bool) -> None:
    for kind in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"):
        queue = getattr(engine.queue, kind)()
        if opened and kind != "SimpleQueue":
            assert queue.mutex
        for item in (1, 2):
            queue.put(item)

        def child(queue: Any = queue) -> None:
            assert {queue.get(), queue.get()} == {1, 2}
            queue.put(3)
            assert queue.get() == 3

        in_fork(child)
        assert queue.qsize() == 2


def test_a_queue_can_be_used_though_others_were_using_it() -> None:
    """Ours only: the stdlib's mutex may be held by a thread that is not in the child."""
    queues = [OURS.queue.Queue(2), OURS.queue.PriorityQueue(2), OURS.queue.SimpleQueue()]
    semaphore = OURS.threading.Semaphore(2)
    stop = False

    def hammer(call: Callable[[], Any]) -> None:
        while not stop:
            call()

    def pass_through(queue: Any) -> None:
        queue.put(1)
        queue.get()

    def enter() -> None:
        with semaphore:
            pass

    calls = [lambda queue=queue: pass_through(queue) for queue in queues] + [enter]
    hands = [Hand(hammer, call) for call in calls * 2]

    def child() -> None:
        for queue in queues:
            while queue.qsize():
                queue.get_nowait()
            hand = Hand(queue.get).blocks()
            queue.put(1)
            assert hand.result() == 1
        # At most two were inside, and are not any more.
        semaphore.release(2)
        hand = Hand(semaphore.acquire)
        assert hand.result()

    try:
        for _ in range(6):
            in_fork(child)
    finally:
        stop = True
        for hand in hands:
            hand.result()


def test_a_priority_queue_whose_items_another_thread_was_comparing() -> None:
    """Ours only, as above: nothing has moved, so the child can go on."""
    inside, go = _thread.allocate_lock(), _thread.allocate_lock()
    inside.acquire()
    go.acquire()

    class Item:
        wait = True

        def __lt__(self, other: Any) -> bool:
            if Item.wait:
                inside.release()
                go.acquire()
            return False

    queue = OURS.queue.PriorityQueue()
    first = Item()
    queue.put(first)
    hand = Hand(queue.put, Item())
    inside.acquire()

    def child() -> None:
        Item.wait = False
        queue.put(Item(), timeout=5)
        assert queue.qsize() == 2
        assert queue.get(timeout=5) is first

    try:
        in_fork(child)
    finally:
        go.release()
        hand.result()
    assert queue.qsize() == 2


def test_at_fork_reinit_frees(engine: Engine) -> None:
    """What libraries call in the child; it is there wherever the stdlib has it."""
    for make in (
        engine.threading.Lock,
        engine.threading.RLock,
        lambda: engine.threading.Condition(engine.threading.Lock()),
        engine.threading.Condition,
    ):
        lock = make()
        lock.acquire()
        lock._at_fork_reinit()
        assert lock.acquire(False)
        lock.release()
    event = engine.threading.Event()
    event.set()
    event._at_fork_reinit()
    assert event.is_set()


def test_hooks_of_the_program_can_reinitialise_in_the_child() -> None:
    lock = OURS.threading.Lock()
    os.register_at_fork(after_in_child=lock._at_fork_reinit)
    with elsewhere(lock.acquire, lock.release):
        in_fork(lambda: lock.acquire(timeout=1) or pytest.fail("it is not free"))
