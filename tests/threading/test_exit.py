"""The interpreter ends while daemon threads wait, or work, with our objects."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import run_script

TESTS = str(Path(__file__).parents[1])

WAITING = """
import sys
sys.path.insert(0, sys.argv[1])
import support, waits
hands = []
for kind in waits.WAITS:
    wait = kind(support.OURS)
    if kind is not waits.ThreadJoin:
        hands.append(support.Hand(wait.wait))
        if kind.timed:
            hands.append(support.Hand(wait.wait, 1000))
for hand in hands[::5]:
    hand.blocks()
"""

WAKING = """
# Each of these is about to wake up, or just did, when the interpreter ends.
import sys, time
from manyhands import queue, threading
def poll(call):
    while True:
        call()
def get(q, seconds):
    try:
        q.get(timeout=seconds)
    except queue.Empty:
        pass
def wait(condition):
    with condition:
        condition.wait(0.0001)
lock = threading.Lock(); lock.acquire()
calls = [
    lambda e=threading.Event(): e.wait(0.0001),
    lambda s=threading.Semaphore(0): s.acquire(timeout=0.0001),
    lambda c=threading.Condition(): wait(c),
    lambda c=threading.Condition(threading.Lock()): wait(c),
    lambda: lock.acquire(timeout=0.0001),
    lambda q=queue.Queue(): get(q, 0.0001),
    lambda q=queue.SimpleQueue(): get(q, 0.0001),
]
for call in calls:
    threading.Thread(target=poll, args=(call,), daemon=True).start()
time.sleep(0.02)
"""

WORKING = """
import time
from manyhands import queue, threading
q, p, s, b = queue.Queue(3), queue.PriorityQueue(2), queue.SimpleQueue(), threading.Barrier(2)
c = threading.Condition()
o = queue.Queue(1); o.mutex
def forever(call):
    while True:
        call()
def turn():
    with c:
        c.notify()
        c.wait(0.001)
for call in (
    lambda: q.put(1), q.get, lambda: p.put(1), p.get, lambda: s.put(1), s.get, b.wait, b.wait,
    turn, turn, lambda: o.put(1), o.get,
):
    threading.Thread(target=forever, args=(call,), daemon=True).start()
time.sleep(0.02)
"""

#: Lets the daemon threads come back to an interpreter that is being taken down.
LINGER = """
import time
class Linger:
    def __del__(self, sleep=time.sleep):
        sleep(0.005)
linger = Linger()
"""

ATEXIT = """
# What runs after the main module has ended may still use everything.
import atexit, threading as stdlib
from manyhands import queue, threading
q = queue.Queue()
event = threading.Event()
def work():
    while (item := q.get()) is not None:
        q.task_done()
    event.set()
threading.Thread(target=work).start()
def end():
    q.put(1)
    q.join()
    q.put(None)
    assert event.wait(20)
    print("done")
stdlib._register_atexit(end)
class Late:
    def __del__(self):
        late = queue.SimpleQueue()
        late.put(self.lock.acquire(timeout=0.001))
        late.get()
late = Late()
late.lock = threading.Lock()
atexit.register(lambda: q.put(1))
"""


@pytest.mark.parametrize("source", [WAITING, WAKING, WORKING], ids=["waiting", "waking", "working"])
def test_daemon_threads_do_not_disturb_the_end(source: str, tmp_path: Path) -> None:
    for _ in range(4):
        run_script(source, TESTS, cwd=tmp_path)
        run_script(source + LINGER, TESTS, cwd=tmp_path)


def test_all_can_be_used_until_the_very_end(tmp_path: Path) -> None:
    assert run_script(ATEXIT, cwd=tmp_path) == "done\n"


def test_the_end_does_not_wait_for_helpers_of_ours(tmp_path: Path) -> None:
    source = (
        "import threading\n"
        "from manyhands import queue, threading as ours\n"
        "q = queue.Queue()\n"
        "ours.Event().wait(0.001)\n"
        "print(threading.active_count(), len(threading.enumerate()), ours.active_count())\n"
    )
    assert run_script(source, cwd=tmp_path) == "1 1 1\n"


def test_threads_that_are_no_daemons_are_waited_for(tmp_path: Path) -> None:
    source = (
        "from manyhands import queue, threading\n"
        "q = queue.Queue()\n"
        "threading.Thread(target=lambda: print('got', q.get())).start()\n"
        "threading.Timer(0.05, q.put, [1]).start()\n"
    )
    assert run_script(source, cwd=tmp_path) == "got 1\n"
