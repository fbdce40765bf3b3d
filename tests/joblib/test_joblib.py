"""The backend for joblib."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import _nursery
from pooltasks import fail_at, kill_me_at, pid, square
from support import PATIENCE

joblib = pytest.importorskip("joblib")
backend = import_module("manyhands.joblib")

METHODS = ["fork", "spawn"]


@pytest.fixture(scope="module", autouse=True)
def zygotes() -> Any:
    """Those that the first children of a method leave behind are there before."""
    for method in ("forkserver", "spawn"):
        child = multiprocessing.get_context(method).Process(target=int)
        child.start()
        child.join()
    yield
    _nursery.stop()


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Any:
    """The backend with that way to start processes."""
    with joblib.parallel_config(backend="manyhands", start_method=request.param):
        yield request.param


@pytest.fixture
def forking() -> Any:
    with joblib.parallel_config(backend="manyhands", start_method="fork"):
        yield


def parallel(calls: Any, n_jobs: int = 2, **options: Any) -> Any:
    return joblib.Parallel(n_jobs=n_jobs, **options)(calls)


def nested(number: int) -> tuple[int, int, str, list[int]]:
    kind = type(joblib.parallel.get_active_backend()[0]).__name__
    inner = joblib.Parallel(n_jobs=2)(joblib.delayed(square)(each) for each in range(number))
    return os.getpid(), number, kind, inner


def is_shared(array: Any) -> tuple[float, bool]:
    """Whether its memory is another's."""
    return float(array.sum()), not array.flags.owndata


def test_calls_are_done_by_workers(method: str) -> None:
    assert parallel(joblib.delayed(square)(n) for n in range(100)) == [n * n for n in range(100)]
    pids = parallel((joblib.delayed(pid)() for _ in range(10)), batch_size=1)
    assert os.getpid() not in pids


def test_lambdas_and_closures_go_by_value(method: str) -> None:
    salt = 7

    class Soup:
        def __init__(self, number: int) -> None:
            self.number = number + salt

    results = parallel(joblib.delayed(lambda n: Soup(n))(n) for n in range(5))
    assert [result.number for result in results] == [7, 8, 9, 10, 11]
    assert all(type(result) is Soup for result in results)


def test_arrays_go_through_shared_memory(method: str) -> None:
    numpy = pytest.importorskip("numpy")
    big = numpy.ones(1 << 20)
    assert parallel(joblib.delayed(is_shared)(big) for _ in range(4)) == [(1 << 20, True)] * 4
    # Also from a function that goes by value, and back.
    found = parallel(
        joblib.delayed(lambda array: (is_shared(array)[1], array * 2))(big) for _ in "ab"
    )
    for was_shared, array in found:
        assert was_shared
        assert is_shared(array) == (2 << 20, True)


def test_it_is_known_by_its_name() -> None:
    with joblib.parallel_backend("manyhands", n_jobs=2):
        assert isinstance(joblib.parallel.get_active_backend()[0], backend.ManyhandsBackend)
        assert joblib.effective_n_jobs() == 2
        assert joblib.Parallel()(joblib.delayed(square)(n) for n in range(3)) == [0, 1, 4]


def test_the_number_of_jobs(forking: None) -> None:
    processors = len(os.sched_getaffinity(0))
    assert 1 <= joblib.effective_n_jobs(-1) <= processors
    assert joblib.effective_n_jobs(-1000) == 1
    assert joblib.effective_n_jobs(None) == 1
    assert joblib.effective_n_jobs(5) == 5
    with pytest.raises(ValueError, match="n_jobs == 0"):
        joblib.effective_n_jobs(0)
    assert parallel((joblib.delayed(pid)() for _ in range(2)), n_jobs=1) == [os.getpid()] * 2


def test_what_a_call_raises_is_raised(method: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        parallel(joblib.delayed(fail_at)(n, 5) for n in range(10))
    assert "fail_at" in str(caught.value.__cause__)
    with pytest.raises(Exception, match=r"cannot pickle|generator"):
        parallel(joblib.delayed(square)(each) for each in [(n for n in "ab")] * 2)


def test_it_goes_on_after_an_error(forking: None) -> None:
    with joblib.Parallel(n_jobs=2) as several:
        with pytest.raises(ZeroDivisionError):
            # Of more calls joblib may keep some, which it has looked at ahead, for the next time.
            several(joblib.delayed(fail_at)(n, 5) for n in [5])
        assert several(joblib.delayed(square)(n) for n in range(3)) == [0, 1, 4]


def test_a_worker_that_is_killed_fails_its_call_only(forking: None) -> None:
    with pytest.raises(Exception, match="SIGKILL"):
        parallel((joblib.delayed(kill_me_at)(n, 2) for n in range(4)), batch_size=1)


def test_calls_within_calls_are_done_by_threads(forking: None) -> None:
    for process, number, kind, inner in parallel(joblib.delayed(nested)(n) for n in range(4)):
        assert process != os.getpid()
        assert kind == "ThreadingBackend"
        assert inner == [n * n for n in range(number)]


def test_calls_of_other_threads_are_done_too(forking: None) -> None:
    results: list[Any] = []

    def work() -> None:
        with joblib.parallel_config(backend="manyhands", start_method="fork"):
            results.extend(parallel(joblib.delayed(square)(n) for n in range(5)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert results == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("how", ["generator", "generator_unordered"])
def test_results_are_given_one_by_one(forking: None, how: str) -> None:
    calls = (joblib.delayed(square)(n) for n in range(50))
    results = parallel(calls, return_as=how)
    assert sorted(results) == [n * n for n in range(50)]


def test_a_call_may_take_so_long_only(forking: None) -> None:
    with pytest.raises(multiprocessing.TimeoutError):
        parallel((joblib.delayed(signal.pause)() for _ in range(2)), timeout=0.05)


def test_libraries_get_no_more_threads_than_there_is_room_for() -> None:
    with joblib.parallel_config(backend="manyhands", inner_max_num_threads=1, start_method="spawn"):
        got = parallel(joblib.delayed(os.getenv)("OMP_NUM_THREADS") for _ in range(2))
    assert got == ["1", "1"]


PROGRAM = """
import sys
import joblib
{imported}

def square(number):
    return number * number

class Dish:
    def __init__(self, number):
        self.number = number

if __name__ == "__main__":
    assert "{absent}" not in sys.modules
    import inspect
    assert "class Parallel" in inspect.getsource(joblib.parallel)
    with joblib.parallel_backend("manyhands", n_jobs=2):
        print(joblib.Parallel()(joblib.delayed(square)(n) for n in range(4)))
        dishes = joblib.Parallel()(joblib.delayed(Dish)(n) for n in range(4))
        print([dish.number for dish in dishes], {{type(dish) is Dish for dish in dishes}})
"""


@pytest.mark.parametrize("how", ["imported", "run", "run -c"])
def test_programs_can_use_it(tmp_path: Path, how: str) -> None:
    imported = "import manyhands.joblib" if how == "imported" else ""
    absent = "antigravity" if imported else "manyhands.joblib"
    program = textwrap.dedent(PROGRAM).format(imported=imported, absent=absent)
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable]
    if how != "imported":
        command += ["-m", "manyhands", "run"]
    command += ["-c", program] if "-c" in how else ["program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("[0, 1, 4, 9]\n[0, 1, 2, 3] {True}\n", "")
