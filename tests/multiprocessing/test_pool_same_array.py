"""An array that is in many calls of one map: copied once, and each call's own."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import signal
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arraytasks import (
    die_at_three,
    die_holding,
    die_without,
    ends,
    ends_of,
    ends_of_two,
    give_back,
    is_writable,
    keep,
    kept,
    length,
    wait_at,
    write,
)
from manyhands import _native, asyncio as our_asyncio, multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor
from manyhands.multiprocessing.pool import WorkerDied
from support import until

numpy = pytest.importorskip("numpy")

statistics = _native.multiprocessing.arena_statistics

METHODS = ["fork", "forkserver", "spawn"]
ITEMS = 100_000
CALLS = 24

pytestmark = [pytest.mark.patience(120), pytest.mark.usefixtures("pools_are_collected")]


def array_of(value: float) -> Any:
    return numpy.full(ITEMS, float(value))


SIZE = array_of(0).nbytes


def held() -> tuple[int, int]:
    """How many bytes are in use, and how many blocks are kept for others than their owner."""
    now = statistics()
    return now["bytes"], now["lingering"]


@pytest.fixture(params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    context: Any = multiprocessing.get_context(request.param)
    with context.Pool(2) as pool:
        pool.map(abs, range(4))
        # Until all is put away pytest keeps what it was given.
        yield weakref.proxy(pool)


@pytest.fixture
def forked() -> Iterator[Any]:
    context: Any = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        yield weakref.proxy(pool)


def starmap(pool: Any, array: Any) -> Any:
    return pool.starmap_async(ends, [(array, number) for number in range(CALLS)], 1)


def map_of_pairs(pool: Any, array: Any) -> Any:
    return pool.map_async(ends_of, ((array, number) for number in range(CALLS)), 2)


def partial(pool: Any, array: Any) -> Any:
    return pool.map_async(functools.partial(ends, array), range(CALLS), 1)


def imap(pool: Any, array: Any) -> Any:
    return pool.imap(ends_of, [(array, number) for number in range(CALLS)])


def imap_of_an_iterator(pool: Any, array: Any) -> Any:
    results = pool.imap(ends_of, ((array, number) for number in range(CALLS)))
    until(lambda: results._length == CALLS)
    return results


def imap_unordered_of_partial(pool: Any, array: Any) -> Any:
    return pool.imap_unordered(functools.partial(ends, array), list(range(CALLS)))


WAYS: list[Callable[[Any, Any], Any]] = [
    starmap,
    map_of_pairs,
    partial,
    imap,
    imap_of_an_iterator,
    imap_unordered_of_partial,
]


def results_of(begun: Any) -> list[Any]:
    return sorted(begun.get() if hasattr(begun, "get") else begun)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_copied_once_and_freed_with_the_map(way: Callable[[Any, Any], Any]) -> None:
    context: Any = multiprocessing.get_context("fork")
    gate = context.Event()
    with context.Pool(2, wait_at, (gate,)) as pool:
        array = array_of(5)
        before = held()
        begun = way(pool, array)
        there = statistics()["bytes"] - before[0]
        gate.set()
        assert results_of(begun) == [(5, 5, number) for number in range(CALLS)]
        assert SIZE <= there < 1.5 * SIZE
        until(lambda: held() <= before)


@pytest.mark.parametrize("chunksize", [1, 3])
def test_the_map_of_an_executor_copies_it_once(chunksize: int) -> None:
    context: Any = multiprocessing.get_context("fork")
    gate = context.Event()
    with ProcessPoolExecutor(2, context, wait_at, (gate,)) as executor:
        assert executor.submit(abs, 1).result() == 1
        before = held()
        calls = itertools.repeat(array_of(5)), range(CALLS)
        results = executor.map(ends, *calls, chunksize=chunksize)
        there = statistics()["bytes"] - before[0]
        gate.set()
        assert list(results) == [(5, 5, number) for number in range(CALLS)]
        assert SIZE <= there < 1.5 * SIZE
        until(lambda: held() <= before)


@pytest.mark.parametrize("way", ["map", "imap"])
def test_a_pool_for_coroutines_copies_it_once(way: str) -> None:
    context: Any = multiprocessing.get_context("fork")
    gate = context.Event()
    array = array_of(5)
    calls = [(array, number) for number in range(CALLS)]

    async def results(pool: Any) -> list[Any]:
        if way == "map":
            found: list[Any] = await pool.map(ends_of, calls, 2)
            return found
        return [each async for each in pool.imap(ends_of, calls)]

    async def program() -> None:
        async with our_asyncio.Pool(2, wait_at, (gate,), context=context) as pool:
            assert await pool.apply(abs, (1,)) == 1
            before = held()
            begun = asyncio.ensure_future(results(pool))
            while pool._executor._pool._scheduler.pending < CALLS // 2:
                await asyncio.sleep(0.001)
            there = statistics()["bytes"] - before[0]
            gate.set()
            assert await begun == [(5, 5, number) for number in range(CALLS)]
            assert SIZE <= there < 1.5 * SIZE
            while held() > before:
                await asyncio.sleep(0.001)

    asyncio.run(program())


def test_a_subclass_that_has_its_own_submit_has_it_called() -> None:
    class Counting(ProcessPoolExecutor):
        submitted = 0

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            self.submitted += 1
            return super().submit(fn, *args, **kwargs)

    with Counting(1) as executor:
        assert list(executor.map(abs, [-1, -2])) == [1, 2]
        assert executor.submitted == 2


def test_calls_that_are_no_map_have_copies() -> None:
    context: Any = multiprocessing.get_context("fork")
    gate = context.Event()
    with context.Pool(1, wait_at, (gate,)) as pool:
        array = array_of(5)
        before = statistics()["bytes"]
        results = [pool.apply_async(ends, (array, number)) for number in range(3)]
        there = statistics()["bytes"] - before
        gate.set()
        assert [result.get() for result in results] == [(5, 5, number) for number in range(3)]
        assert there >= 3 * SIZE


def test_what_a_call_writes_is_seen_by_no_other(pool: Any) -> None:
    array = array_of(7)
    before = held()
    for chunk in (1, 1, 5):
        # Those of one chunk are one object, as pickle has it.
        calls = [(array, number) for number in range(CALLS)][::chunk]
        assert pool.starmap(write, calls, 1) == [(7, 7)] * len(calls)
    assert (array == 7).all()
    until(lambda: held() <= before)


def test_it_can_be_written_to_if_it_could(forked: Any) -> None:
    array = array_of(1)
    calls = [(array, number) for number in range(6)]
    assert forked.starmap(is_writable, calls, 1) == [True] * 6
    array.flags.writeable = False
    assert forked.starmap(is_writable, calls, 1) == [False] * 6
    assert forked.starmap(ends, calls, 1) == [(1, 1, number) for number in range(6)]


def test_two_arrays_are_both_found(forked: Any) -> None:
    one, two = array_of(1), array_of(2)
    before = held()
    calls = [(one, two, number) for number in range(CALLS)]
    assert forked.starmap(ends_of_two, calls, 1) == [(1, 2, number) for number in range(CALLS)]
    until(lambda: held() <= before)


def test_arrays_by_turns_and_others_among_them(forked: Any) -> None:
    arrays = [array_of(value) for value in range(6)]
    order = [0, 1, 0, 1, 2, 0, 0, 3, 4, 5, 0, 1, 1, 1, 5, 5, 4, 2, 2] * 3
    results = forked.imap(ends_of, ((arrays[value], value) for value in order))
    assert list(results) == [(value, value, value) for value in order]


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_buffer_that_is_filled_again_is_sent_as_it_was(forked: Any, step: int) -> None:
    buffer = array_of(0)

    def filled() -> Iterator[Any]:
        for number in range(60):
            # In the end only, where a look at the beginning would not find it.
            buffer[-1] = number // step
            yield buffer, number

    before = held()
    expected = [(0, number // step, number) for number in range(60)]
    assert list(forked.imap(ends_of, filled())) == expected
    with ProcessPoolExecutor(1) as executor:
        assert list(executor.map(ends_of, filled())) == expected
    until(lambda: held() <= before)


class Filled:
    """Fills an array when it is pickled, and is that then."""

    def __init__(self, array: Any, value: float) -> None:
        self.array = array
        self.value = value

    def __reduce__(self) -> Any:
        self.array[1:] = self.value
        return numpy.asarray, (self.array,)


def test_what_pickling_changes_is_sent_as_it_was_then(forked: Any) -> None:
    array = array_of(0)
    calls = [(Filled(array, number), number) for number in range(CALLS)]
    assert forked.starmap(ends, calls, 1) == [(0, number, number) for number in range(CALLS)]


def test_new_arrays_where_old_ones_were(forked: Any) -> None:
    results = forked.imap(ends, (array_of(number) for number in range(100)))
    assert [last for _, last, _ in results] == list(range(100))


def test_endless_input_accumulates_nothing(forked: Any) -> None:
    before = statistics()["bytes"]
    arrays = (array_of(number // 2) for number in itertools.count())
    results = forked.imap(ends, (twice for array in arrays for twice in (array, array)))
    most = 0
    for number, (first, _, _) in enumerate(itertools.islice(results, 600)):
        assert first == number // 4
        most = max(most, statistics()["lingering"])
    assert most <= 16
    forked.terminate()
    forked.join()
    assert statistics()["bytes"] <= before


def test_bytes_and_strange_layouts_arrive(forked: Any) -> None:
    data = bytes(SIZE)
    assert forked.starmap(length, [(data, 1)] * 8, 1) == [SIZE + 1] * 8
    table = numpy.arange(ITEMS * 2.0).reshape(2, ITEMS)
    for array in (table, table.T, table[:, ::3]):
        for sent in forked.starmap(give_back, [(array, number) for number in range(5)], 1):
            assert (sent == array).all()
            assert sent.flags.writeable


def test_what_a_worker_keeps_stays_as_it_was(pool: Any) -> None:
    before = held()
    array = array_of(3)
    workers = pool.starmap(keep, [(array, number) for number in range(6)], 1)
    assert set(workers) <= {worker.pid for worker in pool._pool}
    assert held()[1] == 1, "one, for all that have it"
    array[:] = 4
    for value in (5, 6):
        other = array_of(value)
        pool.starmap(write, [(other, number) for number in range(CALLS)], 1)
    found: set[tuple[float, float]] = set()

    def look() -> bool:
        # By whichever worker is faster: perhaps by the one that has kept none.
        found.update(pair for each in pool.map(kept, range(8), 1) for pair in each)
        return bool(found)

    until(look)
    assert found == {(3, 3)}
    pool.close()
    pool.join()
    assert held() <= before


def test_a_worker_that_is_killed_holds_nothing(forked: Any) -> None:
    before = held()
    array = array_of(2)
    for _ in range(3):
        with pytest.raises(WorkerDied, match=r"die_at_three\(<_frombuffer>, 3\)"):
            forked.starmap(die_at_three, [(array, number) for number in range(8)], 1)
    with pytest.raises(WorkerDied):
        forked.map(functools.partial(die_holding, array), range(2), 1)
    until(lambda: held() <= before)
    assert forked.starmap(ends, [(array, 1)] * 4, 1) == [(2, 2, 1)] * 4


def test_a_worker_that_keeps_it_is_killed(forked: Any) -> None:
    before = held()
    array = array_of(3)
    forked.starmap(keep, [(array, number) for number in range(6)], 1)
    assert held()[1] == 1
    for worker in list(forked._pool):
        os.kill(worker.pid, signal.SIGKILL)
    until(lambda: held() <= before)


def test_a_call_that_is_tried_again_has_it_too(pool: Any, tmp_path: Path) -> None:
    array = numpy.arange(float(ITEMS))
    calls = [(array, number, str(tmp_path / str(number))) for number in range(4)]
    tried = pool.with_options(retries=3).starmap(die_without, calls, 1)
    assert tried == [0.0, 1.0, 2.0, 3.0]


def test_what_is_sent_does_not_count_as_memory_of_the_call(forked: Any) -> None:
    large = numpy.zeros(8 << 20)
    limited = forked.with_options(memory=8 << 20)
    calls = [(large, number) for number in range(6)]
    assert limited.starmap(ends, calls, 1) == [(0, 0, number) for number in range(6)]


def test_a_terminated_pool_leaves_nothing() -> None:
    context: Any = multiprocessing.get_context("fork")
    before = statistics()["bytes"]
    gate = context.Event()
    with context.Pool(2, wait_at, (gate,)) as pool:
        starmap(pool, array_of(1))
    pool.join()
    del gate, pool
    until(lambda: statistics()["bytes"] <= before)
    assert statistics()["lingering"] == 0
