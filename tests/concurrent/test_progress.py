"""`progress=` of pools, of executors and of `as_completed`."""

from __future__ import annotations

import concurrent.futures as stdlib_futures
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from manyhands import _native, _progress
from manyhands.concurrent import futures
from manyhands.multiprocessing.pool import ThreadPool
from terminals import running

BEGIN = """
import os, signal, sys, threading
from manyhands import multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from manyhands.multiprocessing.pool import Pool, ThreadPool

gate = multiprocessing.Event()

def square(number):
    return number * number

def hold(number):
    gate.wait()
    return number

def fail_at_three(number):
    if number == 3:
        raise LookupError(number)
    return number

def open_gate_when_told():
    def wait():
        os.read(0, 100)
        gate.set()
    threading.Thread(target=wait, daemon=True).start()
"""

#: How it is called of a pool; the bar has the name of the call.
MAPS = {
    "map": "pool.map(square, range(20), progress={})",
    "map of chunks": "pool.map(square, iter(range(20)), 7, progress={})",
    "starmap": "pool.starmap(square, [(n,) for n in range(20)], progress={})",
    "map_async": "pool.map_async(square, range(20), progress={}).get()",
    "starmap_async": "pool.starmap_async(square, [(n,) for n in range(20)], progress={}).get()",
    "imap": "list(pool.imap(square, range(20), progress={}))",
    "imap of a generator": "list(pool.imap(square, iter(range(20)), 3, progress={}))",
    "imap_unordered": "sorted(pool.imap_unordered(square, range(20), 6, progress={}))",
}
EXECUTOR_MAPS = {
    "map": "list(pool.map(square, range(20), progress={}))",
    "map of chunks": "list(pool.map(square, iter(range(20)), chunksize=6, progress={}))",
    "map with a buffer": "list(pool.map(square, range(20), buffersize=3, progress={}))",
    "as_completed": "sorted(future.result() for future in as_completed("
    "[pool.submit(square, number) for number in range(20)], progress={}))",
}


@pytest.fixture(params=[True, False], ids=["tqdm", "lines"])
def tqdm(request: pytest.FixtureRequest) -> bool:
    if request.param:
        pytest.importorskip("tqdm")
    return bool(request.param)


def last_line(program: Any) -> str:
    """The last that is to be read, which is a whole line."""
    *lines, end = program.lines
    assert end == "", "the terminal is left in the middle of a line"
    return str(lines[-1])


def is_complete(line: str, tqdm: bool) -> bool:
    return ("20/20" in line if tqdm else "20 of 20 done" in line) and "0 failed" in line


@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("Pool", MAPS),
        ("ThreadPool", MAPS),
        ("ProcessPoolExecutor", EXECUTOR_MAPS),
        ("ThreadPoolExecutor", EXECUTOR_MAPS),
    ],
)
def test_each_kind_of_map_shows_how_far_it_is(
    tmp_path: Path, kind: str, calls: dict[str, str], tqdm: bool
) -> None:
    source = f"{BEGIN}\nif __name__ == '__main__':\n    with {kind}(2) as pool:\n"
    for name, call in calls.items():
        source += f"        assert {call.format(repr(name))} == [n * n for n in range(20)]\n"
    with running(tmp_path, source, tqdm=tqdm) as program:
        assert program.finish() == (0, ""), program.text
        *lines, end = program.lines
        assert end == "", "the terminal is left in the middle of a line"
        last = {line.partition(":")[0]: line for line in lines if line}
        assert last.keys() == calls.keys(), program.text
        assert all(is_complete(line, tqdm) for line in last.values()), program.text


@pytest.mark.parametrize(
    "begin",
    [
        "pool = Pool(2); results = pool.map_async(hold, range(10), 1, progress=True)",
        "pool = ThreadPool(2); results = pool.imap(hold, range(10), progress=True)",
        "pool = ProcessPoolExecutor(2); results = pool.map(hold, range(10), progress=True)",
        "pool = ThreadPoolExecutor(2); results = pool.map(hold, range(10), progress=True)",
    ],
)
def test_it_shows_while_calls_run_how_many_do(tmp_path: Path, begin: str, tqdm: bool) -> None:
    source = f"{BEGIN}\nif __name__ == '__main__':\n    open_gate_when_told()\n"
    source += f"    {begin}\n    gate.wait()\n"
    source += "    getattr(results, 'get', lambda: list(results))()\n"
    with running(tmp_path, source, tqdm=tqdm) as program:
        program.until(r"0/10.*2 running" if tqdm else r"0 of 10 done, 2 running")
        program.say("go on")
        program.until(r"10/10" if tqdm else r"10 of 10 done, 0 failed")
        assert program.finish()[0] == 0, program.text


