"""Workers of our executors that die: what only we promise, so that only ours are tried."""

from __future__ import annotations

import concurrent.futures.process
import multiprocessing as stdlib
import os
import signal
from importlib import import_module
from typing import Any

import pooltasks
import pytest
from futuretasks import hold, hold_and_die, say, sum_in_processes, take, where
from manyhands.multiprocessing.pool import WorkerDied
from pooltasks import kill_me, kill_me_at_five, leave, square
from support import Hand, has_ended, until

BrokenProcessPool = concurrent.futures.process.BrokenProcessPool

#: What ends all workers at once.
OPERATIONS = ["terminate_workers", "kill_workers"]


def test_a_killed_worker_takes_one_call_with_it(our_process_kind: Any) -> None:
    with our_process_kind.make(2) as executor:
        before = [executor.submit(square, number) for number in range(10)]
        dying = executor.submit(kill_me)
        after = [executor.submit(square, number) for number in range(10)]
        with pytest.raises(WorkerDied) as caught:
            dying.result()
        assert isinstance(caught.value, BrokenProcessPool)
        assert caught.value.exitcode == -signal.SIGKILL
        squares = [number * number for number in range(10)]
        assert [future.result() for future in before] == squares
        assert [future.result() for future in after] == squares
        assert executor.submit(square, 3).result() == 9


def test_a_worker_that_leaves_takes_one_call_with_it(our_fork_kind: Any) -> None:
    with our_fork_kind.make(1) as executor:
        pid, _ = executor.submit(where).result()
        dying, after = executor.submit(leave, 7), executor.submit(where)
        error = dying.exception()
        assert isinstance(error, WorkerDied)
        assert (error.pid, error.exitcode) == (pid, 7)
        assert after.result()[0] != pid


def test_an_executor_outlives_many_deaths(our_fork_kind: Any) -> None:
    with our_fork_kind.make(2) as executor:
        futures = [
            executor.submit(kill_me) if number % 5 == 0 else executor.submit(square, number)
            for number in range(50)
        ]
        for number, future in enumerate(futures):
            if number % 5 == 0:
                assert isinstance(future.exception(), WorkerDied)
            else:
                assert future.result() == number * number


def test_a_map_raises_at_the_call_that_died(our_fork_kind: Any) -> None:
    with our_fork_kind.make(2) as executor:
        results = executor.map(kill_me_at_five, range(10))
        assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
        with pytest.raises(WorkerDied):
            next(results)
        assert list(executor.map(square, range(3))) == [0, 1, 4]


def test_who_waits_hears_of_a_death(our_fork_kind: Any) -> None:
    called: list[Any] = []
    with our_fork_kind.gated(2) as gated:
        dying = gated.executor.submit(hold_and_die)
        dying.add_done_callback(called.append)
        staying = gated.executor.submit(say, 3)
        assert gated.tools.said.get()
        waiting = Hand(our_fork_kind.futures.wait, [dying, staying])
        asking = Hand(dying.exception).blocks()
        gated.tools.gate.set()
        assert waiting.result().done == {dying, staying}
        assert isinstance(asking.result(), WorkerDied)
        until(lambda: called == [dying])
        assert staying.result() == 3


