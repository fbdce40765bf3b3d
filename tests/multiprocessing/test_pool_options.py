"""`with_options`, of `Pool` and `ProcessPoolExecutor`; and what is told of a worker that died."""

from __future__ import annotations

import concurrent.futures
import faulthandler
import multiprocessing as stdlib
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from manyhands.multiprocessing import _died, _last_words
from manyhands.multiprocessing.pool import ThreadPool, WorkerDied
from optiontasks import (
    Thing,
    allocate,
    begin,
    crash,
    die_at_first,
    die_with,
    hang,
    hang_at_two,
    hang_when_asked_where,
    hang_when_saying_where,
    keep_busy,
    say_and_hang,
)
from pooltasks import square
from support import run_file, until

pools: Any = import_module("manyhands.multiprocessing.pool")
TaskTimeout: Any = pools.TaskTimeout
METHODS = ["fork", "forkserver", "spawn"]
MIB = 1 << 20

pytestmark = [pytest.mark.patience(120), pytest.mark.usefixtures("pools_are_collected")]


@pytest.fixture(scope="module", autouse=True)
def nobody_listens_to_crashes() -> Iterator[None]:
    """Whose workers are forked while pytest does have nothing to say of them."""
    faulthandler.disable()
    yield
    faulthandler.enable(sys.__stderr__)


