"""Executors of threads: what is theirs alone."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import re
import threading
import traceback
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from futuretasks import HERE, thread_name
from pooltasks import raise_from_initializer, square
from support import PATIENCE, Hand, alarm, in_fork, until


class Thing:
    """Can be referred to weakly."""


@pytest.fixture
def pool(thread_kind: Any) -> Iterator[Any]:
    with thread_kind.make(2) as executor:
        yield executor


@pytest.fixture
def held(pool: Any) -> Iterator[threading.Event]:
    """Keeps both threads of the pool busy until it is set."""
    gate = threading.Event()
    begun = threading.Barrier(3)

    def hold() -> None:
        begun.wait()
        gate.wait()

    for _ in range(2):
        pool.submit(hold)
    begun.wait()
    yield gate
    gate.set()


def test_threads_have_the_name_that_was_wanted(thread_kind: Any) -> None:
    with thread_kind.make(1, thread_name_prefix="buns") as executor:
        assert executor.submit(thread_name).result() == "buns_0"
        assert executor._thread_name_prefix == "buns"


def test_threads_have_names_by_themselves(thread_kind: Any) -> None:
    numbers = []
    for _ in range(2):
        with thread_kind.make(1) as executor:
            found = re.fullmatch(
                r"ThreadPoolExecutor-(\d+)_0", executor.submit(thread_name).result()
            )
            assert found
            numbers.append(int(found[1]))
    assert numbers[0] < numbers[1]


def test_there_are_as_many_threads_as_are_needed(thread_kind: Any) -> None:
    gate = threading.Event()
    with thread_kind.make(5) as executor:
        assert len(executor._threads) == 0
        for count in (1, 2, 3):
            executor.submit(gate.wait)
            until(lambda count=count: len(executor._threads) == count)
        for thread in executor._threads:
            assert isinstance(thread, threading.Thread)
            assert thread in threading.enumerate()
            assert thread.is_alive()
            assert not thread.daemon
        gate.set()
    assert len(executor._threads) == 3
    assert not any(thread.is_alive() for thread in executor._threads)


def test_there_are_no_more_threads_than_wanted(pool: Any, held: threading.Event) -> None:
    for number in range(10):
        pool.submit(square, number)
    assert len(pool._threads) == pool._max_workers == 2


def test_what_is_queued_can_be_counted(pool: Any, held: threading.Event) -> None:
    futures = [pool.submit(square, number) for number in range(5)]
    assert pool._work_queue.qsize() == 5
    held.set()
    concurrent.futures.wait(futures)
    until(lambda: pool._work_queue.qsize() == 0)


def test_a_pool_chooses_a_number_of_threads(thread_kind: Any) -> None:
    for options in ({}, {"max_workers": None}):
        with thread_kind.futures.ThreadPoolExecutor(**options) as executor:
            assert 1 <= executor._max_workers <= 32


def test_what_an_initializer_has_set_is_there_in_tasks(thread_kind: Any) -> None:
    def prepare(*args: Any) -> None:
        HERE.prepared = (threading.get_ident(), args)

    def look() -> bool:
        ident, args = HERE.prepared
        return ident == threading.get_ident() and args == (1, "two")

    with thread_kind.make(1, initializer=prepare, initargs=(1, "two")) as executor:
        assert executor.submit(look).result()
    assert not hasattr(HERE, "prepared")


def test_a_failing_initializer_is_logged(
    thread_kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"initializer": raise_from_initializer, "initargs": ("no flour",)}
    with thread_kind.make(1, **options) as executor:
        with contextlib.suppress(concurrent.futures.thread.BrokenThreadPool):
            executor.submit(square, 3).exception()
        until(lambda: caplog.records)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("concurrent.futures", "CRITICAL")
    assert record.getMessage() == "Exception in initializer:"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no flour"


def test_an_error_is_the_one_that_was_raised(pool: Any) -> None:
    error = LookupError("salt")

    def spoil() -> None:
        raise error

    future = pool.submit(spoil)
    with pytest.raises(LookupError) as caught:
        future.result()
    assert caught.value is error
    assert error.__cause__ is None
    assert "in spoil\n" in "".join(traceback.format_exception(error))


def test_a_result_is_the_thing_itself(pool: Any) -> None:
    thing = Thing()
    assert pool.submit(lambda: thing).result() is thing
    assert next(pool.map(lambda given: given, [thing])) is thing


def test_what_a_task_was_given_is_let_go(pool: Any) -> None:
    given, kept = Thing(), Thing()
    references = [weakref.ref(given), weakref.ref(kept)]
    future = pool.submit(lambda thing, *, more: len([thing, more]), given, more=kept)
    del given, kept
    assert future.result() == 2
    until(lambda: not any(reference() for reference in references))


def test_what_a_task_gave_goes_with_its_future(pool: Any) -> None:
    future = pool.submit(Thing)
    reference = weakref.ref(future.result())
    assert reference() is not None
    del future
    until(lambda: reference() is None)


def test_map_lets_go_of_results_that_were_taken(pool: Any) -> None:
    results = pool.map(lambda _: Thing(), range(3))
    for _ in range(3):
        reference = weakref.ref(next(results))
        until(lambda reference=reference: reference() is None)


def test_map_takes_any_size_of_chunks(pool: Any) -> None:
    assert list(pool.map(square, [3, 4], chunksize=0)) == [9, 16]


def test_a_task_may_submit_to_its_own_pool(pool: Any) -> None:
    inner = pool.submit(lambda: pool.submit(square, 3)).result()
    assert inner.result() == 9


def test_a_cancelled_call_is_let_go(pool: Any, held: threading.Event) -> None:
    thing = Thing()
    reference = weakref.ref(thing)
    future = pool.submit(id, thing)
    del thing
    assert future.cancel()
    held.set()
    until(lambda: reference() is None)


def test_a_pool_may_be_ended_by_one_of_its_threads(thread_kind: Any) -> None:
    executor = thread_kind.make(2)
    executor.submit(executor.shutdown, wait=False).result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 3)
    executor.shutdown()


def test_a_signal_handler_may_submit(pool: Any, held: threading.Event) -> None:
    submitted: list[Any] = []
    last = threading.Event()
    with alarm(lambda: submitted.append(pool.submit(last.set)), after=0.01):
        until(lambda: submitted)
    held.set()
    assert last.wait(30)


def test_a_forked_child_may_use_a_pool_of_its_own(thread_kind: Any) -> None:
    def use() -> None:
        with thread_kind.make(2) as executor:
            assert list(executor.map(square, range(5))) == [0, 1, 4, 9, 16]

    use()
    in_fork(use)
    with thread_kind.make(2) as executor:
        assert executor.submit(square, 3).result() == 9
        in_fork(use)
        assert executor.submit(square, 4).result() == 16


def test_each_thread_of_many_ends_its_own_pool(thread_kind: Any) -> None:
    def use() -> int:
        with thread_kind.make(3) as executor:
            return sum(executor.map(square, range(100)))

    hands = [Hand(use) for _ in range(4)]
    assert [hand.result() for hand in hands] == [328350] * 4


def test_a_pool_in_a_cycle_is_collected_with_its_threads(thread_kind: Any) -> None:
    executor = thread_kind.make(1)
    executor.me = executor
    (thread,) = (executor.submit(threading.current_thread).result(),)
    del executor
    gc.collect()
    until(lambda: not thread.is_alive())


def test_who_waits_goes_on_though_the_worker_has_another_call(thread_kind: Any) -> None:
    with thread_kind.make(1) as executor:
        begin, answered = threading.Event(), threading.Event()
        first = executor.submit(begin.wait, PATIENCE)
        second = executor.submit(answered.wait, PATIENCE)
        waiting = Hand(lambda: first.result(PATIENCE) and answered.set()).blocks()
        begin.set()
        assert second.result(PATIENCE)
        waiting.result()