def test_it_counts_what_failed(tmp_path: Path, tqdm: bool) -> None:
    source = f"""{BEGIN}
if __name__ == "__main__":
    with Pool(2) as pool:
        try:
            pool.map(fail_at_three, range(20), 5, progress=True)
        except LookupError as error:
            print(error)
        results = pool.imap_unordered(fail_at_three, range(20), progress=True)
        got = 0
        while True:
            try:
                got += next(results) >= 0
            except LookupError:
                pass
            except StopIteration:
                break
        print(got)
"""
    with running(tmp_path, source, tqdm=tqdm) as program:
        assert program.finish() == (0, "3\n19\n"), program.text
        assert last_line(program).endswith("1 failed]" if tqdm else "/s")
        # Of a chunk that fails no item has a result.
        ended = re.findall(r"(\d) failed", program.text)
        assert "1" in ended
        assert "5" in ended or "0" in ended


def test_cancelled_calls_are_no_part_of_it() -> None:
    tally = _native.concurrent.Tally()
    executor = futures.ThreadPoolExecutor(1)
    gate = futures.Future[None]()
    held = executor.submit(gate.result)
    others = [executor.submit(abs, number) for number in range(4)]
    _progress.count_all([held, *others], tally)
    assert tally.read() == (5, 0, 0)
    assert others[3].cancel()
    assert tally.read() == (4, 0, 0)
    gate.set_exception(LookupError("no flour"))
    executor.shutdown()
    assert tally.read() == (4, 3, 1)
    strange: Any = stdlib_futures.Future()
    _progress.count(strange, tally, 2)
    strange.set_result(None)
    assert tally.read() == (6, 5, 1)


def test_pools_count_items_and_not_chunks() -> None:
    with ThreadPool(2) as pool:
        pool.map(abs, range(10), 4)
        assert list(pool.imap(abs, range(5), 3)) == [0, 1, 2, 3, 4]
        with pytest.raises(TypeError):
            pool.apply(abs, ("one",))
        assert pool._scheduler.tally.read() == (16, 15, 1)


def test_ctrl_c_ends_the_bar_before_the_traceback(tmp_path: Path, tqdm: bool) -> None:
    source = f"""{BEGIN}
if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(hold, range(10), 1, progress=True)
"""
    with running(tmp_path, source, tqdm=tqdm) as program:
        program.until("2 running")
        program.process.send_signal(signal.SIGINT)
        assert program.finish()[0] == -signal.SIGINT
        assert program.text.count("Traceback") == 1
        assert "Traceback (most recent call last):" in program.lines
        assert last_line(program) == "KeyboardInterrupt"


def test_an_exception_ends_the_bar_of_what_is_under_way(tmp_path: Path, tqdm: bool) -> None:
    source = f"""{BEGIN}
if __name__ == "__main__":
    pool = ThreadPool(2)
    results = pool.imap(hold, range(10), progress=True)
    os.read(0, 100)
    raise LookupError("no flour")
"""
    with running(tmp_path, source, tqdm=tqdm) as program:
        program.until("2 running")
        program.say("go on")
        assert program.finish()[0] == 1
        assert "Traceback (most recent call last):" in program.lines
        assert last_line(program) == "LookupError: no flour"


def test_a_program_that_ends_meanwhile_ends_the_bar(tmp_path: Path, tqdm: bool) -> None:
    source = f"""{BEGIN}
if __name__ == "__main__":
    pool = ThreadPool(2)
    results = pool.imap(hold, range(10), progress=True)
    os.read(0, 100)
"""
    with running(tmp_path, source, tqdm=tqdm) as program:
        program.until("2 running")
        program.say("go on")
        assert program.finish()[0] == 0, program.text
        assert "0/10" in last_line(program) or "0 of 10 done" in last_line(program)


