"""What users of the standard library's pools suffer from, and do not here."""

from __future__ import annotations

import concurrent.futures.process
import functools
import os
import random
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count, islice
from pathlib import Path
from typing import Any

import pooltasks
import pytest
from manyhands import multiprocessing
from pooltasks import Abandon, keep, square
from support import run_file, start_all, until, until_blocked

METHODS = ["fork", "forkserver", "spawn"]

pools: Any = import_module("manyhands.multiprocessing.pool")
IS_OURS = pools.Pool is not import_module("multiprocessing.pool").Pool

pytestmark = [
    pytest.mark.skipif(not IS_OURS, reason="the standard library's pool promises nothing of it"),
    pytest.mark.patience(120),
    pytest.mark.usefixtures("pools_are_collected"),
]


@pytest.fixture
def pool(our: Any) -> Iterator[Any]:
    with our.Pool(2) as pool:
        # Until all is put away pytest keeps what it was given.
        yield weakref.proxy(pool)


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def assert_died(error: Any, exitcode: int, *words: str) -> None:
    """It tells of the end of a worker, in its attributes and its text."""
    assert issubclass(pools.WorkerDied, concurrent.futures.process.BrokenProcessPool)
    assert isinstance(error, pools.WorkerDied)
    assert error.exitcode == exitcode
    assert error.pid not in (None, os.getpid())
    for word in (str(error.pid), *words):
        assert word in str(error)


def until_whole(pool: Any, count: int = 2) -> None:
    """It has so many workers, all alive, that work."""
    until(lambda: [worker.is_alive() for worker in pool._pool] == [True] * count)
    assert pool.map(square, range(20), 1) == [number * number for number in range(20)]


def outcomes(results: Any) -> Iterator[Any]:
    """What an iterator gives, or raises."""
    while True:
        try:
            yield next(results)
        except StopIteration:
            return
        except Exception as error:
            yield error


def test_the_death_of_a_worker_is_the_error_of_its_task(context: Any) -> None:
    with context.Pool(2) as pool:
        pids = {worker.pid for worker in pool._pool}
        with pytest.raises(pools.WorkerDied) as caught:
            pool.apply(pooltasks.kill_me)
        assert_died(caught.value, -signal.SIGKILL, "SIGKILL", "kill_me")
        assert caught.value.pid in pids
        until_whole(pool)
        assert caught.value.pid not in {worker.pid for worker in pool._pool}
        with pytest.raises(pools.WorkerDied) as caught:
            pool.apply_async(pooltasks.leave, (3,)).get()
        assert_died(caught.value, 3, "3", "leave")
        until_whole(pool)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_the_error_names_the_signal(our: Any, number: signal.Signals) -> None:
    with our.Pool(1) as pool:
        with pytest.raises(pools.WorkerDied) as caught:
            pool.apply(pooltasks.kill_me, (number,))
        assert_died(caught.value, -number, number.name, "kill_me")
        assert pool.apply(square, (3,)) == 9


def test_a_worker_may_leave_with_a_good_status_and_has_died_nevertheless(pool: Any) -> None:
    with pytest.raises(pools.WorkerDied) as caught:
        pool.apply(pooltasks.leave, (0,))
    assert_died(caught.value, 0, "leave")
    until_whole(pool)


def test_the_death_of_a_worker_harms_no_other_call(pool: Any) -> None:
    results = [pool.apply_async(pooltasks.kill_me_at, (number, 7, 19, 30)) for number in range(40)]
    for number, result in enumerate(results):
        if number in (7, 19, 30):
            with pytest.raises(pools.WorkerDied) as caught:
                result.get()
            assert_died(caught.value, -signal.SIGKILL, "kill_me_at")
            assert not result.successful()
        else:
            assert result.get() == number * number
    until_whole(pool)


