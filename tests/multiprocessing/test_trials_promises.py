"""What users of the standard library suffer from, and do not here: queues, locks, memory."""

from __future__ import annotations

import pickle
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from manyhands import _native, multiprocessing
from manyhands.multiprocessing import shared_memory
from manyhands.multiprocessing.synchronize import AbandonedLockWarning
from manyhands.queue import ShutDown
from support import PATIENCE, has_ended, program, until, until_blocked

METHODS = ["fork", "spawn", "forkserver"]

statistics = _native.multiprocessing.arena_statistics


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def end(*processes: Any, code: int = 0) -> None:
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == code
        process.close()


def get_for_ever(items: Any) -> None:
    while True:
        items.get()


def put_for_ever(items: Any) -> None:
    while True:
        items.put(b"x" * 1000)


@pytest.mark.parametrize("target", [get_for_ever, put_for_ever])
@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_a_process_that_is_ended_inside_a_queue_does_not_stop_it(
    context: Any, target: Any, way: str
) -> None:
    items = context.Queue(2)
    victim = context.Process(target=target, args=(items,))
    victim.start()
    # It waits for an item, or for room.
    until(lambda: target is get_for_ever or items.full())
    until_blocked(victim.pid, victim.pid)
    getattr(victim, way)()
    end(victim, code=-(signal.SIGKILL if way == "kill" else signal.SIGTERM))
    while not items.empty():
        assert items.get(timeout=PATIENCE) == b"x" * 1000
    for number in range(10):
        items.put(number, timeout=PATIENCE)
        assert items.get(timeout=PATIENCE) == number


def put_much(items: Any) -> None:
    for number in range(100):
        items.put((number, b"x" * 100_000))


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_a_child_can_be_joined_before_what_it_put_is_got(context: Any, name: str) -> None:
    items = getattr(context, name)()
    child = context.Process(target=put_much, args=(items,))
    child.start()
    end(child)
    for number in range(100):
        assert items.get() == (number, b"x" * 100_000)
    assert items.empty()


class Unwilling:
    """Cannot be pickled, for a reason of its own."""

    def __reduce__(self) -> Any:
        raise ZeroDivisionError("not me")


def deep() -> Any:
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: lambda: None, (AttributeError, pickle.PicklingError)),
        (threading.Lock, TypeError),
        (Unwilling, ZeroDivisionError),
        (lambda: [b"x" * 100_000, Unwilling()], ZeroDivisionError),
        (deep, RecursionError),
    ],
)
def test_what_cannot_be_pickled_is_told_where_it_is_put_and_the_queue_goes_on(
    name: str, make: Any, error: Any
) -> None:
    items = getattr(multiprocessing, name)()
    items.put("before")
    blocks = statistics()["blocks"]
    with pytest.raises(error):
        items.put(make())
    items.put("after")
    assert [items.get(), items.get()] == ["before", "after"]
    assert items.empty()
    assert statistics()["blocks"] == blocks
    if name == "JoinableQueue":
        items.task_done()
        items.task_done()
        items.join()


def until_shut_down(items: Any, told: Any) -> None:
    try:
        while True:
            items.get()
    except ShutDown:
        told.release()


def test_shutdown_ends_those_who_wait_in_all_processes(context: Any) -> None:
    items, told = context.Queue(), context.Semaphore(0)
    children = [context.Process(target=until_shut_down, args=(items, told)) for _ in range(2)]
    for child in children:
        child.start()
    items.put(1)
    until(items.empty)
    items.shutdown()
    for _ in children:
        assert told.acquire(timeout=PATIENCE)
    with pytest.raises(ShutDown):
        items.put(1)
    end(*children)


def test_sizes_are_exact_also_where_others_put(context: Any) -> None:
    items = context.Queue(100)
    child = context.Process(target=put_much, args=(items,))
    child.start()
    end(child)
    assert (items.qsize(), items.full(), items.empty()) == (100, True, False)
    with pytest.raises(queue.Full):
        items.put_nowait(0)
    for left in reversed(range(100)):
        items.get_nowait()
        assert (items.qsize(), items.full(), items.empty()) == (left, False, left == 0)
    with pytest.raises(queue.Empty):
        items.get_nowait()


def hold(lock: Any, there: Any) -> None:
    lock.acquire()
    there.release()
    threading.Event().wait()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_whose_holder_is_killed_passes_on_under_each_start_method(
    context: Any, kind: str
) -> None:
    lock, there = getattr(context, kind)(), context.Semaphore(0)
    holder = context.Process(target=hold, args=(lock, there))
    holder.start()
    assert there.acquire(timeout=PATIENCE)
    assert not lock.acquire(timeout=0.01)
    holder.kill()
    with pytest.warns(AbandonedLockWarning, match=f"process {holder.pid}"):
        assert lock.acquire(timeout=PATIENCE)
    assert lock.abandoned
    lock.release()
    end(holder, code=-signal.SIGKILL)