@pytest.fixture(params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    with multiprocessing.get_context(request.param).Pool(2, begin) as pool:
        # Until all is put away pytest keeps what it was given.
        yield weakref.proxy(pool)


@pytest.fixture(params=METHODS)
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    context: Any = multiprocessing.get_context(request.param)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        yield weakref.proxy(executor)


def test_a_call_that_takes_too_long_is_ended(pool: Any) -> None:
    workers = [worker.pid for worker in pool._pool]
    with pytest.raises(TaskTimeout, match=r"hang\('for ever'\) took longer than 0.5 s") as caught:
        pool.with_options(timeout=0.5).apply(hang, ("for ever",))
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert isinstance(error, stdlib.TimeoutError)
    assert isinstance(error, concurrent.futures.TimeoutError)
    assert error.timeout == 0.5
    assert error.pid in workers
    assert error.exitcode == -signal.SIGKILL
    # Its last words: the function that it was in, and who called that.
    assert "in wait_for_ever\n" in error.stack
    assert error.stack.splitlines()[-1].endswith("in hang")
    assert error.stack in str(error)
    until(lambda: len(pool._pool) == 2 and all(worker.is_alive() for worker in pool._pool))
    assert pool.map(square, range(10)) == [number * number for number in range(10)]


@pytest.mark.parametrize("hang", [hang_when_asked_where, hang_when_saying_where])
def test_a_worker_that_gets_no_processor_is_waited_for_until_it_has_said_where(
    pool: Any, hang: Callable[[int], None]
) -> None:
    limited = pool.with_options(timeout=0.5)
    with pytest.raises(TaskTimeout) as caught:
        limited.apply(hang, (_last_words.SAYS_WHERE,))
    assert caught.value.stack.splitlines()[-1].endswith(f"in {hang.__name__}")


def test_each_item_has_its_time(pool: Any) -> None:
    # A chunk of them takes longer than any may.
    assert pool.with_options(timeout=1.5).map(time.sleep, [0.3] * 7, chunksize=7) == [None] * 7
    with pytest.raises(TaskTimeout, match="hang_at_two"):
        pool.with_options(timeout=0.3).map(hang_at_two, range(4), chunksize=4)
    results = pool.with_options(timeout=0.3).imap(hang_at_two, range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(TaskTimeout):
        next(results)
    assert next(results) == 3
    with pytest.raises(TaskTimeout):
        pool.with_options(timeout=0.3).starmap(hang, [("x",)])
    results = pool.with_options(timeout=0.3).imap_unordered(hang_at_two, [2])
    with pytest.raises(TaskTimeout):
        next(results)


def test_a_call_that_ends_in_time_is_left_alone(pool: Any) -> None:
    assert pool.with_options(timeout=30).apply(square, (3,)) == 9
    results = [pool.with_options(timeout=5).apply_async(square, (n,)) for n in range(500)]
    assert [result.get() for result in results] == [n * n for n in range(500)]


def test_time_counts_from_when_the_call_is_begun(executor: Any) -> None:
    quick = executor.with_options(timeout=1.0)
    futures = [quick.submit(time.sleep, 0.25) for _ in range(12)]
    assert [future.exception() for future in futures] == [None] * 12


def test_callbacks_learn_of_the_timeout(pool: Any) -> None:
    told: list[BaseException] = []
    has_told = threading.Event()

    def tell(error: BaseException) -> None:
        told.append(error)
        has_told.set()

    pool.with_options(timeout=0.1).apply_async(hang, ("x",), error_callback=tell)
    assert has_told.wait(30)
    assert isinstance(told[0], TaskTimeout)


def test_a_call_has_so_much_memory(pool: Any) -> None:
    small = pool.with_options(memory=64 * MIB)
    assert small.apply(allocate, (16 * MIB,)) == 16 * MIB
    with pytest.raises(MemoryError, match="67108864 bytes, which with_options"):
        small.apply(allocate, (256 * MIB,))
    # Neither the worker nor its other calls suffer.
    assert pool.map(allocate, [256 * MIB] * 4, 1) == [256 * MIB] * 4
    with pytest.raises(MemoryError):
        small.map(allocate, [MIB, 256 * MIB])


@pytest.mark.parametrize("retries", [1, 2, 3])
def test_a_call_is_tried_again(pool: Any, retries: int, tmp_path: Path) -> None:
    """It is begun once more for each worker that has died, and not more often than allowed."""
    call = pool.with_options(retries=retries).apply_async(die_at_first, (3, str(tmp_path), b"x"))
    if retries >= 3:
        assert call.get() == (3, b"x")
        assert len(list(tmp_path.iterdir())) == 4
    else:
        with pytest.raises(WorkerDied, match="as did") as caught:
            call.get()
        assert caught.value.exitcode == 7
        assert len(list(tmp_path.iterdir())) == retries + 1


def test_what_is_tried_again_is_what_was_sent(executor: Any, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    # Large enough to lie outside of the message.
    sent = [1, numpy.arange(100_000)]
    future = executor.with_options(retries=1).submit(die_at_first, 1, str(tmp_path), sent)
    sent[0], sent[1][:] = 2, 0
    begun, got = future.result()
    assert begun == 1
    assert got[0] == 1
    assert (got[1] == numpy.arange(100_000)).all()


def test_a_call_is_tried_again_after_the_end_was_asked_for(tmp_path: Path) -> None:
    for method in METHODS:
        context: Any = multiprocessing.get_context(method)
        (there := tmp_path / method).mkdir()
        with ProcessPoolExecutor(1, mp_context=context) as executor:
            future = executor.with_options(retries=2).submit(die_at_first, 2, str(there), None)
            executor.shutdown()
            assert future.result() == (2, None)
        (there := tmp_path / f"{method} pool").mkdir()
        with context.Pool(1) as pool:
            result = pool.with_options(retries=2).apply_async(die_at_first, (2, str(there), None))
            pool.close()
            pool.join()
            assert result.get() == (2, None)


def test_a_map_is_tried_again(pool: Any, tmp_path: Path) -> None:
    calls = [(1, str(tmp_path), number) for number in range(40)]
    got = pool.with_options(retries=3).starmap(die_at_first, calls, chunksize=5)
    assert [number for _, number in got] == list(range(40))


def test_what_takes_too_long_is_not_tried_again(pool: Any, tmp_path: Path) -> None:
    with pytest.raises(TaskTimeout):
        pool.with_options(retries=5, timeout=0.2).apply(say_and_hang, (str(tmp_path),))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_running_call_is_cancelled(executor: Any) -> None:
    other = executor.submit(square, 5)
    future = executor.with_options(running="kill").submit(hang, "x")
    until(future.running)
    assert future.cancel()
    assert future.cancelled()
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    assert other.result() == 25
    assert executor.submit(square, 3).result() == 9


def test_only_what_may_be_killed_is(executor: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    future = executor.submit(keep_busy, str(gate))
    until(future.running)
    assert not future.cancel()
    assert not future.cancelled()
    gate.touch()
    assert future.result() == "done"


def test_a_call_is_cancelled_or_has_a_result(executor: Any) -> None:
    """Whoever comes first: it is never both, and no other call suffers."""
    kill = executor.with_options(running="kill")
    innocent = [executor.submit(square, number) for number in range(200)]
    cancelled = 0
    for number in range(150):
        if number % 3 == 0:
            # Workers are mostly faster than what comes next.
            innocent += [executor.submit(time.sleep, 0.001) for _ in range(4)]
        future = kill.submit(square, number)
        while number % 3 and not future.running() and not future.done():
            pass
        if future.cancel():
            cancelled += 1
            assert future.cancelled()
        else:
            assert future.result() == number * number
        innocent.append(executor.submit(square, number))
    assert all(future.exception() is None for future in innocent)
    assert cancelled > 0


@pytest.mark.parametrize("make", [multiprocessing.Pool, ProcessPoolExecutor])
def test_options_are_those_of_what_they_were_asked_of(make: Callable[[int], Any]) -> None:
    with make(1) as whole:
        view = whole.with_options(timeout=5).with_options(retries=2)
        assert isinstance(view, type(whole))
        assert view._given == {"timeout": 5, "memory": None, "retries": 2, "running": "wait"}
        assert whole._options is None
        assert view.__dict__ is whole.__dict__
        assert repr(view).partition(" at ")[0] == repr(whole).partition(" at ")[0]


def test_what_has_options_is_the_pool() -> None:
    def workers() -> list[Any]:
        # What there was before is of nobody any more.
        return view._pool

    view = multiprocessing.Pool(1).with_options(timeout=30)
    assert view.apply(square, (4,)) == 16
    assert len(workers()) == 1
    view.close()
    with pytest.raises(ValueError, match="Pool not running"):
        view.apply(square, (4,))
    view.join()
    with multiprocessing.Pool(1).with_options(retries=1) as pool:
        assert pool.map(square, [1, 2]) == [1, 4]
    with pytest.raises(ValueError, match="not running"):
        pool.apply(square, (1,))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"timeout": 0}, ValueError, "more than 0"),
        ({"timeout": "soon"}, TypeError, "str"),
        ({"memory": 0}, ValueError, "memory must be more than 0"),
        ({"memory": 1.5}, TypeError, "memory must be an int, not float"),
        ({"retries": -1}, ValueError, "retries must be at least 0"),
        ({"retries": None}, TypeError, "retries must be an int, not NoneType"),
        ({"running": "stop"}, ValueError, "running must be 'wait' or 'kill', not 'stop'"),
        ({"speed": 3}, TypeError, "speed"),
    ],
)
def test_options_are_checked(
    pool: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        pool.with_options(**options)


def test_threads_have_no_options() -> None:
    with ThreadPool(1) as pool, pytest.raises(NotImplementedError, match="thread"):
        pool.with_options(timeout=1)
    with ThreadPoolExecutor(1) as executor, pytest.raises(NotImplementedError, match="thread"):
        executor.with_options(timeout=1)


@pytest.mark.parametrize("exitcode", [-signal.SIGKILL.value, -signal.SIGTERM.value, 0, 3])
def test_a_death_is_told_of(pool: Any, exitcode: int) -> None:
    things = {"thing": Thing(), "numbers": [1, 2.5, None]}
    with pytest.raises(WorkerDied) as caught:
        pool.apply(die_with, (exitcode, "an argument"), things)
    error = caught.value
    shown = f"die_with({exitcode}, 'an argument', thing=<Thing>, numbers=[1, 2.5, None])"
    assert error.call == shown
    assert shown in str(error)
    assert error.exitcode == exitcode
    assert error.stack is None
    assert error.out_of_memory is False
    assert MIB < error.peak_memory < 1 << 40


def test_a_crash_says_where(pool: Any) -> None:
    with pytest.raises(WorkerDied, match="Segmentation fault") as caught:
        pool.apply(crash, (3,))
    error = caught.value
    assert error.exitcode == -signal.SIGSEGV
    lines = error.stack.splitlines()
    assert lines[0] == "Fatal Python error: Segmentation fault"
    assert lines[-1].endswith("in crash")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is WorkerDied
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    # That was told; who dies next has words of its own.
    with pytest.raises(WorkerDied) as caught:
        pool.apply(die_with, (-signal.SIGKILL.value, None))
    assert caught.value.stack is None


def test_a_timeout_can_be_pickled() -> None:
    error = _died.exception_of(123, -9, square, timeout=0.5)
    assert isinstance(error, TaskTimeout)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), vars(copy)) == (str(error), vars(error))
    assert isinstance(copy, TaskTimeout)


