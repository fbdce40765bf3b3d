"""Processes that put, get, hold, wait, make are killed at random moments, and the zygote too.

They are replaced as they die. At the end of a round nobody is killed any more: the others have to
come to their end, the books to balance, and nothing may be left behind.

`MANYHANDS_KILL_SECONDS` says for how long (12; hours, if you like), `MANYHANDS_STRESS_SEED`
repeats the choices of a run, as far as the scheduler lets one. `-s` shows the counts.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import warnings
from collections import Counter
from typing import Any

import doomed
import pytest
from doomed import ITEMS, PAGES, ROLES, Stage
from manyhands import _native, multiprocessing
from manyhands.multiprocessing import _nursery
from manyhands.multiprocessing.queues import ShutDown
from manyhands.multiprocessing.synchronize import AbandonedLockWarning
from support import PATIENCE, until as wait_for

SECONDS = float(os.environ.get("MANYHANDS_KILL_SECONDS", "12"))
SEED = int(os.environ.get("MANYHANDS_STRESS_SEED", str(time.time_ns() % 1_000_000)))

METHODS = ["fork", "forkserver", "spawn"]

#: How many processes there are at a time.
HANDS = 6

#: How many are killed at least, however slow the machine is.
KILLS = 30

Hands = list[tuple[str, Any]]


def arena() -> tuple[int, int, int]:
    """What can be compared of the arena before and after."""
    now = _native.multiprocessing.arena_statistics()
    return now["blocks"], now["lingering"], now["participants"]


class Killer:
    """Kills the zygote of a start method at random moments, also while a child is being ordered."""

    def __init__(self, method: str, seed: int) -> None:
        self.method, self.killed, self.is_over = method, 0, False
        self.chance = random.Random(seed)
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        victim = None
        while not self.is_over:
            time.sleep(self.chance.random() * 0.3)
            zygote = _nursery.nursery(self.method)._zygote
            # The number of one who was killed already may be another process's.
            if zygote is not None and zygote is not victim and not self.is_over:
                victim = zygote
                os.kill(victim.pid, signal.SIGKILL)
                self.killed += 1

    def __enter__(self) -> Killer:
        if self.method != "fork":
            self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.is_over = True
        if self.method != "fork":
            self.thread.join()


def goes_on(until: float, killed: Counter[str]) -> bool:
    return time.monotonic() < until or killed.total() < KILLS


class Round:
    def __init__(self, context: Any, chance: random.Random, killed: Counter[str]) -> None:
        self.context, self.chance, self.killed = context, chance, killed
        self.stage = Stage(context, chance.choice([0, 0, 1, 7]))
        self.hands: Hands = []
        self.pages = 0
        # In some rounds those who put, or get, live on: then nothing at all may be missing.
        self.spared = chance.choice(["produce", "consume", ""])

    def start(self, role: str) -> None:
        args = role, self.stage, self.pages, 4 * PATIENCE + SECONDS
        process = self.context.Process(target=doomed.play, args=args, daemon=True)
        process.start()
        self.pages += 1
        self.hands.append((role, process))

    def play(self, until: float) -> None:
        """Kills one after the other; replaces them."""
        self.start("produce")
        self.start("consume")
        # On a slow machine everybody might be killed before he has done anything.
        wait_for(lambda: self.stage.books[4 + doomed.ANSWERED], "the first item")
        roles = [role for role in ROLES if role != self.spared]
        while self.pages < PAGES - 1 and goes_on(until, self.killed):
            while len(self.hands) < HANDS and self.pages < PAGES - 1:
                self.start(self.chance.choice(roles))
            time.sleep(self.chance.choice([0, 0.001, 0.02]) * self.chance.random())
            chosen = self.chance.randrange(len(self.hands))
            if self.hands[chosen][0] == self.spared:
                continue
            role, victim = self.hands.pop(chosen)
            os.kill(victim.pid, signal.SIGKILL)
            self.killed[role] += 1
            if self.chance.random() < 0.5:
                victim.join(PATIENCE)
                assert victim.exitcode == -signal.SIGKILL

    def end(self) -> Counter[str]:
        stage = self.stage
        stage.end()
        for _ in self.hands:
            stage.silent.put(None)
        for role, process in self.hands:
            process.join(PATIENCE)
            assert process.exitcode == 0, f"who should {role} ended so: {process.exitcode}"
        multiprocessing.active_children()
        while True:
            try:
                got = stage.queue.get(False)
            except ShutDown:
                break
            doomed.note(stage, got)
        return self.balance()

    def balance(self) -> Counter[str]:
        stage = self.stage
        sums = Counter[str]()
        for who in range(self.pages):
            begun, put, asked, answered = stage.books[4 * who : 4 * who + 4]
            assert begun - put in (0, 1)
            assert asked - answered in (0, 1)
            seen = bytes(stage.seen[who * ITEMS : who * ITEMS + begun])
            sums["put"] += put
            sums["got"] += sum(seen)
            sums["missing"] += put - sum(seen[:put])
            sums["putting"] += begun - put
            sums["getting"] += asked - answered
        sums["lost"] = stage.queue.lost
        # Who was killed with an item, and before he had noted that he had it.
        assert sums["missing"] <= sums["getting"]
        assert sums["lost"] <= sums["getting"] + sums["putting"]
        assert not (self.spared == "consume" and sums["getting"])
        assert not (self.spared == "produce" and sums["putting"])
        for lock, pair in ((stage.lock, stage.locked), (stage.rlock, stage.owned)):
            assert lock.acquire(timeout=PATIENCE)
            doomed.step(lock, pair)
            lock.release()
            sums["inherited"] += pair[doomed.INHERITED]
        assert stage.barrier.n_waiting == 0
        return sums


@pytest.mark.patience(SECONDS + 300)
@pytest.mark.parametrize("method", METHODS)
def test_whoever_is_killed_and_when_the_others_go_on(method: str) -> None:
    chance = random.Random(f"{SEED} {method}")
    context = multiprocessing.get_context(method)
    killed, sums = Counter[str](), Counter[str]()
    rounds = 0
    before = arena()
    over = time.monotonic() + SECONDS / len(METHODS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedLockWarning)
        with Killer(method, SEED) as killer:
            while time.monotonic() < over:
                scene = Round(context, chance, killed)
                try:
                    scene.play(over)
                    sums += scene.end()
                finally:
                    for _, process in scene.hands:
                        process.kill()
                        process.join(PATIENCE)
                del scene
                rounds += 1
    killed["zygote"] = killer.killed
    _nursery.stop()
    wait_for(lambda: not multiprocessing.active_children(), "the last child")
    wait_for(lambda: arena() == before, f"the arena to be {before}; it is {arena()}")
    print(f"\n{method}, seed {SEED}: {killed.total()} killed in {rounds} rounds: {dict(killed)}")
    print(dict(sums))
    assert sums["got"] > 0


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_killed_zygote_is_replaced_and_its_children_live_on(method: str) -> None:
    context = multiprocessing.get_context(method)
    go, told = context.Event(), context.SimpleQueue()
    old = context.Process(target=doomed.tell_when, args=(go, told))
    old.start()
    assert told.get() == old.pid
    os.kill(_nursery.nursery(method).pid, signal.SIGKILL)
    new = context.Process(target=doomed.tell_when, args=(go, told))
    new.start()
    assert told.get() == new.pid
    go.set()
    for process in (old, new):
        process.join(PATIENCE)
        assert process.exitcode == 0
    _nursery.stop()
