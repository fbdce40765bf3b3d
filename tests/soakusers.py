"""Threads that have calls of all sorts done by a pool of processes, for the soak."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from manyhands.concurrent.futures import (
    CancelledError,
    TimeoutError as FutureTimeout,
    as_completed,
    wait,
)
from manyhands.multiprocessing import TimeoutError as ResultTimeout
from manyhands.multiprocessing.pool import WorkerDied
from soaktasks import Planned, add, fail, leave, nap, reverse, square
from support import until

#: More than lies in a record.
LARGE = 10_000


class Call:
    """Something to be done, and what is to come of it."""

    def __init__(self, chance: random.Random) -> None:
        number = chance.randrange(10_000)
        self.due: Any = None
        self.is_cancelled = False
        self.called: list[Any] = []
        kind = chance.random()
        self.function: Callable[..., Any]
        self.args: tuple[Any, ...] = (number,)
        if kind < 0.7:
            self.function, self.due = square, number * number
        elif kind < 0.8:
            text = bytes([number % 256]) * LARGE + b"end"
            self.function, self.args, self.due = reverse, (text,), text[::-1]
        elif kind < 0.9:
            self.function = fail
        elif kind < 0.97:
            seconds = number / 1e6
            self.function, self.args, self.due = nap, (seconds,), seconds
        else:
            self.function, self.args = leave, (number % 256,)

    def outcome(self, get: Callable[[], Any]) -> str:
        """What has come of it, if that is possible."""
        try:
            value = get()
        except CancelledError:
            assert self.is_cancelled, "it is cancelled, and nobody was told so"
            return "cancelled"
        except WorkerDied:
            assert not self.is_cancelled
            return "left" if self.function is leave else "died"
        except Planned as error:
            raised = error.args
        else:
            raised = None
        if raised is not None:
            assert (self.function, raised) == (fail, self.args)
            return "raised"
        assert self.function not in (fail, leave)
        assert value == self.due
        assert not self.is_cancelled
        return "right"


class User:
    """A thread that has calls done until it is told to stop."""

    def __init__(self, pool: Any, seed: int) -> None:
        self.pool, self.chance = pool, random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.last = time.monotonic()
        self.is_over = False
        self.thread = threading.Thread(target=self.run, name=f"user {seed}", daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            while not self.is_over:
                self.chance.choice(self.ways())()
                self.last = time.monotonic()
        except BaseException as error:
            self.error = error

    def ways(self) -> list[Callable[[], None]]:
        raise NotImplementedError

    def some(self, most: int) -> list[int]:
        return [self.chance.randrange(1000) for _ in range(self.chance.randrange(1, most))]

    def patience(self) -> float:
        return self.chance.choice([0, 1e-6, 1e-4, 1e-3])


class ExecutorUser(User):
    """Of a `ProcessPoolExecutor`."""

    def ways(self) -> list[Callable[[], None]]:
        return [self.submit, self.submit, self.map, self.abandon_a_map]

    def submit(self) -> None:
        chance = self.chance
        calls = {}
        for _ in range(chance.randrange(1, 40)):
            call = Call(chance)
            future = self.pool.submit(call.function, *call.args)
            calls[future] = call
            if chance.random() < 0.5:
                future.add_done_callback(call.called.append)
            else:
                call.called.append(future)
            if chance.random() < 0.2:
                victim = chance.choice(list(calls))
                calls[victim].is_cancelled |= victim.cancel()
        way = chance.randrange(4)
        if way == 0:
            done, rest = wait(calls, timeout=None, return_when="ALL_COMPLETED")
            assert (len(done), len(rest)) == (len(calls), 0)
        elif way == 1:
            assert sorted(map(id, as_completed(calls))) == sorted(map(id, calls))
        elif way == 2:
            for future in calls:
                with contextlib.suppress(FutureTimeout, CancelledError, WorkerDied, Planned):
                    future.result(timeout=self.patience())
        for future, call in calls.items():
            outcome = call.outcome(future.result)
            assert future.done()
            assert call.outcome(future.result) == outcome
            until(lambda call=call: call.called, "the callback")
            assert call.called == [future]
            self.outcomes[outcome] += 1

    def map(self) -> None:
        numbers, size = self.some(60), self.chance.choice([1, 1, 4])
        with contextlib.suppress(WorkerDied):
            results = list(self.pool.map(square, numbers, chunksize=size))
            assert results == [number * number for number in numbers]
            self.outcomes["right"] += len(numbers)
            return
        # Those that follow are cancelled then, or have been done.
        self.outcomes["died"] += 1

    def abandon_a_map(self) -> None:
        numbers = self.some(60)
        results = self.pool.map(add, numbers, numbers, buffersize=self.chance.choice([None, 5]))
        with contextlib.suppress(WorkerDied):
            assert next(results) == 2 * numbers[0]
        results.close()
        self.outcomes["abandoned"] += 1


class PoolUser(User):
    """Of a `Pool`."""

    def ways(self) -> list[Callable[[], None]]:
        return [self.apply, self.apply, self.map, self.imap, self.imap_unordered]

    def wait(self, result: Any) -> Any:
        while True:
            try:
                return result.get(self.patience() if self.chance.random() < 0.3 else None)
            except ResultTimeout:
                self.outcomes["tired"] += 1

    def apply(self) -> None:
        results = []
        for _ in range(self.chance.randrange(1, 40)):
            call = Call(self.chance)
            seen = call.called.append
            result = self.pool.apply_async(
                call.function, call.args, callback=seen, error_callback=seen
            )
            results.append((call, result))
        for call, result in results:
            outcome = call.outcome(lambda result=result: self.wait(result))
            assert result.ready()
            assert result.successful() == (outcome == "right")
            assert len(call.called) == 1
            self.outcomes[outcome] += 1

    def map(self) -> None:
        numbers = self.some(60)
        size = self.chance.choice([None, 1, 7])
        with contextlib.suppress(WorkerDied):
            pairs = [(number, number) for number in numbers]
            assert self.wait(self.pool.starmap_async(add, pairs, size)) == [2 * n for n in numbers]
            self.outcomes["right"] += len(numbers)
            return
        self.outcomes["died"] += 1

    def taken(self, results: Iterator[int]) -> list[int | None]:
        """What comes, None for what a worker died of."""
        values: list[int | None] = []
        while True:
            try:
                values.append(next(results))
            except StopIteration:
                return values
            except WorkerDied:
                values.append(None)

    def imap(self) -> None:
        numbers = self.some(60)
        values = self.taken(self.pool.imap(square, iter(numbers)))
        for number, value in zip(numbers, values, strict=True):
            assert value in (None, number * number)
        self.count(values)

    def imap_unordered(self) -> None:
        numbers = self.some(60)
        values = self.taken(self.pool.imap_unordered(square, numbers))
        assert len(values) == len(numbers)
        left = Counter(number * number for number in numbers)
        left.subtract(value for value in values if value is not None)
        assert min(left.values()) >= 0
        self.count(values)

    def count(self, values: list[int | None]) -> None:
        self.outcomes["died"] += values.count(None)
        self.outcomes["right"] += len(values) - values.count(None)
