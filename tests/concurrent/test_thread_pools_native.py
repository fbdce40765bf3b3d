"""What is ours in particular of pools of threads: `ThreadPoolExecutor` and `ThreadPool`."""

from __future__ import annotations

import concurrent.futures.thread as stdlib_thread
import gc
import multiprocessing.pool as stdlib_pool
import os
import queue
import threading
import weakref

import pytest
from manyhands import _native
from manyhands.concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor, wait
from manyhands.concurrent.futures.thread import BrokenThreadPool
from manyhands.multiprocessing import ProcessError
from manyhands.multiprocessing.pool import (
    ApplyResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    ThreadPool,
)
from support import PATIENCE, until


class Thing:
    """Something that a weak reference can be made to."""


def test_the_executor_and_its_futures_are_ours_and_the_standard_librarys() -> None:
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(int)
        assert type(future) is Future
        assert isinstance(executor, stdlib_thread.ThreadPoolExecutor)
        assert isinstance(executor._work_queue, _native.concurrent.Jobs)


def test_a_worker_that_is_free_is_used_again() -> None:
    with ThreadPoolExecutor(8) as executor:
        for _ in range(200):
            executor.submit(int).result()
        assert len(executor._threads) == 1


def test_there_is_a_worker_for_each_call_that_waits_for_another() -> None:
    barrier = threading.Barrier(8)
    with ThreadPoolExecutor(8) as executor:
        for future in [executor.submit(barrier.wait, PATIENCE) for _ in range(8)]:
            future.result()
        assert len(executor._threads) == 8


def test_a_callback_may_wait_for_another_call() -> None:
    with ThreadPoolExecutor(2) as executor:
        go, results = threading.Event(), []
        future = executor.submit(go.wait, PATIENCE)
        future.add_done_callback(lambda _: results.append(executor.submit(int).result(PATIENCE)))
        go.set()
        until(lambda: results == [0])


def test_nothing_of_a_call_is_kept_when_its_result_is_there() -> None:
    with ThreadPoolExecutor(1) as executor:
        for _ in range(20):
            thing = Thing()
            gone = weakref.ref(thing)
            future = executor.submit(id, thing)
            del thing
            future.result()
            assert gone() is None
        made = executor.submit(Thing)
        gone = weakref.ref(made.result())
        del made
        assert gone() is None


def test_the_exception_of_a_call_is_kept_by_nobody() -> None:
    with ThreadPoolExecutor(1) as executor:

        def fail() -> None:
            things.append(weakref.ref(thing := Thing()))
            raise ValueError(thing)

        things: list[weakref.ref[Thing]] = []
        with pytest.raises(ValueError, match="Thing"):
            executor.submit(fail).result()
        gc.collect()
        until(lambda: things[0]() is None)


def test_a_worker_outlives_a_callback_that_exits(caplog: pytest.LogCaptureFixture) -> None:
    def leave(future: Future[int]) -> None:
        raise SystemExit

    with ThreadPoolExecutor(1) as executor:
        go = threading.Event()
        executor.submit(go.wait, PATIENCE).add_done_callback(leave)
        after = executor.submit(int)
        go.set()
        assert after.result(PATIENCE) == 0
    assert "Exception in worker" in caplog.text


def test_an_executor_that_is_gone_does_what_it_was_given() -> None:
    executor = ThreadPoolExecutor(2)
    go = threading.Event()
    futures = [executor.submit(go.wait, PATIENCE) for _ in range(10)]
    threads = list(executor._threads)
    gone = weakref.ref(executor)
    del executor
    gc.collect()
    assert gone() is None
    go.set()
    assert all(future.result(PATIENCE) for future in futures)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_an_iterator_of_a_map_does_not_keep_the_executor() -> None:
    executor = ThreadPoolExecutor(1)
    gone = weakref.ref(executor)
    results = executor.map(abs, range(-10, 0), buffersize=2)
    assert next(results) == 10
    del executor
    gc.collect()
    assert gone() is None
    assert 1 <= len(list(results)) <= 3


def test_a_failing_initializer_fails_what_waits_and_what_comes() -> None:
    def fail() -> None:
        raise ValueError("no")

    executor = ThreadPoolExecutor(1, initializer=fail)
    future = executor.submit(int)
    with pytest.raises(BrokenThreadPool, match="initializer failed"):
        future.result(PATIENCE)
    with pytest.raises(BrokenExecutor):
        executor.submit(int)
    executor.shutdown()


def test_the_queue_of_work_can_be_looked_at_and_emptied() -> None:
    executor = ThreadPoolExecutor(1)
    go = threading.Event()
    first = executor.submit(go.wait, PATIENCE)
    until(lambda: executor._work_queue.empty())
    futures = [executor.submit(pow, 2, exp=number) for number in range(3)]
    assert executor._work_queue.qsize() == 3
    item = executor._work_queue.get_nowait()
    assert (item.future, item.fn, item.args, item.kwargs) == (futures[0], pow, (2,), {"exp": 0})
    executor._work_queue.put(item)
    go.set()
    assert [future.result() for future in futures] == [1, 2, 4]
    with pytest.raises(queue.Empty):
        executor._work_queue.get_nowait()
    assert first.result()
    executor.shutdown()