def test_faulthandler_goes_on_as_the_program_wants_it(tmp_path: Path) -> None:
    source = """
        import faulthandler
        from pathlib import Path

        from manyhands import multiprocessing
        from optiontasks import crash

        if __name__ == "__main__":
            with open("said", "w") as said:
                faulthandler.enable(said)
                with multiprocessing.get_context("fork").Pool(1) as pool:
                    try:
                        pool.apply(crash, (3,))
                    except multiprocessing.pool.WorkerDied as error:
                        print(error.stack)
            print("Segmentation fault" in Path("said").read_text())
        """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    assert run_file(tmp_path / "program.py", source, env=environment) == "None\nTrue\n"


@pytest.mark.parametrize(
    ("function", "call", "shown"),
    [
        (square, None, "square(...)"),
        (square, (0, True, 5, None), "square(5)"),
        (square, (1, True, (1, "x" * 500), None), None),
        (square, (1, True, tuple(range(1000)), None), None),
        (square, (2, True, ((1,), {"a": 2}), None), "square(1, a=2)"),
        (square, (3, True, [1, 2], None), "square(each of [1, 2])"),
        (square, (3, True, [1], None), "square(1)"),
        (square, (4, True, [(1, 2)], None), "square(1, 2)"),
        (square, (1, False, None, pickle.dumps((square, (Thing(),)))), "square(<Thing>)"),
        (square, (1, True, None, b"\x80\x05nonsense"), "square(...)"),
        (square, (1, True, None, None), "square(...)"),
    ],
)
def test_a_call_is_shown(function: Callable[..., Any], call: Any, shown: str | None) -> None:
    text = _died.show_call(function, call)
    if shown is None:
        assert len(text) < 300
        assert "..." in text
    else:
        assert text == shown