def wait_at(condition: Any, there: Any) -> None:
    with condition:
        there.release()
        condition.wait()


def test_notify_all_does_not_wait_for_the_dead(context: Any) -> None:
    condition, there = context.Condition(), context.Semaphore(0)
    victims = [context.Process(target=wait_at, args=(condition, there)) for _ in range(3)]
    for victim in victims:
        victim.start()
    for _ in victims:
        assert there.acquire(timeout=PATIENCE)
    with condition:
        victims[0].kill()
        victims[1].kill()
        end(*victims[:2], code=-signal.SIGKILL)
        condition.notify_all()
    end(victims[2])


def test_an_event_may_be_set_and_cleared_in_a_signal_handler_at_any_moment() -> None:
    event = multiprocessing.Event()
    ran = []

    def handle(number: int, frame: Any) -> None:
        event.set()
        event.clear()
        event.is_set()
        ran.append(1)

    old = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(ran) < 300:
            event.set()
            event.is_set()
            event.clear()
            event.wait(0.0001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


#: Prints the numbers of its children, if it has put nothing into /dev/shm.
NAMELESS = """
import os, threading
from manyhands import multiprocessing as mp
before = set(os.listdir("/dev/shm"))
kinds = "Lock RLock Semaphore BoundedSemaphore Event Condition Queue JoinableQueue SimpleQueue"
things = [getattr(mp, kind)() for kind in kinds.split() for _ in range(50)]
things += [mp.Barrier(2), mp.Value("i"), mp.Array("d", 1000), mp.RawArray("b", 1 << 20)]
empty = mp.Queue()
for thing in things:
    if hasattr(thing, "put"):
        thing.put(b"x" * 10_000)
children = [mp.Process(target=empty.get, daemon=True) for _ in range(3)]
for child in children:
    child.start()
names = set(os.listdir("/dev/shm")) - before
assert not names, names
print(*(child.pid for child in children), flush=True)
threading.Event().wait()
"""


def test_a_killed_program_leaves_no_name_of_its_locks_and_queues_and_no_daemon() -> None:
    with program(NAMELESS) as (running, pids):
        assert len(pids) == 3, "nothing had a name in the first place"
        running.kill()
        until(lambda: all(map(has_ended, pids)), "their end")


def attach(name: str) -> None:
    shared_memory.SharedMemory(name).close()


def test_who_only_attaches_to_memory_does_not_take_it_away(context: Any) -> None:
    memory = shared_memory.SharedMemory(create=True, size=100)
    try:
        for _ in range(2):
            child = context.Process(target=attach, args=(memory.name,))
            child.start()
            end(child)
        memory.buf[0] = 7
        other = shared_memory.SharedMemory(memory.name)
        assert other.buf[0] == 7
        other.close()
    finally:
        memory.close()
        memory.unlink()


def test_no_false_warning_of_leaked_memory() -> None:
    script = (
        "from multiprocessing import shared_memory as stock\n"
        "from manyhands import multiprocessing\n"
        "from manyhands.multiprocessing import shared_memory\n"
        "mine = shared_memory.SharedMemory(create=True, size=100)\n"
        "context = multiprocessing.get_context('spawn')\n"
        "child = context.Process(target=shared_memory.SharedMemory, args=(mine.name,))\n"
        "child.start(); child.join(); assert child.exitcode == 0\n"
        "mine.close(); mine.unlink()\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


PRELOADED = """
import sys
from manyhands import multiprocessing
lock = multiprocessing.Lock()
"""

ZYGOTE_DIES = """
import os, signal, sys
sys.path.insert(0, os.getcwd())
from manyhands import multiprocessing
from manyhands.multiprocessing import _nursery

def hold(ready, go, there):
    import preloaded
    ready.set()
    go.wait()
    there.put(preloaded.lock.acquire(False))

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded"])
    ready, go, there = context.Event(), context.Event(), context.Queue()
    process = context.Process(target=hold, args=(ready, go, there))
    process.start()
    ready.wait()
    zygote = _nursery.nursery("forkserver").pid
    os.kill(zygote, signal.SIGKILL)
    while os.path.exists(f"/proc/{zygote}"):
        pass
    others = [multiprocessing.Lock() for _ in range(100)]
    for lock in others:
        lock.acquire()
    go.set()
    print(there.get())
    process.join()
"""


def test_what_a_zygote_has_made_outlives_it(tmp_path: Path) -> None:
    (tmp_path / "preloaded.py").write_text(PRELOADED)
    (tmp_path / "main.py").write_text(ZYGOTE_DIES)
    run = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert run.stdout == "True\n", run.stderr
