"""Executors of threads and of processes: what is asked of them, and what comes of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Iterator
from typing import Any

import futuretasks
import pooltasks
import pytest
from futuretasks import hold, hold_unless_zero, quarter, raise_this, say
from pooltasks import broken_after, square, subtract, tell
from support import Hand, alarm, until


class Stop(Exception):
    """What a signal handler raises."""


def interrupt() -> None:
    raise Stop


def test_a_call_is_made_with_the_arguments_that_were_given(shared: Any) -> None:
    submit = shared.executor.submit
    assert submit(tell).result() == ((), {})
    assert submit(tell, 1, "two", three=[3]).result() == ((1, "two"), {"three": [3]})
    names = {"fn": 1, "self": 2, "args": 3, "kwargs": 4, "timeout": 5, "task": 6}
    assert submit(tell, **names).result() == ((), names)
    with pytest.raises(TypeError):
        submit()
    with pytest.raises(TypeError):
        submit(fn=tell)


def test_submit_gives_a_future(shared: Any) -> None:
    future = shared.executor.submit(square, 3)
    assert isinstance(future, shared.kind.futures.Future)
    assert future.result() == 9
    assert future.done()
    assert not future.running()
    assert not future.cancelled()
    assert not future.cancel()
    assert future.exception() is None
    assert repr(future).endswith("state=finished returned int>")


def test_a_result_is_waited_for_with_a_limit(shared: Any) -> None:
    future = shared.executor.submit(hold, 3)
    assert shared.tools.said.get() == 3
    for ask in (future.result, future.exception):
        with pytest.raises(shared.kind.futures.TimeoutError):
            ask(0.01)
    assert future.running()
    assert not future.cancel()
    shared.tools.gate.set()
    assert future.result(30) == 3


def test_a_signal_handler_that_raises_ends_the_wait_for_a_result(shared: Any) -> None:
    future = shared.executor.submit(hold, 3)
    with pytest.raises(Stop), alarm(interrupt):
        future.result()
    shared.tools.gate.set()
    assert future.result() == 3


def test_what_is_raised_arrives(shared: Any) -> None:
    future = shared.executor.submit(raise_this, LookupError("salt", 3))
    error = future.exception()
    assert type(error) is LookupError
    assert error.args == ("salt", 3)
    with pytest.raises(LookupError) as caught:
        future.result()
    assert caught.value is error
    with pytest.raises(TypeError, match="unexpected keyword argument 'salt'"):
        shared.executor.submit(square, salt=3).result()
    with pytest.raises(TypeError, match="not callable"):
        shared.executor.submit(3).result()


def test_an_error_keeps_what_was_put_into_it(shared: Any) -> None:
    error = shared.executor.submit(pooltasks.fail_oddly).exception()
    assert type(error) is pooltasks.Oddity
    assert (error.code, error.why) == (7, "because")


@pytest.mark.parametrize("kind_of_error", [SystemExit, KeyboardInterrupt, pooltasks.Abandon])
def test_what_is_no_exception_is_an_outcome_like_others(
    shared: Any, kind_of_error: type[BaseException]
) -> None:
    future = shared.executor.submit(raise_this, kind_of_error(3))
    error = future.exception()
    assert type(error) is kind_of_error
    assert error.args == (3,)
    with pytest.raises(kind_of_error):
        future.result()
    shared.meet()


def test_work_is_done_by_all_workers(shared: Any) -> None:
    places = set(shared.meet())
    assert len(places) == 2
    here = (os.getpid(), threading.get_ident())
    assert here not in places
    pids = {pid for pid, _ in places}
    assert pids == {os.getpid()} if shared.kind.is_thread else os.getpid() not in pids


def test_callbacks_are_called_in_this_process(shared: Any) -> None:
    called: list[Any] = []
    future = shared.executor.submit(hold, 3)
    for _ in range(2):
        future.add_done_callback(lambda given: called.append((given.result(), os.getpid())))
    assert called == []
    shared.tools.gate.set()
    until(lambda: len(called) == 2)
    assert called == [(3, os.getpid())] * 2


def test_a_callback_may_submit_more(shared: Any) -> None:
    more: list[Any] = []
    future = shared.executor.submit(square, 3)
    future.add_done_callback(lambda given: more.append(shared.executor.submit(square, 9)))
    until(lambda: more)
    assert more[0].result() == 81


def test_a_queued_future_can_be_cancelled_and_is_never_run(shared: Any) -> None:
    running = shared.block()
    queued = [shared.executor.submit(say, number) for number in range(10, 30)]
    assert not queued[-1].running()
    assert queued[-1].cancel()
    assert queued[-1].cancelled()
    assert not running[0].cancel()
    shared.tools.gate.set()
    with pytest.raises(shared.kind.futures.CancelledError):
        queued[-1].result()
    assert [future.result() for future in queued[:-1]] == list(range(10, 29))
    shared.meet()
    assert sorted(shared.said()) == list(range(10, 29))


def test_waiting_hears_of_what_workers_have_done(shared: Any) -> None:
    futures = shared.kind.futures
    blocked = shared.executor.submit(hold, 1)
    quick = shared.executor.submit(square, 2)
    done, open_ = futures.wait([blocked, quick], return_when=futures.FIRST_COMPLETED)
    assert (done, open_) == ({quick}, {blocked})
    coming = futures.as_completed([blocked, quick])
    assert next(coming) is quick
    shared.tools.gate.set()
    assert next(coming) is blocked
    failing = [shared.executor.submit(quarter, 0), shared.executor.submit(square, 3)]
    assert failing[0] in futures.wait(failing, return_when=futures.FIRST_EXCEPTION).done


def test_waiting_hears_of_what_was_cancelled_in_the_queue(shared: Any) -> None:
    running = shared.block()
    queued = [shared.executor.submit(square, number) for number in range(20)]
    assert queued[-1].cancel()
    waiting = Hand(shared.kind.futures.wait, [*running, *queued])
    shared.tools.gate.set()
    assert waiting.result() == ({*running, *queued}, set())


def test_map_gives_results_in_the_order_of_the_items(shared: Any) -> None:
    call = shared.executor.map
    assert list(call(square, range(20))) == [number * number for number in range(20)]
    assert list(call(square, iter([3, 2]))) == [9, 4]
    assert list(call(square, [])) == []
    assert list(call(subtract, [5, 7, 9], (3, 2))) == [2, 5]
    assert list(call(subtract, iter([5]), [3, 2, 1], timeout=30)) == [2]
    for size in (1, 3, 7, 100):
        assert list(call(subtract, range(7, 14), range(9), chunksize=size)) == [7] * 7


def test_map_has_taken_all_items_when_it_returns(shared: Any) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    results = shared.executor.map(square, items(), chunksize=3)
    assert taken == list(range(10))
    assert list(results) == [number * number for number in range(10)]


def test_map_gives_an_iterator(shared: Any) -> None:
    results = shared.executor.map(square, [3, 4])
    assert iter(results) is results
    assert next(results) == 9
    assert next(results) == 16
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def test_map_raises_at_once_what_its_items_raise(shared: Any) -> None:
    with pytest.raises(LookupError, match="no more"):
        shared.executor.map(square, broken_after([1, 2]))
    with pytest.raises(TypeError, match="not iterable"):
        shared.executor.map(square, 3)
    assert shared.executor.submit(square, 3).result() == 9


def test_map_raises_what_a_call_raises_and_ends(shared: Any) -> None:
    results = shared.executor.map(quarter, [4, 2, 0, 1])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_a_failure_hides_nothing_but_its_own_chunk(shared: Any) -> None:
    results = shared.executor.map(quarter, [4, 2, 1, 0], chunksize=2)
    assert [next(results), next(results)] == [1, 2]
    if shared.kind.is_thread:
        assert next(results) == 4
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_map_has_a_limit_that_begins_with_the_call(shared: Any) -> None:
    results = shared.executor.map(hold_unless_zero, [0, 1], timeout=0.05)
    assert shared.tools.said.get() == 1
    with pytest.raises(shared.kind.futures.TimeoutError):
        list(results)
    with pytest.raises(shared.kind.futures.TimeoutError):
        next(shared.executor.map(hold, [2], timeout=0))


def both_have_one(shared: Any) -> None:
    for _ in range(shared.workers):
        assert shared.tools.said.get() < 20


def test_map_that_is_left_cancels_what_has_not_begun(shared: Any) -> None:
    results = shared.executor.map(hold_unless_zero, range(40))
    assert next(results) == 0
    # Whoever had none yet could be faster than what is left.
    both_have_one(shared)
    results.close()
    shared.tools.gate.set()
    shared.meet()
    assert not set(shared.said()) & set(range(20, 40))


def test_map_that_takes_too_long_cancels_what_has_not_begun(shared: Any) -> None:
    results = shared.executor.map(hold, range(40), timeout=0.05)
    both_have_one(shared)
    with pytest.raises(shared.kind.futures.TimeoutError):
        next(results)
    shared.tools.gate.set()
    shared.meet()
    assert not set(shared.said()) & set(range(20, 40))


def test_asyncio_runs_calls_in_it(shared: Any) -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(shared.executor, square, number) for number in range(5)]
        results = await asyncio.gather(*calls)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(shared.executor, quarter, 0)
        return results

    assert asyncio.run(main()) == [0, 1, 4, 9, 16]


def test_many_threads_may_submit(shared: Any) -> None:
    def work(first: int) -> list[int]:
        futures = [shared.executor.submit(square, first + number) for number in range(30)]
        return [future.result() for future in futures]

    hands = [Hand(work, first) for first in range(0, 120, 30)]
    got = [number for hand in hands for number in hand.result()]
    assert got == [number * number for number in range(120)]


def test_a_task_may_use_another_executor(shared: Any) -> None:
    future = shared.executor.submit(
        futuretasks.sum_in_another, shared.kind.futures.__name__, "ThreadPoolExecutor", [-3, 4]
    )
    assert future.result() == 7


def test_an_executor_is_one_for_everybody(shared: Any) -> None:
    name = "ThreadPoolExecutor" if shared.kind.is_thread else "ProcessPoolExecutor"
    assert isinstance(shared.executor, concurrent.futures.Executor)
    assert isinstance(shared.executor, getattr(concurrent.futures, name))
    assert type(shared.executor).__name__ == name
    assert shared.executor._max_workers == 2
