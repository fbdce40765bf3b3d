"""Several threads have calls of all sorts done by one pool, take some back, are tired of waiting
for others; meanwhile workers are killed, stopped for a while, or end by themselves.

Each call has one outcome: its result, its exception, `WorkerDied`, or that it was cancelled, and
this only if somebody was told so; nobody waits for ever; nothing is left behind.

`MANYHANDS_SOAK_SECONDS` says for how long (20; an hour by `make soak`), `MANYHANDS_STRESS_SEED`
repeats the choices of a run, as far as the scheduler lets one. `-s` shows the counts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import soaktasks
from manyhands import _native, multiprocessing
from manyhands.concurrent.futures import CancelledError, ProcessPoolExecutor
from manyhands.multiprocessing import ProcessError, _nursery
from manyhands.multiprocessing.pool import WorkerDied
from soaktasks import nap, square
from soakusers import ExecutorUser, PoolUser, User
from support import PATIENCE, until

SECONDS = float(os.environ.get("MANYHANDS_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("MANYHANDS_STRESS_SEED", str(time.time_ns() % 1_000_000)))

METHODS = ["fork", "forkserver", "spawn"]

WORKERS, USERS = 3, 4

#: For how long one pool is used, in seconds.
LIFE = 15.0


class Trouble:
    """Kills and stops workers, now and then."""

    def __init__(self, workers: Callable[[], list[Any]], seed: int) -> None:
        self.workers, self.chance = workers, random.Random(seed)
        self.done: Counter[str] = Counter()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.wait(self.chance.random() * 0.05):
            workers = self.workers()
            # For a moment there may be none.
            for victim in self.chance.sample(workers, min(1, len(workers))):
                what = self.chance.choice(["killed", "stopped", "stopped and killed"])
                if what == "killed":
                    victim.kill()
                else:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim.pid, signal.SIGSTOP)
                        self.over.wait(self.chance.random() * 0.2)
                        if what == "stopped":
                            os.kill(victim.pid, signal.SIGCONT)
                    if what == "stopped and killed":
                        victim.kill()
                self.done[what] += 1

    def __enter__(self) -> Trouble:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


class House:
    """A pool and its users."""

    user: type[User]

    def __init__(self, method: str, chance: random.Random) -> None:
        self.context = multiprocessing.get_context(method)
        self.chance = chance
        self.pool = self.open(method)

    def open(self, method: str) -> Any:
        raise NotImplementedError

    def workers(self) -> list[Any]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def live(self, seconds: float) -> tuple[Counter[str], Counter[str]]:
        """Gives what has come of calls, and what was done to workers."""
        seeds = [self.chance.randrange(10**6) for _ in range(USERS + 1)]
        users = []
        try:
            with Trouble(self.workers, seeds.pop()) as trouble:
                users = [self.user(self.pool, seed) for seed in seeds]
                self.watch(users, time.monotonic() + seconds)
            for user in users:
                user.is_over = True
            self.watch(users, None)
        finally:
            for user in users:
                user.is_over = True
        outcomes: Counter[str] = sum((user.outcomes for user in users), Counter())
        assert [n * n for n in range(100)] == list(self.pool.map(square, range(100)))
        self.close()
        return outcomes, trouble.done

    def watch(self, users: list[User], end: float | None) -> None:
        """Waits until then, or until the users have ended, as long as all get on."""
        while any(user.thread.is_alive() for user in users):
            for user in users:
                if user.error is not None:
                    raise user.error
                if time.monotonic() - user.last > PATIENCE and user.thread.is_alive():
                    self.dump()
                    pytest.fail(f"{user.thread.name} hangs; see the stacks on stderr")
            if end is not None and time.monotonic() > end:
                return
            users[0].thread.join(0.05)
        assert all(user.error is None for user in users), [user.error for user in users]

    def dump(self) -> None:
        """Shows where all threads are, and all workers."""
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
        for worker in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGUSR1)


class OfPool(House):
    user = PoolUser

    def open(self, method: str) -> Any:
        lifetime = self.chance.choice([None, 20])
        return self.context.Pool(WORKERS, soaktasks.begin, maxtasksperchild=lifetime)

    def workers(self) -> list[Any]:
        return list(self.pool._pool)

    def close(self) -> None:
        left = [self.pool.apply_async(nap, (0.001,)) for _ in range(100)]
        if self.chance.random() < 0.5:
            self.pool.close()
        else:
            self.pool.terminate()
        self.pool.join()
        for result in left:
            with contextlib.suppress(ProcessError, WorkerDied):
                assert result.get(0) == 0.001


class OfExecutor(House):
    user = ExecutorUser

    def open(self, method: str) -> Any:
        lifetime = None if method == "fork" else self.chance.choice([None, 20])
        return ProcessPoolExecutor(
            WORKERS, self.context, soaktasks.begin, max_tasks_per_child=lifetime
        )

    def workers(self) -> list[Any]:
        return list((self.pool._processes or {}).values())

    def close(self) -> None:
        left = [self.pool.submit(nap, 0.001) for _ in range(100)]
        end = self.chance.choice(["cancel", "wait", "terminate_workers", "kill_workers"])
        if end in ("cancel", "wait"):
            self.pool.shutdown(cancel_futures=end == "cancel")
        else:
            getattr(self.pool, end)()
        for future in left:
            with contextlib.suppress(CancelledError, WorkerDied):
                assert future.result(PATIENCE) == 0.001
            assert future.done()


def arena() -> tuple[int, int, int]:
    """What can be compared of the arena before and after."""
    now = _native.multiprocessing.arena_statistics()
    return now["blocks"], now["lingering"], now["participants"]


@pytest.mark.patience(SECONDS + 180)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("house", [OfPool, OfExecutor])
def test_each_call_has_one_outcome_whatever_befalls_the_workers(
    house: type[House], method: str
) -> None:
    chance = random.Random(SEED)
    # What a start method needs once is there before.
    multiprocessing.get_context(method).Pool(1).terminate()
    before = arena()
    begun, lives = time.monotonic(), 0
    outcomes: Counter[str] = Counter()
    trouble: Counter[str] = Counter()
    while (left := begun + SECONDS / 6 - time.monotonic()) > 0 or not trouble["killed"]:
        came, befell = house(method, chance).live(min(max(left, 1), LIFE))
        outcomes, trouble, lives = outcomes + came, trouble + befell, lives + 1
    told = ", ".join(f"{n} {what}" for what, n in sorted((outcomes + trouble).items()))
    print(f"\n{house.__name__} {method}: seed {SEED}, {lives} pools, {told}")
    assert outcomes["right"]
    assert outcomes["died"] <= trouble["killed"] + trouble["stopped and killed"]
    _nursery.stop()
    # Exceptions hold frames, and these the results whose exceptions they are.
    gc.collect()
    until(lambda: arena() == before, "the arena to be as before")