def test_a_queue_of_the_programs_own_is_used() -> None:
    class Bounded(ThreadPoolExecutor):
        def __init__(self) -> None:
            super().__init__(2)
            self._work_queue = queue.Queue(2)

    with Bounded() as executor:
        futures = [executor.submit(pow, 2, number) for number in range(20)]
        assert [future.result() for future in futures] == [2**number for number in range(20)]
        assert isinstance(executor._work_queue, queue.Queue)


def test_a_subclass_that_starts_its_threads_itself_does() -> None:
    started = []

    class Own(ThreadPoolExecutor):
        def _adjust_thread_count(self) -> None:
            started.append(self)
            super()._adjust_thread_count()

    with Own(2) as executor:
        assert executor.submit(int).result(PATIENCE) == 0
    assert started


def test_a_forked_child_has_workers_of_its_own() -> None:
    with ThreadPoolExecutor(2) as executor:
        executor.submit(int).result()
        child = os.fork()
        if not child:
            code = 1
            try:
                code = executor.submit(int).result(PATIENCE)
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert executor.submit(int).result() == 0


def test_many_threads_submit_and_cancel() -> None:
    with ThreadPoolExecutor(4) as executor:

        def submit(count: int) -> tuple[int, int]:
            futures = [executor.submit(abs, -1) for _ in range(count)]
            cancelled = sum(future.cancel() for future in futures[::3])
            wait(futures)
            done = sum(future.result() for future in futures if not future.cancelled())
            return cancelled, done

        with ThreadPoolExecutor(4) as submitters:
            for cancelled, done in submitters.map(submit, [2000] * 4):
                assert cancelled + done == 2000
        assert executor._work_queue.qsize() == 0


def test_results_of_a_pool_are_of_the_classes_of_the_module() -> None:
    with ThreadPool(2) as pool:
        assert isinstance(pool, stdlib_pool.ThreadPool)
        assert type(pool.apply_async(int)) is ApplyResult
        assert type(pool.map_async(abs, [1])) is MapResult
        assert type(pool.imap(abs, [1])) is IMapIterator
        assert type(pool.imap_unordered(abs, [1])) is IMapUnorderedIterator


def test_a_pool_calls_back_one_at_a_time_and_in_one_thread() -> None:
    threads, numbers = set(), []

    def note(number: int) -> None:
        threads.add(threading.get_ident())
        numbers.append(number)

    with ThreadPool(4) as pool:
        for number in range(100):
            pool.apply_async(abs, (number,), callback=note)
        pool.close()
        pool.join()
    assert sorted(numbers) == list(range(100))
    assert len(threads) == 1


def test_a_callback_of_a_pool_may_wait_for_its_only_worker() -> None:
    results = []
    with ThreadPool(1) as pool:
        called = pool.apply_async(int, callback=lambda _: results.append(pool.apply(int)))
        called.wait(PATIENCE)
        assert results == [0]


def test_what_a_terminated_pool_has_not_begun_fails() -> None:
    go = threading.Event()
    with ThreadPool(1) as pool:
        under_way = pool.apply_async(go.wait, (PATIENCE,))
        until(lambda: pool._scheduler.backlog == 0)
        waiting = pool.apply_async(int)
        results = pool.imap(abs, iter(int, 1))
    with pytest.raises(ProcessError, match="terminated"):
        waiting.get(PATIENCE)
    with pytest.raises(ProcessError, match="terminated"):
        for _ in results:
            pass
    go.set()
    assert under_way.get(PATIENCE)
    pool.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failing_initializer_of_a_pool_fails_all_calls() -> None:
    def fail() -> None:
        raise SystemExit("no")

    with ThreadPool(1, fail) as pool, pytest.raises(SystemExit, match="no"):
        pool.apply_async(int).get(PATIENCE)


def test_whatever_a_call_of_a_pool_raises_is_its_outcome() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with ThreadPool(1) as pool:
        with pytest.raises(SystemExit):
            pool.apply_async(leave).get(PATIENCE)
        assert pool.apply_async(int).get(PATIENCE) == 0


def test_a_pool_is_closed_after_all_that_its_iterators_have_to_send() -> None:
    go = threading.Event()

    def items() -> object:
        yield 1
        go.wait(PATIENCE)
        yield from range(2, 1000)

    with ThreadPool(2) as pool:
        results = pool.imap(abs, items())
        assert next(results) == 1
        pool.close()
        go.set()
        assert list(results) == list(range(2, 1000))
        pool.join()


def test_the_exception_of_an_iterable_comes_after_the_results() -> None:
    def items() -> object:
        yield 1
        raise LookupError

    with ThreadPool(2) as pool:
        results = pool.imap(abs, items())
        assert next(results) == 1
        with pytest.raises(LookupError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)


@pytest.mark.parametrize("buffersize", [None, 2])
def test_a_map_keeps_no_result_that_was_taken(buffersize: int | None) -> None:
    with ThreadPoolExecutor(1) as executor:
        for thing in executor.map(lambda _: Thing(), range(5), buffersize=buffersize):
            gone = weakref.ref(thing)
            del thing
            assert gone() is None
