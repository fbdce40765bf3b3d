"""A call that waits for another call of its own pool of threads does not starve it: ours alone, the
standard library's hang there."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from manyhands.concurrent.futures import ThreadPoolExecutor, as_completed, wait
from manyhands.multiprocessing.pool import ThreadPool
from support import PATIENCE, until

GROWN = "a call of this pool waits for another one of it: the pool of .* has grown to"


@contextlib.contextmanager
def grows() -> Iterator[None]:
    """Within, a pool grows, and says so."""
    with pytest.warns(RuntimeWarning, match=GROWN):
        yield


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="buns") as executor:
        yield executor


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    with ThreadPool(1) as pool:
        yield pool
        pool.close()
        pool.join()


def settle(executor: ThreadPoolExecutor) -> None:
    """Waits until the executor is as large as it was wanted."""
    until(lambda: executor._work_queue.workers == executor._max_workers)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_calls_within_calls_of_an_executor(workers: int) -> None:
    most = 0

    def fibonacci(n: int) -> int:
        nonlocal most
        most = max(most, executor._work_queue.workers)
        if n < 2:
            return n
        first, second = executor.submit(fibonacci, n - 1), executor.submit(fibonacci, n - 2)
        return first.result() + second.result()

    with (
        grows(),
        ThreadPoolExecutor(workers) as executor,
    ):
        assert executor.submit(fibonacci, 12).result(PATIENCE) == 144
        settle(executor)
    # Of the more than 200 calls that wait for others, nearly all would be under way at once.
    assert workers < most <= 100


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_calls_within_calls_of_a_pool(workers: int) -> None:
    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        first = pool.apply_async(fibonacci, (n - 1,))
        second = pool.apply_async(fibonacci, (n - 2,))
        return int(first.get()) + int(second.get())

    with grows(), ThreadPool(workers) as pool:
        assert pool.apply_async(fibonacci, (11,)).get(PATIENCE) == 89
        pool.close()
        pool.join()


def sort_by(each: Callable[[Any, Any], Any], items: list[int]) -> list[int]:
    if len(items) < 2:
        return items
    rest = [[n for n in items[1:] if n < items[0]], [n for n in items[1:] if n >= items[0]]]
    below, above = each(lambda part: sort_by(each, part), rest)
    return [*below, items[0], *above]


ITEMS = [(n * 7919) % 101 for n in range(60)]


def test_a_sort_that_maps_its_halves(executor: ThreadPoolExecutor) -> None:
    with grows():
        sorting = executor.submit(sort_by, executor.map, ITEMS)
        assert sorting.result(PATIENCE) == sorted(ITEMS)


@pytest.mark.parametrize("method", ["map", "imap"])
def test_a_sort_that_maps_its_halves_by_a_pool(pool: ThreadPool, method: str) -> None:
    with grows():
        sorting = pool.apply_async(sort_by, (getattr(pool, method), ITEMS))
        assert sorting.get(PATIENCE) == sorted(ITEMS)


WAYS: dict[str, Callable[[list[Any]], Any]] = {
    "result": lambda futures: [future.result() for future in futures],
    "exception": lambda futures: [future.exception() for future in futures],
    "with a timeout": lambda futures: [future.result(PATIENCE) for future in futures],
    "wait": wait,
    "wait for one": lambda futures: wait(futures, PATIENCE, "FIRST_COMPLETED"),
    "wait for an exception": lambda futures: wait(iter(futures), None, "FIRST_EXCEPTION"),
    "as_completed": lambda futures: [future.result() for future in as_completed(futures)],
    "a part of as_completed": lambda futures: next(as_completed(iter(futures), PATIENCE)),
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_a_call_waits_by(executor: ThreadPoolExecutor, way: str) -> None:
    def outer() -> bool:
        futures = [executor.submit(int), executor.submit(int)]
        WAYS[way](futures)
        return any(future.done() for future in futures)

    with grows():
        assert executor.submit(outer).result(PATIENCE) is True
    settle(executor)


def test_as_completed_gives_each_future_once_and_keeps_none(executor: ThreadPoolExecutor) -> None:
    def outer() -> list[int]:
        futures = [executor.submit(abs, n) for n in range(20)]
        return sorted(future.result() for future in as_completed(futures))

    with grows():
        assert executor.submit(outer).result(PATIENCE) == list(range(20))


def test_waiting_that_is_not_for_a_call_of_the_pool_is_as_ever(
    executor: ThreadPoolExecutor,
) -> None:
    def outer() -> tuple[int, int]:
        mine = executor.submit(int)
        theirs = other.submit(abs, -7)
        done, rest = wait([theirs, mine], timeout=0)
        assert len(done | rest) == 2
        return theirs.result(), len(wait([theirs]).done)

    with ThreadPoolExecutor(1) as other:
        # Without a warning: those are errors here.
        assert executor.submit(outer).result(PATIENCE) == (7, 1)
        assert executor._work_queue.workers == 1


def test_it_is_said_once_at_the_line_that_waits(executor: ThreadPoolExecutor) -> None:
    def outer(wait_for: Callable[[Any], Any]) -> Any:
        return wait_for(executor.submit(int))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        executor.submit(outer, lambda future: wait([future])).result(PATIENCE)
        executor.submit(outer, lambda future: future.result()).result(PATIENCE)
    assert [str(each.message) for each in caught] == [
        "a call of this pool waits for another one of it: the pool of 1 thread has grown to 2"
    ]
    assert caught[0].filename == __file__


def test_a_warning_that_is_an_error_is_the_outcome_of_the_call(
    executor: ThreadPoolExecutor,
) -> None:
    inner: list[Any] = []

    def outer() -> int:
        inner.append(executor.submit(int))
        return int(inner[0].result())

    with pytest.raises(RuntimeWarning, match=GROWN):
        executor.submit(outer).result(PATIENCE)
    assert inner[0].result(PATIENCE) == 0
    settle(executor)


def test_calls_that_wait_for_those_before_them_need_no_more_threads() -> None:
    with ThreadPoolExecutor(2) as executor:
        gate = threading.Event()
        first = executor.submit(gate.wait, PATIENCE)
        second = executor.submit(first.result)
        # Both have begun when there is one more to do.
        until(executor._work_queue.empty)
        until(lambda: second.running() and executor._work_queue.workers == 2)
        third = executor.submit(second.result)
        assert executor._work_queue.workers == 2
        gate.set()
        assert third.result(PATIENCE) is True


def test_not_more_calls_are_done_at_once_than_were_wanted() -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def work(depth: int) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        inner = [executor.submit(work, depth - 1) for _ in range(2 if depth else 0)]
        with lock:
            under_way -= 1
        for future in inner:
            future.result()

    with grows(), ThreadPoolExecutor(2) as executor:
        executor.submit(work, 6).result(PATIENCE)
        # Those that were hired meanwhile have gone.
        settle(executor)
        barrier = threading.Barrier(3)
        together = [executor.submit(barrier.wait, PATIENCE) for _ in range(3)]
        until(lambda: barrier.n_waiting == 2)
        assert executor._work_queue.qsize() == 1
        assert executor._work_queue.workers == 2
        barrier.wait(PATIENCE)
        barrier.abort()
        wait(together, PATIENCE)
    assert most <= 2


def test_names_go_on(executor: ThreadPoolExecutor) -> None:
    def name() -> str:
        return threading.current_thread().name

    def outer() -> list[str]:
        return [name(), executor.submit(name).result(), executor.submit(name).result()]

    with grows():
        names = executor.submit(outer).result(PATIENCE)
    assert names == ["buns_0", "buns_1", "buns_2"]


def test_a_call_may_wait_when_no_more_are_taken() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1) as executor:

        def outer() -> int:
            inner = executor.submit(abs, -3)
            ready.set()
            gate.wait(PATIENCE)
            return inner.result()

        ready = threading.Event()
        future = executor.submit(outer)
        assert ready.wait(PATIENCE)
        executor.shutdown(wait=False)
        with grows():
            gate.set()
            assert future.result(PATIENCE) == 3
    assert not any(thread.is_alive() for thread in executor._threads)


def test_a_pool_that_is_closed_and_joined_may_grow(pool: ThreadPool) -> None:
    ready, gate = threading.Event(), threading.Event()

    def outer() -> int:
        inner = pool.apply_async(abs, (-3,))
        ready.set()
        gate.wait(PATIENCE)
        return int(inner.get())

    result = pool.apply_async(outer)
    assert ready.wait(PATIENCE)
    pool.close()
    with grows():
        gate.set()
        pool.join()
    assert result.get() == 3
    assert not any(worker.is_alive() for worker in pool._pool)


def test_a_callback_that_waits_is_no_worker_that_is_free(executor: ThreadPoolExecutor) -> None:
    gate, called = threading.Event(), threading.Event()

    def call_back(_: Any) -> None:
        executor.submit(int).result()
        called.set()

    with grows():
        executor.submit(gate.wait, PATIENCE).add_done_callback(call_back)
        gate.set()
        assert called.wait(PATIENCE)
    settle(executor)


def test_a_callback_that_was_added_at_the_last_moment_may_wait() -> None:
    gate, go, called = threading.Event(), threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as executor:
        future = executor.submit(gate.wait, PATIENCE)
        # While this is held the call can be over, and its worker count as free, without an outcome.
        with future._condition:
            gate.set()
            until(lambda: not executor._work_queue.pending)
            future.add_done_callback(lambda _: go.wait(PATIENCE) and called.set())
            after = executor.submit(go.set)
            assert executor._work_queue.workers == 1
        assert called.wait(PATIENCE)
        assert after.result(PATIENCE) is None


def test_threads_that_have_ended_are_forgotten(executor: ThreadPoolExecutor) -> None:
    def outer() -> None:
        for _ in range(50):
            executor.submit(int).result()

    with grows():
        executor.submit(outer).result(PATIENCE)
    assert len(executor._threads) < 20
