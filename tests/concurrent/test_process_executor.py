"""Executors of processes: what is theirs alone."""

from __future__ import annotations

import concurrent.futures.process
import functools
import multiprocessing as stdlib
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import futuretasks
import pooltasks
import pytest
from futuretasks import Unmakeable, length, quarter, where
from manyhands import multiprocessing
from pooltasks import Untellable, square
from support import PATIENCE, Hand, until

RemoteTraceback = concurrent.futures.process._RemoteTraceback
BrokenProcessPool = concurrent.futures.process.BrokenProcessPool

STDLIB_CANNOT = sys.version_info < (3, 11)


@pytest.fixture
def forked(fork_kind: Any) -> Iterator[Any]:
    with fork_kind.make(1) as executor:
        yield executor


def test_an_error_tells_what_the_worker_saw(process_kind: Any) -> None:
    with process_kind.make(1) as executor:
        error = executor.submit(quarter, 0).exception()
        assert type(error) is ZeroDivisionError
        assert isinstance(error.__cause__, RemoteTraceback)
        text = str(error.__cause__)
        assert text.startswith('\n"""\nTraceback (most recent call last):\n')
        assert text.endswith('\n"""')
        parts = ["futuretasks.py", "in quarter\n", "return 4 / number", "ZeroDivisionError: "]
        assert re.search(".*".join(map(re.escape, parts)), text, re.DOTALL), text
        printed = "".join(traceback.format_exception(error))
        assert "_RemoteTraceback" in printed
        assert "direct cause" in printed


def test_an_error_of_a_map_tells_what_the_worker_saw(forked: Any) -> None:
    for size in (1, 3):
        with pytest.raises(ZeroDivisionError) as caught:
            list(forked.map(quarter, [1, 0, 2], chunksize=size))
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        assert "in quarter\n" in str(caught.value.__cause__)


def test_what_led_to_an_error_is_in_its_text(forked: Any) -> None:
    error = forked.submit(pooltasks.fail_because).exception()
    assert type(error) is ValueError
    text = str(error.__cause__)
    parts = ["KeyError: 'key'", "direct cause", "ValueError: no such meal"]
    assert re.search(".*".join(map(re.escape, parts)), text, re.DOTALL), text


def test_what_cannot_be_pickled_fails_alone(forked: Any) -> None:
    thing = Untellable("the soup")
    futures = [
        forked.submit(length, [thing]),
        forked.submit(length, thing=thing),
        forked.submit(thing),
        forked.submit(pooltasks.give_untellable),
        forked.submit(pooltasks.fail_untellably),
    ]
    for future in futures:
        with pytest.raises(TypeError, match="cannot tell the soup"):
            future.result()
    with pytest.raises(Exception, match="pickle"):
        forked.submit(lambda: 3, Untellable).result()
    with pytest.raises(TypeError, match="cannot tell the soup"):
        list(forked.map(length, [[thing]]))
    assert forked.submit(square, 3).result() == 9


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_raises_what_cannot_be_pickled_after_what_came_before(
    forked: Any, chunksize: int
) -> None:
    items = [[1], [2, 3], [Untellable("the soup")], [4]]
    results = forked.map(length, items, chunksize=chunksize)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(TypeError, match="cannot tell the soup"):
        next(results)


cannot_be_unpickled = pytest.mark.parametrize(
    ("call", "args"),
    [
        (pooltasks.give_perishable, ()),
        (pooltasks.fail_needily, ()),
        (length, ([Unmakeable()],)),
        (Unmakeable(), ()),
    ],
    ids=["result", "error", "argument", "function"],
)


@cannot_be_unpickled
def test_what_cannot_be_unpickled_is_an_error(fork_kind: Any, call: Any, args: Any) -> None:
    with fork_kind.make(1) as executor:
        assert isinstance(executor.submit(call, *args).exception(), Exception)


@cannot_be_unpickled
def test_ours_goes_on_after_what_cannot_be_unpickled(
    our_fork_kind: Any, call: Any, args: Any
) -> None:
    """It breaks the standard library's executors."""
    with our_fork_kind.make(1) as executor:
        dying, after = executor.submit(call, *args), executor.submit(square, 3)
        assert isinstance(dying.exception(), Exception)
        assert after.result() == 9


def test_a_chunk_is_not_empty(forked: Any) -> None:
    for size in (0, -1):
        with pytest.raises(ValueError, match=r"chunksize must be >= 1\."):
            forked.map(square, [3], chunksize=size)
    assert list(forked.map(square, [3], chunksize=2)) == [9]


def test_large_things_come_and_go(forked: Any) -> None:
    for size in (1 << 16, 1 << 20, 1 << 24):
        assert forked.submit(length, b"x" * size).result() == size
        assert forked.submit(bytes, size).result() == bytes(size)


def test_many_calls_are_made(forked: Any) -> None:
    futures = [forked.submit(square, number) for number in range(500)]
    assert [future.result() for future in futures] == [number * number for number in range(500)]


def test_methods_and_partial_functions_are_called(forked: Any) -> None:
    assert forked.submit(functools.partial(pow, 2), 5).result() == 32
    assert forked.submit("soup".upper).result() == "SOUP"
    assert forked.submit(futuretasks.apply, square, 3).result() == 9
    assert list(forked.map(functools.partial(pow, 2), range(3))) == [1, 2, 4]