def test_nothing_is_made_of_what_is_shown() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.kill, (os.getpid(), signal.SIGKILL)

    shown = _died.show_call(square, (1, True, None, pickle.dumps((Trap(),))))
    assert shown == "square(<kill>)"


def test_the_system_tells_whom_it_has_killed(tmp_path: Path) -> None:
    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    def told() -> int | None:
        found = map(_last_words.told_by, _last_words.tellers(str(tmp_path)))
        return next((killed for killed in found if killed is not None), None)

    assert told() is None
    put("proc/vmstat", "nr_free_pages 7\noom_kill 5\n")
    assert told() == 5
    put("proc/self/cgroup", "4:cpu:/a\n3:memory,hugetlb:/jobs/one\n0::/here\n")
    put("sys/fs/cgroup/memory/jobs/one/memory.oom_control", "under_oom 0\noom_kill 3\n")
    assert told() == 3
    put("proc/self/cgroup", "0::/here\n")
    put("sys/fs/cgroup/here/memory.events", "oom 9\noom_kill 2\noom_group_kill 0\n")
    assert told() == 2


def test_a_want_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = [4]
    monkeypatch.setattr(_last_words, "out_of_memory_kills", lambda: killed[0])
    words = _last_words.LastWords()
    assert words.of(0, -signal.SIGKILL)["out_of_memory"] is False
    killed[0] = 6
    assert words.of(0, -signal.SIGSEGV)["out_of_memory"] is False
    facts = words.of(0, -signal.SIGKILL)
    assert facts["out_of_memory"] is True
    text = str(_died.exception_of(77, -9, square, **facts))
    assert text.startswith("worker process 77 was killed by SIGKILL, as the system was out of mem")
    assert words.of(0, -signal.SIGKILL)["out_of_memory"] is True
    assert words.of(0, -signal.SIGKILL)["out_of_memory"] is False