@pytest.mark.parametrize("size", [1, 4])
def test_a_map_whose_worker_dies_fails_when_all_others_are_done(
    our: Any, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "done"
    with our.Pool(2, keep, (str(path),)) as pool:
        errors: list[Any] = []
        result = pool.map_async(write_or_die, range(20), size, error_callback=errors.append)
        with pytest.raises(pools.WorkerDied) as caught:
            result.get()
        assert_died(caught.value, -signal.SIGKILL, "write_or_die")
        assert errors == [caught.value]
        done = [int(line) for line in path.read_text().splitlines()]
        lost = {9} if size == 1 else {9, 10, 11}
        assert sorted(done) == sorted(set(range(20)) - lost)
        until_whole(pool)


def write_or_die(number: int) -> int:
    if number == 9:
        pooltasks.kill_me()
    [path] = pooltasks.kept()
    return pooltasks.append(path, number)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_goes_on_after_the_death_of_a_worker(pool: Any, name: str) -> None:
    got = list(outcomes(getattr(pool, name)(pooltasks.kill_me_at_five, range(20))))
    [error] = [thing for thing in got if isinstance(thing, Exception)]
    assert_died(error, -signal.SIGKILL, "kill_me_at_five")
    if name == "imap":
        assert got[5] is error
    got.remove(error)
    expected = [number * number for number in range(20) if number != 5]
    assert (got if name == "imap" else sorted(got)) == expected
    until_whole(pool)


def test_a_death_while_others_work_harms_only_its_own_task(our: Any) -> None:
    done = our.Semaphore(0)
    with our.Pool(2, keep, (done,)) as pool:
        results = [pool.apply_async(pooltasks.kill_me_if_last, (n, 5)) for n in (5, 0, 1, 2, 3, 4)]
        with pytest.raises(pools.WorkerDied):
            results[0].get()
        assert [result.get() for result in results[1:]] == [0, 1, 2, 3, 4]


def test_a_pool_outlives_all_its_workers_many_times(our: Any) -> None:
    with our.Pool(2, maxtasksperchild=3) as pool:
        for _ in range(10):
            results = [pool.apply_async(pooltasks.kill_me) for _ in range(2)]
            for result in results:
                with pytest.raises(pools.WorkerDied):
                    result.get()
        until(lambda: len(pool._pool) == 2)


def test_a_worker_that_is_killed_while_idle_is_replaced(context: Any) -> None:
    with context.Pool(2) as pool:
        for _ in range(3):
            before = {worker.pid for worker in pool._pool}
            for worker in list(pool._pool):
                worker.kill()
            results = pool.map_async(square, range(20), 1)
            assert results.get() == [number * number for number in range(20)]
            until(lambda before=before: not before & {worker.pid for worker in pool._pool})
            until_whole(pool)


def test_a_closed_pool_whose_worker_dies_can_be_joined(our: Any) -> None:
    with our.Pool(1) as pool:
        results = [pool.apply_async(pooltasks.kill_me_at, (number, 1)) for number in range(4)]
        pool.close()
        pool.join()
        assert [result.successful() for result in results] == [True, False, True, True]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, Abandon])
def test_what_is_no_exception_is_the_error_of_its_task(
    pool: Any, kind: type[BaseException]
) -> None:
    heard: list[Any] = []
    result = pool.apply_async(pooltasks.abandon, (kind, "soup"), error_callback=heard.append)
    with pytest.raises(kind, match="soup") as caught:
        result.get()
    assert type(caught.value) is kind
    assert heard == [caught.value]
    abandon = functools.partial(pooltasks.abandon_at, at=3, kind=kind)
    with pytest.raises(kind, match="3"):
        pool.map(abandon, range(8), 1)
    results = pool.imap(abandon, range(8))
    assert list(islice(results, 3)) == [0, 1, 4]
    with pytest.raises(kind, match="3"):
        next(results)
    assert list(results) == [16, 25, 36, 49]
    until_whole(pool)


@pytest.mark.parametrize("task", [pooltasks.fail_needily, pooltasks.give_perishable])
def test_what_cannot_be_made_again_here_is_an_error(pool: Any, task: Callable[..., Any]) -> None:
    parts = {
        pooltasks.fail_needily: "Needy: needs salt in soup",
        pooltasks.give_perishable: "it went bad on its way",
    }
    result = pool.apply_async(task)
    for failed in (result, pool.map_async(task, range(4))):
        failed.wait()
        error = failed_with(failed)
        assert parts[task] in all_text(error)
    assert len(list(outcomes(pool.imap(task, range(4))))) == 4
    until_whole(pool)


def failed_with(result: Any) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        result.get()
    return caught.value


def all_text(error: BaseException | None) -> str:
    """What an error and those that led to it tell."""
    text = []
    while error is not None:
        text.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(text)


def test_what_cannot_be_made_in_a_worker_is_the_error_of_its_task(pool: Any) -> None:
    thing = pooltasks.Perishable()
    for result in (
        pool.apply_async(pooltasks.identity, (thing,)),
        pool.map_async(pooltasks.identity, [1, thing, 2], 1),
        pool.map_async(pooltasks.identity, [1, thing, 2], 3),
    ):
        assert "it went bad on its way" in all_text(failed_with(result))
    got = list(outcomes(pool.imap(pooltasks.identity, [1, thing, 2])))
    assert got[::2] == [1, 2]
    assert "it went bad on its way" in all_text(got[1])
    until_whole(pool)


def test_an_initializer_that_raises_ends_the_pool(context: Any) -> None:
    started = context.SimpleQueue()
    with context.Pool(2, say_and_raise, (started, "no soup")) as pool:
        result = pool.apply_async(square, (1,))
        text = all_text(failed_with(result))
        assert "no soup" in text
        assert "in say_and_raise" in text
        assert "no soup" in all_text(failed_with(pool.map_async(square, [1])))
        [error] = outcomes(pool.imap(square, [1]))
        assert "no soup" in all_text(error)
        pool.close()
        pool.join()
        starts = 0
        while not started.empty():
            started.get()
            starts += 1
        assert 1 <= starts <= 4


