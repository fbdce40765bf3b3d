"""A great many calls, and a great many pools: nothing is left of them, and nothing grows.

`MANYHANDS_TEST_ALL=1` makes it a million calls by each start method, and ten thousand pools of each
kind. `-s` shows how long it took and how much memory there is.
"""

from __future__ import annotations

import gc
import os
import resource
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from manyhands import _native, multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from manyhands.multiprocessing import _nursery
from manyhands.multiprocessing.pool import ThreadPool
from pooltasks import square
from support import Leftovers, until

ALL = bool(os.environ.get("MANYHANDS_TEST_ALL"))

CALLS = {"fork": 100_000, "forkserver": 20_000, "spawn": 20_000}
POOLS = {"fork": 200, "forkserver": 50, "spawn": 20}
THREAD_POOLS = 500

#: How many calls are under way at a time.
UNDER_WAY = 1000

#: How much more memory there may be in the end than in the middle: 4 bytes of each of a million
#: calls, 400 of each of ten thousand pools.
SLACK = 2 << 20

PAGE = resource.getpagesize()


def size() -> int:
    """How much memory this process has, without what it shares with others."""
    with open("/proc/self/statm") as file:
        _, resident, shared, *_ = map(int, file.read().split())
    return (resident - shared) * PAGE


def arena() -> dict[str, int]:
    statistics: dict[str, int] = _native.multiprocessing.arena_statistics()
    return statistics


def comparable() -> tuple[int, int, int]:
    """What can be compared of the arena before and after."""
    now = arena()
    return now["blocks"], now["lingering"], now["participants"]


class Flat:
    """Sees whether memory grows while something is done many times."""

    def __init__(self, name: str, times: int) -> None:
        self.name, self.times, self.done = name, times, 0
        self.begun = time.monotonic()
        self.middle = (0, 0)

    def __iter__(self) -> Flat:
        return self

    def __next__(self) -> int:
        if self.done == self.times // 2:
            self.middle = self.sizes()
        if self.done == self.times:
            self.finish()
            raise StopIteration
        self.done += 1
        return self.done

    def sizes(self) -> tuple[int, int]:
        gc.collect()
        return size(), arena()["resident"]

    def finish(self) -> None:
        lasted = time.monotonic() - self.begun
        end = self.sizes()
        grown = [after - before for before, after in zip(self.middle, end, strict=True)]
        each = lasted / self.times * 1e6
        print(
            f"\n{self.name}: {self.times} in {lasted:.1f} s, {each:.1f} us each; "
            f"process {end[0] >> 10} KiB, {grown[0] >> 10} KiB of it since the middle; "
            f"arena {end[1] >> 10} KiB, {grown[1] >> 10} KiB of it since the middle"
        )
        assert max(grown) <= SLACK


def call_often(
    name: str, method: str, begin: Callable[[int], Any], take: Callable[[Any], Any]
) -> None:
    """Has calls done, a thousand at a time under way, and sees that each has its result."""
    times = 1_000_000 if ALL else CALLS[method]
    under_way: deque[Any] = deque()
    wrong = 0
    for number in Flat(f"{name} {method}", times):
        under_way.append((number, begin(number)))
        if len(under_way) > UNDER_WAY:
            number, result = under_way.popleft()
            wrong += take(result) != number * number
    for number, result in under_way:
        wrong += take(result) != number * number
    assert wrong == 0


@pytest.mark.patience(1200 if ALL else 120)
@pytest.mark.parametrize("method", CALLS)
def test_calls_of_an_executor(method: str) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as executor:
        call_often(
            "submit",
            method,
            lambda number: executor.submit(square, number),
            lambda future: future.result(),
        )
    _nursery.stop()


@pytest.mark.patience(1200 if ALL else 120)
@pytest.mark.parametrize("method", CALLS)
def test_calls_of_a_pool(method: str) -> None:
    with multiprocessing.get_context(method).Pool(2) as pool:
        call_often(
            "apply_async",
            method,
            lambda number: pool.apply_async(square, (number,)),
            lambda result: result.get(),
        )
        pool.close()
        pool.join()
    _nursery.stop()


def use(pool: Any, ends: int) -> None:
    """Has a pool do something, and ends it in one way or another."""
    with pool:
        assert pool.map(square, [3, 4]) == [9, 16]
        if ends % 2:
            pool.close()
            pool.join()


def use_executor(executor: Any, ends: int) -> None:
    if ends % 2:
        with executor:
            assert executor.submit(square, 3).result() == 9
    else:
        assert list(executor.map(square, [3, 4])) == [9, 16]
        executor.shutdown()


def open_often(
    name: str, times: int, make: Callable[[], Any], use: Callable[[Any, int], None]
) -> None:
    """Opens and closes pools, and sees that nothing is left."""
    for number in range(3):
        # What is made once is there then.
        use(make(), number)
    gc.collect()
    before, beginning = Leftovers.now(), comparable()
    for number in Flat(name, 10_000 if ALL else times):
        use(make(), number)
    left = Leftovers.since(before)
    assert not left, f"left behind: {left}"
    until(lambda: comparable() == beginning, "the arena to be as before")


@pytest.mark.patience(3600 if ALL else 120)
@pytest.mark.parametrize("method", POOLS)
def test_pools_that_come_and_go(method: str) -> None:
    context = multiprocessing.get_context(method)
    open_often(f"Pool {method}", POOLS[method], lambda: context.Pool(2), use)
    _nursery.stop()


@pytest.mark.patience(3600 if ALL else 120)
@pytest.mark.parametrize("method", POOLS)
def test_executors_that_come_and_go(method: str) -> None:
    context = multiprocessing.get_context(method)
    open_often(
        f"ProcessPoolExecutor {method}",
        POOLS[method],
        lambda: ProcessPoolExecutor(2, context),
        use_executor,
    )
    _nursery.stop()


@pytest.mark.patience(1200 if ALL else 120)
def test_pools_of_threads_that_come_and_go() -> None:
    open_often("ThreadPool", THREAD_POOLS, lambda: ThreadPool(2), use)


@pytest.mark.patience(1200 if ALL else 120)
def test_executors_of_threads_that_come_and_go() -> None:
    open_often("ThreadPoolExecutor", THREAD_POOLS, lambda: ThreadPoolExecutor(2), use_executor)