def test_nothing_is_shown_where_there_is_no_terminal(tmp_path: Path) -> None:
    source = f"""{BEGIN}
if __name__ == "__main__":
    with Pool(2) as pool:
        print(sum(pool.map(square, range(20), progress=True)))
        print(sum(pool.imap(square, range(20), progress="squares")))
    with ThreadPoolExecutor(2) as executor:
        print(sum(executor.map(square, range(20), progress=True)))
    assert "tqdm" not in sys.modules
"""
    with running(tmp_path, source, stderr=subprocess.PIPE) as program:
        printed, errors = program.process.communicate()
        assert (program.process.returncode, printed, errors) == (0, "2470\n" * 3, "")


@pytest.mark.parametrize(
    "harm",
    [
        "os.close(2)",
        "sys.stderr.close()",
        "sys.stderr = None",
        "os.dup2(os.open('/dev/full', os.O_WRONLY), 2)",
        "os.dup2(os.open('file', os.O_WRONLY | os.O_CREAT), 2)",
    ],
)
def test_a_terminal_that_goes_away_fails_nothing(tmp_path: Path, harm: str, tqdm: bool) -> None:
    source = f"""{BEGIN}
if __name__ == "__main__":
    with Pool(2) as pool:
        results = pool.imap(hold, range(10), progress=True)
        os.read(0, 100)
        {harm}
        gate.set()
        print(sum(results))
        print(sum(pool.map(square, range(20), progress=True)))
"""
    with running(tmp_path, source, tqdm=tqdm) as program:
        program.until("2 running")
        program.say("go on")
        code, printed = program.finish()
        assert (code, printed) == (0, "45\n2470\n"), program.text
    if "file" in harm:
        assert (tmp_path / "file").read_bytes() == b""


def test_a_terminal_that_hangs_up_fails_nothing(tmp_path: Path, tqdm: bool) -> None:
    source = f"""{BEGIN}
import fcntl, pty, struct, termios
if __name__ == "__main__":
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    os.dup2(its, 2)
    os.close(its)
    with Pool(2) as pool:
        results = pool.imap(hold, range(10), progress=True)
        while b"2 running" not in os.read(ours, 10000):
            pass
        os.close(ours)
        gate.set()
        print(sum(results))
        print(sum(pool.map(square, range(20), progress=True)))
"""
    with running(tmp_path, source, tqdm=tqdm) as program:
        assert program.finish() == (0, "45\n2470\n"), program.text


def test_children_draw_nothing_of_it(tmp_path: Path, tqdm: bool) -> None:
    source = f"""{BEGIN}
def look():
    from manyhands import _progress
    assert _progress._screen is None
    assert sys.excepthook is sys.__excepthook__
    with ThreadPool(2) as pool:
        pool.map(square, range(20))

if __name__ == "__main__":
    before = threading.active_count()
    pool = ThreadPool(2)
    results = pool.imap(hold, range(10), progress="parent")
    os.read(0, 100)
    assert threading.active_count() == before + 2
    if os.fork() == 0:
        look()
        sys.exit(0)
    assert os.wait()[1] == 0
    gate.set()
    print(sum(results))
"""
    # From Python 3.12 on a fork beside threads warns.
    quiet = "-Wignore::DeprecationWarning"
    with running(tmp_path, source, quiet, tqdm=tqdm) as program:
        program.until("2 running")
        program.say("go on")
        assert program.finish() == (0, "45\n"), program.text
        shown = [line for line in program.lines if line]
        assert all(line.startswith("parent: ") for line in shown), shown
        ended = [line for line in shown if "running" not in line]
        assert len(ended) == 1, shown


def test_subclasses_with_the_stdlibs_signatures_go_on() -> None:
    class Doubling(ThreadPool):
        def map(self, func: Any, iterable: Any, chunksize: Any = None) -> Any:
            return [2 * each for each in super().map(func, iterable, chunksize)]

        def imap(self, func: Any, iterable: Any, chunksize: Any = 1) -> Any:
            return (2 * each for each in super().imap(func, iterable, chunksize))

    with Doubling(2) as pool:
        assert pool.map(abs, [1, 2]) == [2, 4]
        assert list(pool.imap(abs, [1, 2])) == [2, 4]
        assert pool.starmap(abs, [(3,)], progress=True) == [3]
