"""What processes do until they are killed, and the books that they keep of it in shared memory.

A module, so that also those find it who do not inherit it.
"""

from __future__ import annotations

import array
import os
import random
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

from manyhands.multiprocessing.queues import ShutDown
from manyhands.multiprocessing.synchronize import AbandonedLockWarning

#: How many processes there can be in a round, and how many items one of them puts at most.
PAGES = 300
ITEMS = 20_000

#: The columns of the books: how many puts were begun and ended, how many gets.
BEGUN, PUT, ASKED, ANSWERED = range(4)

#: What stands on each side of what a lock protects.
FIRST, SECOND, INHERITED = range(3)


class Stage:
    """What the processes of a round share."""

    def __init__(self, context: Any, maxsize: int) -> None:
        self.queue = context.JoinableQueue(maxsize)
        self.silent = context.SimpleQueue()
        self.over = context.Event()
        self.lock, self.locked = context.Lock(), context.RawArray("q", 3)
        self.rlock, self.owned = context.RLock(), context.RawArray("q", 3)
        self.semaphore = context.Semaphore(0)
        self.flag = context.Event()
        self.kitchen, self.meals = context.Condition(), context.RawValue("q", 0)
        self.barrier = context.Barrier(2)
        self.books = context.RawArray("i", 4 * PAGES)
        self.seen = context.RawArray("B", PAGES * ITEMS)

    def end(self) -> None:
        """Lets everybody see that it is over."""
        self.over.set()
        self.queue.shutdown()
        with self.kitchen:
            self.kitchen.notify_all()
        self.flag.set()
        self.barrier.abort()
        for _ in range(50):
            self.semaphore.release()


def item(who: int, number: int) -> tuple[int, int, Any]:
    """The same whenever it is asked for."""
    kind = number % 50
    if kind == 7:
        return who, number, bytes([number % 251]) * 6000
    if kind == 23:
        return who, number, array.array("q", [number] * 20_000)
    return who, number, [str(number)] * (number % 9)


def produce(stage: Stage, who: int) -> None:
    column = 4 * who
    for number in range(ITEMS):
        while stage.queue.qsize() > 500 and not stage.over.is_set():
            time.sleep(0)
        stage.books[column + BEGUN] = number + 1
        try:
            stage.queue.put(item(who, number))
        except ShutDown:
            stage.books[column + BEGUN] = number
            return
        stage.books[column + PUT] = number + 1
    stage.over.wait()


def consume(stage: Stage, who: int) -> None:
    column, last = 4 * who, dict[int, int]()
    while True:
        stage.books[column + ASKED] += 1
        try:
            got = stage.queue.get()
        except ShutDown:
            stage.books[column + ANSWERED] += 1
            return
        note(stage, got)
        stage.queue.task_done()
        stage.books[column + ANSWERED] += 1
        assert last.get(got[0], -1) < got[1], "an item that is older than the one before"
        last[got[0]] = got[1]


def note(stage: Stage, got: Any) -> None:
    who, number, _ = got
    assert number < stage.books[4 * who + BEGUN], "an item that nobody has put"
    assert got == item(who, number), "an item that is torn"
    place = who * ITEMS + number
    assert stage.seen[place] == 0, "an item that came twice"
    stage.seen[place] = 1


def wait(stage: Stage, who: int) -> None:
    stage.silent.get()


def step(lock: Any, pair: Any) -> None:
    """Under the lock: adds one to both, after putting them right if somebody died in between."""
    if lock.abandoned:
        pair[INHERITED] += 1
        assert 0 <= pair[FIRST] - pair[SECOND] <= 1
        pair[SECOND] = pair[FIRST]
        lock.abandoned = False
    assert pair[FIRST] == pair[SECOND], "two have the lock"
    pair[FIRST] += 1
    pair[SECOND] += 1


def hold(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        with stage.lock:
            step(stage.lock, stage.locked)


def own(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        with stage.rlock, stage.rlock:
            step(stage.rlock, stage.owned)


def release(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        if stage.semaphore.get_value() < 20:
            stage.semaphore.release()
        else:
            time.sleep(0)


def acquire(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        stage.semaphore.acquire()


def switch(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        stage.flag.set()
        time.sleep(0)


def watch(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        stage.flag.wait()
        stage.flag.clear()
        if stage.over.is_set():
            # Whoever waits is to see that.
            stage.flag.set()


def cook(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        with stage.kitchen:
            inherit(stage)
            if stage.meals.value < 3:
                stage.meals.value += 1
                stage.kitchen.notify()
        time.sleep(0)


def eat(stage: Stage, who: int) -> None:
    with stage.kitchen:
        while not stage.over.is_set():
            inherit(stage)
            if stage.meals.value:
                stage.meals.value -= 1
            else:
                stage.kitchen.wait()


def inherit(stage: Stage) -> None:
    """A dead one may have cooked, and not come to tell anybody."""
    lock = stage.kitchen._lock
    if lock.abandoned:
        stage.kitchen.notify_all()
        lock.abandoned = False


def dance(stage: Stage, who: int) -> None:
    while not stage.over.is_set():
        try:
            stage.barrier.wait()
        except Exception:
            assert stage.over.is_set(), "nobody else breaks it"


def make(stage: Stage, who: int) -> None:
    """Makes things, and drops them."""
    from manyhands import multiprocessing

    chance, kept = random.Random(who), list[Any]()
    while not stage.over.is_set():
        queue = multiprocessing.Queue()
        queue.put(bytes(chance.randrange(30_000)))
        kept.append((queue, multiprocessing.Value("d", 1.0), multiprocessing.Lock()))
        if len(kept) > 5:
            kept.pop(chance.randrange(5))


ROLES: dict[str, Callable[[Stage, int], None]] = {
    role.__name__: role
    for role in (
        *(produce, consume, wait, hold, own, release, acquire, switch, watch, cook, eat),
        *(dance, make),
    )
}


def play(role: str, stage: Stage, who: int, patience: float) -> None:
    """Plays a role until it is over; ended by a signal should it hang."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, patience)
    warnings.simplefilter("ignore", AbandonedLockWarning)
    ROLES[role](stage, who)
    signal.setitimer(signal.ITIMER_REAL, 0)


def tell_when(go: Any, told: Any) -> None:
    """Says who it is, and lives until it may go."""
    told.put(os.getpid())
    go.wait()