def say_and_raise(started: Any, text: str) -> None:
    started.put(os.getpid())
    pooltasks.raise_from_initializer(text)


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_takes_no_more_items_than_it_needs(our: Any, name: str, size: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with our.Pool(2) as pool:
        results = getattr(pool, name)(square, items(), size)
        next(results)
        settle(lambda: taken)
        assert taken <= 1000 * size
        before = taken
        for _ in range(5 * before):
            next(results)
        settle(lambda: taken)
        assert 5 * before < taken <= 6 * before + 1000 * size
        # Nobody takes these; others still have their turn.
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def settle(number: Callable[[], int]) -> None:
    """Waits until it does not grow any more for a while."""
    wait, last = threading.Event(), -1
    while last != (last := number()):
        wait.wait(0.2)


def test_a_worker_that_ignores_sigterm_is_ended(context: Any) -> None:
    said, go = context.SimpleQueue(), context.Event()
    pool = context.Pool(2, pooltasks.keep_and_ignore_sigterm, (said, go))
    workers = list(pool._pool)
    results = [pool.apply_async(pooltasks.say_and_pass_gate, (number,)) for number in range(2)]
    assert {said.get(), said.get()} == {0, 1}
    pool.terminate()
    assert [worker.exitcode for worker in workers] == [-signal.SIGKILL] * 2
    pool.join()
    assert len(results) == 2


def test_an_interpreter_ends_beside_workers_that_ignore_sigterm(tmp_path: Path) -> None:
    source = """
import signal
from manyhands import multiprocessing

def set_up(*things):
    global said
    said, = things
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

def stay():
    said.put(1)
    signal.pause()

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    pool = context.Pool(1, set_up, (said,))
    pool.apply_async(stay)
    said.get()
    print("done")
"""
    assert run_file(tmp_path / "program.py", source) == "done\n"


def test_a_pool_can_be_terminated_while_it_is_given_items_without_end(our: Any) -> None:
    for call in ("imap", "imap_unordered"):
        with our.Pool(2) as pool:
            results = getattr(pool, call)(square, count())
            next(results)
            pool.terminate()
            pool.join()


def test_a_pool_can_be_terminated_while_large_things_are_on_their_ways(our: Any) -> None:
    for _ in range(3):
        with our.Pool(2) as pool:
            results = [pool.apply_async(pooltasks.identity, (b"x" * 2_000_000,)) for _ in range(20)]
            results[0].wait()


def test_several_threads_may_take_the_results_of_imap(pool: Any) -> None:
    for name in ("imap", "imap_unordered"):
        results = getattr(pool, name)(square, range(500))
        hands = start_all([functools.partial(list, results)] * 4)
        taken = [number for hand in hands for number in hand.result()]
        assert sorted(taken) == [number * number for number in range(500)]


@pytest.mark.parametrize("busy", [False, True])
def test_no_task_is_lost_or_done_twice_when_idle_workers_are_killed(
    our: Any, tmp_path: Path, busy: bool
) -> None:
    path, rolls = tmp_path / "done", random.Random(7)
    turns, number = 25, 0
    with our.Pool(3) as pool:
        died: list[int] = []
        for _ in range(turns):
            victim = rolls.choice(list(pool._pool))
            if not busy:
                # It has nothing to do, so that nothing can be lost.
                until_blocked(victim.pid, victim.pid)
            results = []
            if busy:
                results = [
                    pool.apply_async(pooltasks.append, (str(path), number + n)) for n in range(40)
                ]
            victim.kill()
            results += [
                pool.apply_async(pooltasks.append, (str(path), number + n))
                for n in range(len(results), 80)
            ]
            for given, result in enumerate(results, number):
                try:
                    assert result.get() == given
                except pools.WorkerDied:
                    died.append(given)
            number += len(results)
        until_whole(pool, 3)
        times = Counter(int(line) for line in path.read_text().splitlines())
        assert max(times.values()) == 1
        # One that was killed may have been at its last instruction.
        assert set(range(number)) - set(died) <= set(times)
        assert len(died) <= (turns if busy else 0)


def test_a_program_hears_of_a_death_and_ends(tmp_path: Path) -> None:
    source = """
import os
from manyhands import multiprocessing
from manyhands.multiprocessing.pool import WorkerDied

if __name__ == "__main__":
    for method in ("fork", "forkserver", "spawn"):
        pool = multiprocessing.get_context(method).Pool(2)
        try:
            pool.map(os._exit, [3])
        except WorkerDied as error:
            print(method, error.exitcode)
"""
    out = run_file(tmp_path / "program.py", source)
    assert out.splitlines() == ["fork 3", "forkserver 3", "spawn 3"]
