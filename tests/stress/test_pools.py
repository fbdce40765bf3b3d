"""Workers of a pool are killed at random moments, under load: each call has one outcome, its result
or, for at most as many as were killed, `WorkerDied`; and none hangs.

`MANYHANDS_KILL_SECONDS` says for how long (12; hours, if you like), `MANYHANDS_STRESS_SEED`
repeats the choices of a run, as far as the scheduler lets one. `-s` shows the counts.
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from typing import Any

import pytest
from manyhands import _native, multiprocessing
from manyhands.multiprocessing import _nursery
from manyhands.multiprocessing.pool import WorkerDied
from pooltasks import square
from support import until

SECONDS = float(os.environ.get("MANYHANDS_KILL_SECONDS", "12"))
SEED = int(os.environ.get("MANYHANDS_STRESS_SEED", str(time.time_ns() % 1_000_000)))

METHODS = ["fork", "forkserver", "spawn"]

WORKERS = 3

#: More than lies in a record.
LARGE = 10_000


class Killer:
    """Kills workers of a pool, now and then."""

    def __init__(self, pool: Any, seed: int) -> None:
        self.pool, self.killed = pool, 0
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.wait(self.chance.random() * 0.02):
            workers = list(self.pool._pool)
            # For a moment there may be none.
            for victim in self.chance.sample(workers, min(1, len(workers))):
                if victim.is_alive():
                    victim.kill()
                    self.killed += 1

    def __enter__(self) -> Killer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def arena() -> tuple[int, int, int]:
    """What can be compared of the arena before and after."""
    now = _native.multiprocessing.arena_statistics()
    return now["blocks"], now["lingering"], now["participants"]


def reverse(text: bytes) -> bytes:
    return text[::-1]


def outcomes(results: Any) -> tuple[list[Any], int]:
    """What an iterator gives, None for a call whose worker died; and how many did."""
    values, died = [], 0
    while True:
        try:
            values.append(next(results))
        except StopIteration:
            return values, died
        except WorkerDied:
            values.append(None)
            died += 1


def work(pool: Any, chance: random.Random) -> tuple[int, int]:
    """Has calls of all sorts done; how many, and of how many a worker died."""
    called: list[int] = []
    numbers = [chance.randrange(1000) for _ in range(40)]
    squares = [number * number for number in numbers]
    died = 0
    single = [pool.apply_async(square, (number,), callback=called.append) for number in numbers]
    large = [pool.apply_async(reverse, (bytes([n]) * LARGE,)) for n in range(20)]
    mapped = pool.map_async(square, numbers, chunksize=4)
    got, lost = outcomes(pool.imap(square, iter(numbers)))
    died += lost
    assert [value or due for value, due in zip(got, squares, strict=True)] == squares
    got, lost = outcomes(pool.imap_unordered(square, numbers))
    died += lost
    assert len(got) == len(squares)
    rest = list(squares)
    for value in got:
        if value is not None:
            rest.remove(value)
    assert len(rest) == lost
    done = []
    for result, due in zip(single, squares, strict=True):
        try:
            assert result.get() == due
            done.append(due)
        except WorkerDied:
            died += 1
    assert sorted(called) == sorted(done)
    for n, result in enumerate(large):
        try:
            assert result.get() == bytes([n]) * LARGE
        except WorkerDied:
            died += 1
    try:
        assert mapped.get() == squares
    except WorkerDied:
        # Of ten tasks at least one.
        died += 1
    return 40 + 20 + 10 + 40 + 40, died


@pytest.mark.patience(SECONDS + 120)
@pytest.mark.parametrize("method", METHODS)
def test_each_call_has_one_outcome_whoever_is_killed(method: str) -> None:
    chance = random.Random(SEED)
    # What a start method needs once is there before.
    multiprocessing.get_context(method).Pool(1).terminate()
    before = arena()
    begun, calls, died = time.monotonic(), 0, 0
    lifetime = chance.choice([None, 7])
    pool = multiprocessing.get_context(method).Pool(WORKERS, maxtasksperchild=lifetime)
    with Killer(pool, SEED) as killer:
        while time.monotonic() - begun < SECONDS / len(METHODS) or not killer.killed:
            done, lost = work(pool, chance)
            calls, died = calls + done, died + lost
    assert pool.map(square, range(100), 1) == [number * number for number in range(100)]
    pool.close()
    pool.join()
    print(f"{method}: seed {SEED}, {killer.killed} workers killed, {calls} calls, {died} died")
    assert died <= killer.killed
    _nursery.stop()
    del pool, killer
    # Exceptions hold frames, and these the results whose exceptions they are.
    gc.collect()
    until(lambda: arena() == before)