def test_the_workers_can_be_read(process_kind: Any) -> None:
    with process_kind.make(1) as executor:
        pid, _ = executor.submit(where).result()
        processes = executor._processes
        assert list(processes) == [pid]
        assert processes[pid].pid == pid
        assert processes[pid].is_alive()
        assert isinstance(processes[pid], stdlib.process.BaseProcess)
        assert executor._max_workers == 1
        worker = processes[pid]
    assert not executor._processes
    until(lambda: not worker.is_alive())


def test_there_are_as_many_workers_as_are_wanted(process_kind: Any) -> None:
    with process_kind.gated(2) as gated:
        pids = {pid for pid, _ in gated.meet()}
        assert set(gated.executor._processes) == pids
        gated.block()
        for number in range(10):
            gated.executor.submit(square, number)
        assert set(gated.executor._processes) == pids


def test_workers_have_a_start_method_if_none_is_wanted(futures: Any) -> None:
    with futures.ProcessPoolExecutor(1) as executor:
        assert executor.submit(square, 3).result() == 9
        assert executor.submit(where).result()[0] != os.getpid()
    with futures.ProcessPoolExecutor(max_workers=None) as executor:
        assert 1 <= executor._max_workers <= (os.cpu_count() or 1)


def test_workers_are_no_daemons_and_know_their_parent(fork_kind: Any) -> None:
    with fork_kind.make(1) as executor:
        about = executor.submit(pooltasks.about_me).result()
    assert about["parent"] == os.getpid()
    assert about["daemon"] is False
    assert about["main thread"] is True


@pytest.mark.skipif(STDLIB_CANNOT, reason="workers live for ever")
def test_workers_are_replaced_when_they_have_done_enough(spawn_kind: Any) -> None:
    with spawn_kind.make(1, max_tasks_per_child=2) as executor:
        pids = [executor.submit(where).result()[0] for _ in range(5)]
        until(lambda: pids[0] not in executor._processes)
    assert pids[0] == pids[1] != pids[2]
    assert pids[2] == pids[3] != pids[4]


def test_ours_replaces_workers_while_tasks_are_queued(our_spawn_kind: Any) -> None:
    """The standard library's executors hang then."""
    with our_spawn_kind.make(1, max_tasks_per_child=2) as executor:
        futures = [executor.submit(where) for _ in range(5)]
        pids = [future.result()[0] for future in futures]
    assert pids[0] == pids[1] != pids[2]
    assert pids[2] == pids[3] != pids[4]


def test_a_worker_that_had_a_result_is_among_the_processes(
    our_spawn_kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_return = threading.Event()
    may_return.set()
    cls = multiprocessing.context.SpawnProcess
    start = cls.start

    def start_and_wait(self: Any) -> None:
        start(self)
        assert may_return.wait(PATIENCE)

    monkeypatch.setattr(cls, "start", start_and_wait)
    with our_spawn_kind.make(1, max_tasks_per_child=2) as executor:
        first = executor.submit(os.getpid).result()
        may_return.clear()
        assert executor.submit(os.getpid).result() == first
        second = executor.submit(os.getpid).result(PATIENCE)
        hand = Hand(lambda: list(executor._processes))
        may_return.set()
        assert hand.result() == [second] != [first]


@pytest.mark.skipif(STDLIB_CANNOT, reason="workers live for ever")
def test_forked_workers_are_not_replaced(fork_kind: Any) -> None:
    with pytest.raises(ValueError, match="max_tasks_per_child is incompatible with the 'fork'"):
        fork_kind.make(1, max_tasks_per_child=1)


@pytest.mark.skipif(STDLIB_CANNOT, reason="workers live for ever")
def test_a_worker_lives_for_one_task_or_more(spawn_kind: Any) -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1"):
            spawn_kind.make(1, max_tasks_per_child=wrong)
    for strange in ("2", 1.5):
        with pytest.raises(TypeError, match="max_tasks_per_child must be an integer"):
            spawn_kind.make(1, max_tasks_per_child=strange)


def test_the_kind_of_error_of_broken_executors_is_one_for_everybody(futures: Any) -> None:
    assert futures.process.BrokenProcessPool is BrokenProcessPool
    assert issubclass(BrokenProcessPool, futures.BrokenExecutor)
    assert futures.BrokenExecutor is concurrent.futures.BrokenExecutor
    assert issubclass(futures.BrokenExecutor, RuntimeError)


def test_other_threads_may_use_and_end_an_executor(forked: Any) -> None:
    assert Hand(lambda: forked.submit(square, 3).result()).result() == 9
    assert Hand(lambda: list(forked.map(square, [1, 2]))).result() == [1, 4]
    Hand(forked.shutdown).finish()
    with pytest.raises(RuntimeError, match="after shutdown"):
        forked.submit(square, 3)


def test_ours_refuses_a_call_that_comes_while_it_is_shut_down(our_fork_kind: Any) -> None:
    with our_fork_kind.make(1) as executor:
        assert executor.submit(square, 3).result() == 9
        # As a thread finds it that has looked before another one shut it down.
        executor._pool.close()
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            executor.submit(square, 3)
