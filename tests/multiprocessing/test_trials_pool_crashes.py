"""What goes wrong in a worker, at each stage of a call, by each start method.

Each cell of the table is a test: it says what the one call comes to, and that all others have their
results, that the pool takes more calls, and that it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import crashes
import pytest
from manyhands import multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor
from manyhands.multiprocessing.pool import MaybeEncodingError, WorkerDied
from support import PATIENCE, has_ended, until

METHODS = ["fork", "forkserver", "spawn"]

#: What ends a worker, and its exit code.
DEATHS = {"exit": 7, "SIGSEGV": -signal.SIGSEGV, "SIGKILL": -signal.SIGKILL}

#: What does not, and what it raises.
ERRORS = {"exception": crashes.Fault, "memory": MemoryError}

FAULTS = [*DEATHS, *ERRORS]

OTHERS = 6

pytestmark = pytest.mark.usefixtures("pools_are_collected")


class Pool:
    """A `multiprocessing.Pool` or a `ProcessPoolExecutor`, by the same names."""

    def __init__(self, kind: str, method: str, workers: int, **options: Any) -> None:
        context = multiprocessing.get_context(method)
        self.is_executor = kind == "executor"
        self.pool: Any
        if self.is_executor:
            self.pool = ProcessPoolExecutor(workers, context, **options)
        else:
            self.pool = context.Pool(workers, **options)

    def submit(self, function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        """What is returned gives the call's result, or raises what it raised."""
        if self.is_executor:
            future = self.pool.submit(function, *args)
            return lambda: future.result(PATIENCE)
        result = self.pool.apply_async(function, args)
        return lambda: result.get(PATIENCE)

    def workers(self) -> list[Any]:
        return [*self.pool._processes.values()] if self.is_executor else list(self.pool._pool)

    def end(self) -> None:
        if self.is_executor:
            self.pool.shutdown()
        else:
            self.pool.close()
            self.pool.join()

    def kill(self) -> None:
        if self.is_executor:
            self.pool.kill_workers()
        else:
            self.pool.terminate()
            self.pool.join()


@pytest.fixture(params=["pool", "executor"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(kind: str, method: str) -> Iterator[Callable[..., Pool]]:
    """Makes a pool of so many workers; one that is left is killed."""
    made: list[Pool] = []

    def make(workers: int, **options: Any) -> Pool:
        made.append(Pool(kind, method, workers, **options))
        return made[-1]

    yield make
    while made:
        made.pop().kill()


@contextlib.contextmanager
def others_are_done(pool: Pool) -> Iterator[None]:
    """Calls before and after what is called in the block have their results."""
    before = [pool.submit(crashes.double, number) for number in range(OTHERS)]
    yield
    after = [pool.submit(crashes.double, number) for number in range(OTHERS)]
    assert [result() for result in before + after] == 2 * [2 * n for n in range(OTHERS)]


def check_outcome(result: Callable[[], Any], fault: str, *, wrapped: bool = False) -> None:
    """`wrapped` is an error that a `Pool` tells of by one of its own, as the standard library's."""
    if wrapped and fault in ERRORS:
        with pytest.raises(MaybeEncodingError, match=ERRORS[fault].__name__):
            result()
    elif fault in DEATHS:
        with pytest.raises(WorkerDied) as caught:
            result()
        assert caught.value.exitcode == DEATHS[fault]
    else:
        with pytest.raises(ERRORS[fault]):
            result()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", ["receive arguments", "run", "send the result"])
def test_one_call_fails_and_the_pool_goes_on(
    make: Any, kind: str, method: str, stage: str, fault: str
) -> None:
    pool = make(2)
    call = {
        "receive arguments": (crashes.take, crashes.Argument(fault)),
        "run": (crashes.go_wrong, fault),
        "send the result": (crashes.give, fault),
    }
    with others_are_done(pool):
        result = pool.submit(*call[stage])
    check_outcome(result, fault, wrapped=kind == "pool" and stage == "send the result")
    pool.end()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_module_that_cannot_be_imported_fails_the_call(
    make: Any, kind: str, method: str, fault: str, tmp_path: Path
) -> None:
    (tmp_path / "crashing_module.py").write_text(f"import crashes\ncrashes.go_wrong({fault!r})\n")
    pool = make(2)
    with others_are_done(pool):
        result = pool.submit(crashes.import_module, "crashing_module", str(tmp_path))
    check_outcome(result, fault)
    pool.end()


@pytest.mark.parametrize("fault", FAULTS)
def test_an_initializer_that_fails_fails_all(make: Any, kind: str, method: str, fault: str) -> None:
    """One that dies is tried again, but not for ever."""
    pool = make(1, initializer=crashes.go_wrong, initargs=(fault,))
    # What is raised may be raised at once.
    errors = (WorkerDied, BrokenProcessPool, *ERRORS.values())
    with pytest.raises(errors) as caught:
        pool.submit(crashes.double, 1)()
    if fault in DEATHS:
        assert isinstance(caught.value, WorkerDied)
        assert caught.value.exitcode == DEATHS[fault]
    elif kind == "pool":
        assert isinstance(caught.value, ERRORS[fault])
    else:
        assert ERRORS[fault].__name__ in str(caught.value)
    pool.end()


def test_what_is_received_here_fails_here(make: Any, kind: str, method: str) -> None:
    pool = make(2)
    with others_are_done(pool):
        result = pool.submit(crashes.give_received)
    with pytest.raises(crashes.Fault):
        result()
    pool.end()


def test_what_cannot_be_sent_fails_here(make: Any, kind: str, method: str) -> None:
    pool = make(2)
    with others_are_done(pool):
        try:
            result = pool.submit(crashes.take, crashes.Result("exception"))
        except crashes.Fault:
            result = crashes.raise_fault
    with pytest.raises(crashes.Fault):
        result()
    pool.end()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_at_a_workers_end_harms_no_call(
    make: Any, kind: str, method: str, fault: str, capfd: Any
) -> None:
    pool = make(1)
    result = pool.submit(crashes.go_wrong_at_the_end, fault)
    with others_are_done(pool):
        assert result() == "done"
    workers = pool.workers()
    pool.end()
    assert [worker.exitcode for worker in workers] == [DEATHS.get(fault, 0)]


@pytest.mark.parametrize("stage", ["run", "send the result", "initialize"])
def test_a_worker_that_stands_still_holds_up_its_call_only(
    make: Any, kind: str, method: str, stage: str
) -> None:
    """It can be told to go on, and ended."""
    if stage == "initialize":
        pool = make(1, initializer=crashes.go_wrong, initargs=("SIGSTOP",))
        result = pool.submit(crashes.double, 2)
    else:
        pool = make(2)
        call = crashes.go_wrong if stage == "run" else crashes.give
        with others_are_done(pool):
            result = pool.submit(call, "SIGSTOP")
    pids = [worker.pid for worker in pool.workers()]
    stopped = until(lambda: [pid for pid in pids if stands_still(pid)])
    if method == "fork":
        os.kill(stopped[0], signal.SIGCONT)
        result()
        assert pool.submit(crashes.double, 4)() == 8
        pool.end()
    else:
        pool.kill()
        with pytest.raises((WorkerDied, multiprocessing.ProcessError, CancelledError)):
            result()
    until(lambda: all(has_ended(pid) for pid in pids))


def stands_still(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"
