"""Many threads do at random everything that can be done, for a while.

At the end, what must be true is: nothing hangs, each item that was put in came out once, each
counter is what it was, each lock is free.

`MANYHANDS_STRESS_SECONDS` says for how long (20; an hour's worth: 3600), `MANYHANDS_STRESS_SEED`
repeats the choices of a run, as far as the scheduler lets one.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import queue, threading, watch
from support import Hand, alarm

SECONDS = float(os.environ.get("MANYHANDS_STRESS_SECONDS", "20"))
SEED = int(os.environ.get("MANYHANDS_STRESS_SEED", str(time.time_ns() % 1_000_000)))
THREADS = 16

#: Each of the tests below gets its part of the time.
PARTS = {"everything": 0.55, "queues": 0.3, "signals": 0.15}


def patience(part: str) -> Any:
    return pytest.mark.patience(SECONDS * PARTS[part] * 2 + 120)


def short(chance: random.Random) -> float:
    """A timeout: mostly none or next to none."""
    return chance.choice([0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01])


class World:
    """What the threads share, and what must be true of it."""

    def __init__(self) -> None:
        self.locks = [threading.Lock() for _ in range(3)]
        self.rlocks = [threading.RLock() for _ in range(3)]
        self.inside = Counter[Any]()
        self.semaphores = [threading.BoundedSemaphore(count) for count in (1, 2, 5)]
        self.events = [threading.Event() for _ in range(2)]
        self.conditions = [threading.Condition(), threading.Condition(threading.Lock())]
        self.turns = [0, 0]
        self.barrier = threading.Barrier(4, timeout=0.01)

    def lock(self, chance: random.Random) -> None:
        number = chance.randrange(3)
        lock = self.locks[number]
        if lock.acquire(timeout=short(chance)) if chance.random() < 0.5 else lock.acquire():
            self.visit(("lock", number))
            lock.release()

    def rlock(self, chance: random.Random) -> None:
        number = chance.randrange(3)
        lock = self.rlocks[number]
        if not lock.acquire(timeout=short(chance)):
            return
        with lock, lock:
            self.visit(("rlock", number))
        lock.release()

    def visit(self, room: tuple[str, int]) -> None:
        """Nobody else is in the room."""
        self.inside[room] += 1
        if room[1] == 0:
            time.sleep(0)
        assert self.inside[room] == 1
        self.inside[room] -= 1

    def semaphore(self, chance: random.Random) -> None:
        semaphore = chance.choice(self.semaphores)
        if semaphore.acquire(timeout=short(chance)):
            if chance.random() < 0.3:
                time.sleep(0)
            semaphore.release()

    def event(self, chance: random.Random) -> None:
        event = chance.choice(self.events)
        chance.choice([event.set, event.clear, lambda: event.wait(short(chance)), event.is_set])()

    def condition(self, chance: random.Random) -> None:
        number = chance.randrange(2)
        condition = self.conditions[number]
        with condition:
            choice = chance.random()
            if choice < 0.4:
                self.turns[number] += 1
                condition.notify(chance.randrange(4))
            elif choice < 0.5:
                condition.notify_all()
            elif choice < 0.8:
                condition.wait(short(chance))
            else:
                turn = self.turns[number] + 1
                condition.wait_for(lambda: self.turns[number] >= turn, short(chance))

    def meet(self, chance: random.Random) -> None:
        try:
            if chance.random() < 0.05:
                chance.choice([self.barrier.reset, self.barrier.abort])()
            elif chance.random() < 0.3:
                self.barrier.wait(short(chance))
            else:
                self.barrier.wait()
        except threading.BrokenBarrierError:
            if chance.random() < 0.5:
                self.barrier.reset()

    def look(self, chance: random.Random) -> None:
        if chance.random() < 0.05:
            watch.snapshot()
            repr([self.locks, self.rlocks, self.semaphores, self.conditions, self.barrier])

    def check(self) -> None:
        for lock in (*self.locks, *self.rlocks):
            assert lock.acquire(False)
            lock.release()
        assert not self.inside - Counter()
        for semaphore, count in zip(self.semaphores, (1, 2, 5), strict=True):
            assert semaphore._value == count
        for condition in self.conditions:
            assert repr(condition).endswith(", 0)>")
            assert condition.acquire(False)
            condition.release()
        self.barrier.reset()
        assert self.barrier.n_waiting == 0


class Ledger:
    """Queues of all kinds, and what went in and came out."""

    def __init__(self, chance: random.Random) -> None:
        self.numbers = itertools.count()
        self.put_in: list[list[int]] = []
        self.taken: list[list[int]] = []
        self.queues: list[Any] = []
        for kind in (queue.Queue, queue.LifoQueue, queue.PriorityQueue):
            self.queues += [kind(), kind(1), kind(chance.randrange(2, 10))]
        self.queues.append(queue.SimpleQueue())

    def hand(self) -> Callable[[random.Random], None]:
        """An operation for one thread, with its own lists."""
        put_in: list[int] = []
        taken: list[int] = []
        self.put_in.append(put_in)
        self.taken.append(taken)

        def operate(chance: random.Random) -> None:
            some = chance.choice(self.queues)
            choice = chance.random()
            try:
                if choice < 0.48:
                    number = next(self.numbers)
                    item = number if chance.random() < 0.5 else float(number)
                    some.put(item, chance.random() < 0.7, short(chance))
                    put_in.append(number)
                elif choice < 0.96:
                    taken.append(int(some.get(chance.random() < 0.7, short(chance))))
                    if not isinstance(some, queue.SimpleQueue):
                        some.task_done()
                elif choice < 0.97:
                    some.maxsize = max(1, some.maxsize + chance.choice([-1, 1]))
                elif choice < 0.975:
                    names = ["mutex", "not_empty", "not_full", "all_tasks_done", "queue"]
                    getattr(some, chance.choice(names))
                elif choice < 0.98:
                    with some.mutex:
                        some.not_empty.notify()
                        some.not_full.notify()
                else:
                    assert some.qsize() >= 0
                    some.empty()
            except (queue.Empty, queue.Full):
                pass
            except AttributeError:
                assert isinstance(some, queue.SimpleQueue)
            # From time to time there are new queues: opened ones never close again.
            if chance.random() < 0.0005:
                self.renew(chance, taken)

        return operate

    def renew(self, chance: random.Random, taken: list[int]) -> None:
        place = chance.randrange(len(self.queues))
        old = self.queues[place]
        simple = isinstance(old, queue.SimpleQueue)
        self.queues[place] = type(old)() if simple else type(old)(old.maxsize)
        # Others may still be about to use it: end() looks there again.
        self.queues.append(old)
        if len(self.queues) > 60:
            self.empty(self.queues.pop(10), taken, again=True)

    def empty(self, some: Any, taken: list[int], *, again: bool = False) -> None:
        if again:
            self.queues.append(some)
        while True:
            try:
                taken.append(int(some.get_nowait()))
            except queue.Empty:
                return
            if not isinstance(some, queue.SimpleQueue):
                some.task_done()

    def check(self) -> None:
        rest: list[int] = []
        for some in self.queues:
            self.empty(some, rest)
            assert some.qsize() == 0
            if not isinstance(some, queue.SimpleQueue):
                assert some.unfinished_tasks == 0
                some.join()
        put_in = Counter(itertools.chain(*self.put_in))
        taken = Counter(itertools.chain(*self.taken, rest))
        assert put_in == taken, f"lost {put_in - taken}, doubled {taken - put_in}"


def work(
    seed: int, until: float, operations: list[Callable[[random.Random], None]]
) -> Callable[[], int]:
    def run() -> int:
        chance = random.Random(seed)
        count = 0
        while time.monotonic() < until:
            for _ in range(50):
                chance.choice(operations)(chance)
                count += 1
        return count

    return run


def one_round(seed: int, seconds: float) -> tuple[int, int]:
    world, ledger = World(), Ledger(random.Random(seed))
    shared = [
        world.lock,
        world.rlock,
        world.semaphore,
        world.event,
        world.condition,
        world.meet,
        world.look,
    ]
    until = time.monotonic() + seconds
    with alarm(lambda: None, after=0.01, every=0.003) as ran:
        hands = [
            Hand(work(seed + number, until, [*shared, *[ledger.hand()] * 5]))
            for number in range(THREADS)
        ]
        # The main thread, where the handlers run, waits in all ways too.
        count = work(seed - 1, until, [*shared, *[ledger.hand()] * 5])()
        count += sum(hand.result() for hand in hands)
    world.check()
    ledger.check()
    return count, len(ran)


@patience("everything")
def test_everything_at_once() -> None:
    print("seed", SEED)
    operations = signals = rounds = 0
    until = time.monotonic() + SECONDS * PARTS["everything"]
    while (left := until - time.monotonic()) > 0:
        # In rounds, so that the lists of an hour's items do not fill the memory.
        count, ran = one_round(SEED + 100 * rounds, min(left, 4))
        operations, signals, rounds = operations + count, signals + ran, rounds + 1
    print(rounds, "rounds,", operations, "operations,", signals, "signals")
    assert signals > 0


@patience("queues")
def test_queues_are_opened_at_random_moments() -> None:
    """Producers and consumers that wait as long as it takes, so that who is lost is seen."""
    print("seed", SEED)
    chance = random.Random(SEED)
    until = time.monotonic() + SECONDS * PARTS["queues"]
    rounds = 0
    while time.monotonic() < until:
        kind = chance.choice([queue.Queue, queue.LifoQueue, queue.PriorityQueue])
        some = kind(chance.choice([0, 1, 2, 7]))
        each, pairs = chance.randrange(1, 60), chance.randrange(1, THREADS // 2 + 1)

        def give(first: int, some: Any = some, each: int = each) -> None:
            for number in range(first, first + each):
                some.put(number, timeout=random.choice([None, 60]))

        def take(some: Any = some, each: int = each) -> list[int]:
            got = []
            for _ in range(each):
                got.append(some.get(timeout=random.choice([None, 60])))
                some.task_done()
            return got

        takers = [Hand(take) for _ in range(pairs)]
        givers = [Hand(give, 1000 * number) for number in range(pairs)]
        some.put(-1)
        joiner = Hand(some.join)
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.002)
        assert some.mutex
        last = some.get()
        some.task_done()
        got_all = Counter([last])
        for giver in givers:
            giver.result()
        # The main thread took one; the takers lack it, and get it from here.
        some.put(-2)
        for taker in takers:
            got_all.update(taker.result())
        rest = [some.get() for _ in range(some.qsize())]
        for _ in rest:
            some.task_done()
        joiner.result()
        got_all.update(rest)
        expected = Counter([-1, -2, *(1000 * p + n for p in range(pairs) for n in range(each))])
        assert got_all == expected
        rounds += 1
    print(rounds, "rounds")


@patience("signals")
def test_signal_handlers_use_everything() -> None:
    """Handlers put, set, release and notify while the main thread and others do the same."""
    until = time.monotonic() + SECONDS * PARTS["signals"]
    simple, counted, ranked = queue.SimpleQueue(), queue.Queue(), queue.PriorityQueue()
    event, semaphore = threading.Event(), threading.Semaphore(0)
    signals = 0

    def handler() -> None:
        nonlocal signals
        signals += 1
        for some in (simple, counted, ranked):
            some.put(1)
        event.set()
        semaphore.release()

    def others() -> int:
        count = 0
        while time.monotonic() < until:
            for some in (simple, counted, ranked):
                some.put(0)
            semaphore.release()
            event.set()
            count += 1
            time.sleep(0)
        return count

    taken = [0, 0, 0, 0]
    with alarm(handler, after=0.001, every=0.001):
        hands = [Hand(others) for _ in range(3)]
        while time.monotonic() < until:
            for place, some in enumerate((simple, counted, ranked)):
                some.get()
                taken[place] += 1
            semaphore.acquire()
            taken[3] += 1
            event.wait()
            event.clear()
        count = sum(hand.result() for hand in hands)
    left = [simple.qsize(), counted.qsize(), ranked.qsize(), semaphore._value]
    assert [a + b for a, b in zip(taken, left, strict=True)] == [count + signals] * 4
    assert signals > 0
