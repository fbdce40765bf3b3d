"""`manyhands run --progress`: bars of the pools of an unmodified program."""

import pytest
from programs import environment
from terminals import running

RUN = ("-m", "manyhands", "run", "--progress")

BEGIN = """
import multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

gate = multiprocessing.Event()

def hold(number):
    gate.wait()
    return number
"""


@pytest.fixture(params=[True, False], ids=["tqdm", "lines"])
def tqdm(request):
    if request.param:
        pytest.importorskip("tqdm")
    return request.param


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("multiprocessing.Pool", "map_async(hold, range(10), 1).get"),
        ("ThreadPool", "map_async(hold, range(10), 1).get"),
        ("ProcessPoolExecutor", "map(hold, range(10)).__next__"),
        ("ThreadPoolExecutor", "map(hold, range(10)).__next__"),
    ],
)
def test_each_kind_of_pool_has_a_bar(tmp_path, kind, call, tqdm):
    source = f"""{BEGIN}
if __name__ == "__main__":
    assert "MANYHANDS_PROGRESS" not in os.environ
    pool = {kind}(2)
    result = pool.{call}
    os.read(0, 100)
    gate.set()
    result()
"""
    name = kind.rpartition(".")[2]
    with running(tmp_path, source, *RUN, tqdm=tqdm) as program:
        program.until(rf"{name}-1: .*0/10.*2 running" if tqdm else f"{name}-1: 0 of 10.*2 running")
        program.say("go on")
        assert program.finish()[0] == 0, program.text
        assert program.text.endswith("\n")


def test_several_pools_have_a_line_each(tmp_path, tqdm):
    source = f"""{BEGIN}
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool, ThreadPoolExecutor(3) as executor:
        first = pool.map_async(hold, range(10), 1)
        second = executor.map(hold, range(20))
        os.read(0, 100)
        gate.set()
        assert (sum(first.get()), sum(second)) == (45, 190)
"""
    with running(tmp_path, source, *RUN, tqdm=tqdm) as program:
        program.until("Pool-1: .*2 running")
        program.until("ThreadPoolExecutor-2: .*3 running")
        program.say("go on")
        assert program.finish()[0] == 0, program.text
        *lines, end = program.lines
        assert end == ""
        last = [line for line in lines if "running" not in line and line]
        assert sorted(line.partition(":")[0] for line in last) == ["Pool-1", "ThreadPoolExecutor-2"]
        assert all(("10/10" if tqdm else "10 of 10") in line or "20" in line for line in last)


def test_pools_of_children_have_none(tmp_path, tqdm):
    source = f"""{BEGIN}
def nested(number):
    with ThreadPool(2) as pool:
        pool.map(hold, range(100), 1)
    return number

if __name__ == "__main__":
    gate.set()
    if sys.argv[1:]:
        nested(1)
        sys.exit()
    assert subprocess.call([sys.executable, sys.argv[0], "child"]) == 0
    with multiprocessing.Pool(1) as pool:
        pool.map(nested, [1])
"""
    with running(tmp_path, source, *RUN, tqdm=tqdm) as program:
        assert program.finish()[0] == 0, program.text
        assert "ThreadPool" not in program.text


def test_an_exception_comes_after_the_bar(tmp_path, tqdm):
    source = f"""{BEGIN}
if __name__ == "__main__":
    pool = ThreadPool(2)
    result = pool.map_async(hold, range(10), 1)
    os.read(0, 100)
    raise LookupError("no flour")
"""
    with running(tmp_path, source, *RUN, tqdm=tqdm) as program:
        program.until("2 running")
        program.say("go on")
        assert program.finish()[0] == 1
        assert "Traceback (most recent call last):" in program.lines
        assert program.lines[-2:] == ["LookupError: no flour", ""]


def test_nothing_is_shown_where_there_is_no_terminal(place):
    place.write(
        "program.py",
        BEGIN
        + """
if __name__ == "__main__":
    gate.set()
    with multiprocessing.Pool(2) as pool:
        print(sum(pool.map(hold, range(10))))
    assert "tqdm" not in sys.modules and "MANYHANDS_PROGRESS" not in os.environ
""",
    )
    done = place.run("--progress", "program.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "45\n", "")


def test_without_the_option_there_is_no_bar(tmp_path):
    source = f"""{BEGIN}
if __name__ == "__main__":
    gate.set()
    with multiprocessing.Pool(2) as pool:
        print(sum(pool.map(hold, range(10))))
    assert sys.modules["manyhands._progress"]._screen is None
"""
    with running(tmp_path, source, *RUN[:-1], env=environment()) as program:
        assert program.finish() == (0, "45\n"), program.text
        assert program.text == ""