def test_an_idle_worker_that_is_killed_takes_nothing_with_it(our_process_kind: Any) -> None:
    with our_process_kind.gated(2) as gated:
        pids = [pid for pid, _ in gated.meet()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        futures = [gated.executor.submit(square, number) for number in range(10)]
        assert [future.result() for future in futures] == [number * number for number in range(10)]
        until(lambda: len(set(gated.executor._processes) - set(pids)) == 2)
        assert not set(gated.executor._processes) & set(pids)


def test_the_worker_that_replaces_a_dead_one_is_initialized(our_process_kind: Any) -> None:
    with our_process_kind.gated(1) as gated:
        assert isinstance(gated.executor.submit(kill_me).exception(), WorkerDied)
        assert gated.executor.submit(say, 3).result() == 3
        assert gated.tools.said.get() == 3


def test_workers_of_a_dropped_executor_are_replaced_while_there_is_work(
    our_fork_kind: Any,
) -> None:
    tools = our_fork_kind.tools(1)
    executor = our_fork_kind.make(1, initializer=take, initargs=(tools,))
    dying = executor.submit(hold_and_die)
    futures = [executor.submit(square, number) for number in range(5)]
    del executor
    assert tools.said.get()
    tools.gate.set()
    assert isinstance(dying.exception(), WorkerDied)
    assert [future.result() for future in futures] == [0, 1, 4, 9, 16]


def test_all_that_waits_in_a_long_queue_can_be_cancelled(our_fork_kind: Any) -> None:
    with our_fork_kind.gated(1) as gated:
        (running,) = gated.block()
        queued = [gated.executor.submit(say, number) for number in range(10, 1010)]
        assert not any(future.running() for future in queued)
        kept = queued[::100]
        for future in queued:
            if future not in kept:
                assert future.cancel()
                assert future.cancelled()
        assert not running.cancel()
        gated.tools.gate.set()
        assert running.result() == 0
        assert [future.result() for future in kept] == list(range(10, 1010, 100))
        gated.meet()
        assert gated.said() == list(range(10, 1010, 100))


def test_the_next_in_the_queue_can_be_cancelled(our_process_kind: Any) -> None:
    with our_process_kind.gated(1) as gated:
        gated.block()
        queued = gated.executor.submit(say, 3)
        assert queued.cancel()
        gated.tools.gate.set()
        gated.meet()
        assert gated.said() == []
        assert gated.executor.submit(square, 3).result() == 9


def test_a_future_runs_while_a_worker_does_it(our_process_kind: Any) -> None:
    with our_process_kind.gated(1) as gated:
        running, queued = gated.executor.submit(hold, 1), gated.executor.submit(hold, 2)
        assert gated.tools.said.get() == 1
        until(running.running)
        assert not running.cancel()
        assert not queued.running()
        gated.tools.gate.set()
        assert [running.result(), queued.result()] == [1, 2]
        assert not running.running()


def test_a_shutdown_cancels_all_that_waits(our_fork_kind: Any) -> None:
    with our_fork_kind.gated(2) as gated:
        running = gated.block()
        queued = [gated.executor.submit(say, number) for number in range(10)]
        gated.executor.shutdown(wait=False, cancel_futures=True)
        until(lambda: all(future.cancelled() for future in queued))
        gated.tools.gate.set()
        assert [future.result() for future in running] == [0, 1]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_workers_are_ended_whatever_they_do(our_process_kind: Any, operation: str) -> None:
    with our_process_kind.gated(2) as gated:
        pids = [pid for pid, _ in gated.meet()]
        running = gated.block()
        queued = [gated.executor.submit(say, number) for number in range(10)]
        asking = Hand(queued[-1].exception)
        assert getattr(gated.executor, operation)() is None
        for future in running:
            assert isinstance(future.exception(), BrokenProcessPool)
        until(lambda: all(future.done() for future in queued))
        assert all(f.cancelled() or isinstance(f.exception(), BrokenProcessPool) for f in queued)
        asking.finish()
        until(lambda: all(has_ended(pid) for pid in pids))
        with pytest.raises(RuntimeError):
            gated.executor.submit(square, 3)
        assert gated.said() == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_idle_workers_are_ended(our_fork_kind: Any, operation: str) -> None:
    executor = our_fork_kind.make(2)
    done = executor.submit(where)
    pid, _ = done.result()
    for _ in range(2):
        getattr(executor, operation)()
        with pytest.raises(RuntimeError):
            executor.submit(square, 3)
    until(lambda: has_ended(pid))
    assert done.result()[0] == pid
    executor.shutdown()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_executor_that_was_not_used_or_has_ended_has_no_workers_to_end(
    our_fork_kind: Any, operation: str
) -> None:
    executor = our_fork_kind.make(1)
    getattr(executor, operation)()
    executor = our_fork_kind.make(1)
    assert executor.submit(square, 3).result() == 9
    executor.shutdown()
    getattr(executor, operation)()


def test_a_task_may_use_processes_of_its_own(our_process_kind: Any) -> None:
    with our_process_kind.make(1) as executor:
        future = executor.submit(
            sum_in_processes,
            our_process_kind.futures.__name__,
            "manyhands.multiprocessing",
            our_process_kind.name,
            [-3, 4],
        )
        assert future.result() == 7


def test_a_failing_initializer_says_why(our_fork_kind: Any) -> None:
    options = {"initializer": pooltasks.raise_from_initializer, "initargs": ("no flour",)}
    with our_fork_kind.make(1, **options) as executor:
        error = executor.submit(square, 3).exception()
        assert isinstance(error, BrokenProcessPool)
        told = [error, error.__cause__, error.__context__]
        assert "no flour" in " ".join(str(part) for part in told)


def test_a_context_of_the_standard_library_will_do() -> None:
    ours = import_module("manyhands.concurrent.futures")
    with ours.ProcessPoolExecutor(1, mp_context=stdlib.get_context("fork")) as executor:
        assert executor.submit(square, 3).result() == 9
