"""manyhands run --trace and manyhands.watch.trace: what a program did."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from manyhands import watch
from support import PATIENCE

METHODS = ["fork", "forkserver", "spawn"]

PROGRAM = """
import os, queue, signal, sys, threading, time, multiprocessing
from concurrent.futures import ThreadPoolExecutor

def slow(number):
    time.sleep(0.002)
    if number == 3:
        raise ValueError(number)

def work(jobs, results):
    for job in iter(jobs.get, None):
        results.put(job)
    results.put(None)
    threading.Event().wait(0.001)  # as who has no more to do
    os.kill(os.getpid(), signal.SIGKILL)

def hold(lock, has_it):
    with lock:
        has_it.set()
        time.sleep(0.05)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    mutex, has_it = threading.Lock(), threading.Event()
    holder = threading.Thread(target=hold, args=(mutex, has_it), name="holder")
    holder.start()
    has_it.wait()
    with mutex:
        pass
    with ThreadPoolExecutor(1, thread_name_prefix="cook") as pool:
        calls = [pool.submit(slow, number) for number in range(5)]
    with context.Pool(1) as pool:
        pool.map(abs, range(3))
        pool.close()
        pool.join()  # who is killed may not have noted the last calls
    jobs, results = context.Queue(), context.Queue()
    worker = context.Process(target=work, args=(jobs, results), name="digger")
    worker.start()
    for job in (1, 2, None):
        jobs.put(job)
    while results.get() is not None:
        pass
    worker.join()
    print("over")
    sys.exit(5)
"""


def run(
    path: Path, program: str, *args: str, to: str = "out.json"
) -> subprocess.CompletedProcess[str]:
    (path / "program.py").write_text(textwrap.dedent(program))
    command = [sys.executable, "-m", "manyhands", "run", "--trace", to, "program.py", *args]
    return subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=PATIENCE)


class Events:
    """What is in a file of JSON."""

    def __init__(self, file: Path) -> None:
        self.all: list[dict[str, Any]] = json.loads(file.read_text())["traceEvents"]

    def names(self, what: str) -> set[str]:
        """Those of processes, without their numbers, or of threads."""
        names = [event["args"]["name"] for event in self.all if event["name"] == f"{what}_name"]
        return {re.sub(r" \(\d+\)$", "", name) for name in names}

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.all if event.get("cat") == kind]

    def count(self, kind: str, name: str) -> int:
        found = [event for event in self.of(kind) if event["name"] == name]
        return sum(event["args"].get("count", 1) for event in found)


@pytest.mark.parametrize("method", METHODS)
def test_what_a_program_did(tmp_path: Path, method: str) -> None:
    done = run(tmp_path, PROGRAM, method)
    assert (done.returncode, done.stdout) == (5, "over\n"), done.stderr
    assert re.fullmatch(r"manyhands: \d+ events are in out.json\n", done.stderr)
    events = Events(tmp_path / "out.json")
    assert {"program.py", "digger"} <= events.names("process")
    assert any("PoolWorker-1" in name for name in events.names("process"))
    assert {"MainThread", "cook_0"} <= events.names("thread")
    assert events.count("task", "slow") == 4
    assert events.count("task,failed", "slow") == 1
    assert events.count("task", "abs") == 3
    (wait,) = [event for event in events.of("wait") if event["name"] == "acquire mutex"]
    assert 10_000 < wait["dur"] < 10_000_000  # microseconds
    # Somebody had waited for it by then.
    assert events.count("hold", "mutex held") >= 2
    # The one who was killed is not forgotten.
    assert events.count("put", "put jobs") == 3
    assert events.count("get", "get jobs") == 3
    assert events.count("put", "put results") == 3
    depths = [event["args"]["items"] for event in events.all if event["name"] == "jobs"]
    assert max(depths) <= 3
    assert depths[-1] == 0
    begun = [event["ts"] for event in events.all if event["ph"] in "Xi"]
    assert begun == sorted(begun)


def test_a_picture(tmp_path: Path) -> None:
    done = run(tmp_path, PROGRAM, "fork", to="out.svg")
    assert done.returncode == 5
    picture = ElementTree.parse(tmp_path / "out.svg").getroot()
    texts = [each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "program.py" in " ".join(texts)
    assert "cook_0" in texts
    titles = [each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("slow, ") for title in titles)


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium")
    return found


def test_a_page_in_a_browser(tmp_path: Path) -> None:
    chromium = browser()
    assert run(tmp_path, PROGRAM, "fork", to="out.html").returncode == 5
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--disable-dev-shm-usage"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"]
    page = (tmp_path / "out.html").as_uri()
    done = subprocess.run([*command, page], capture_output=True, text=True, timeout=2 * PATIENCE)
    assert "CONSOLE" not in done.stderr, done.stderr
    assert re.search(r'<html lang="en" data-drawn="\d+">', done.stdout)
    assert re.search(r"<h1 [^>]*>\d+ events in [\d.]+ m?s</h1>", done.stdout)
    row = re.search(r"<tr><td>slow</td><td>call of a worker</td><td>(\d+)</td>", done.stdout)
    assert row
    assert row[1] == "4"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    done = run(tmp_path, PROGRAM, "fork", to="out.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the name of a trace ends in .json, .html or .svg" in done.stderr
    done = run(tmp_path, PROGRAM, "fork", to="no/out.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot trace: [Errno 2] No such file or directory: 'no/out.json'" in done.stderr
    # The program has been run by then.
    (tmp_path / "full.json").symlink_to("/dev/full")
    done = run(tmp_path, "import threading", to="full.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot write the trace: [Errno 28] No space left on device" in done.stderr


WAITS = """
import os, signal, sys, threading, time
def end(*_):
    print("asked to end", flush=True)
    sys.exit(7)
if "handles" in sys.argv:
    signal.signal(signal.SIGTERM, end)
print(os.getpid(), flush=True)
while True:
    time.sleep(0.01)
"""


def start(path: Path, *args: str) -> tuple[subprocess.Popen[str], int]:
    (path / "program.py").write_text(WAITS)
    process = subprocess.Popen(
        [sys.executable, "-m", "manyhands", "run", "--trace=out.json", "program.py", *args],
        cwd=path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.parametrize(
    ("args", "number", "status"),
    [
        (["handles"], signal.SIGTERM, 7),
        ([], signal.SIGTERM, -signal.SIGTERM),
        ([], signal.SIGINT, -signal.SIGINT),
    ],
)
def test_signals_are_for_the_program(
    tmp_path: Path, args: list[str], number: int, status: int
) -> None:
    process, pid = start(tmp_path, *args)
    process.send_signal(number)
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == status
    assert ("asked to end" in out) == bool(args)
    assert "events are in out.json" in errors
    assert Events(tmp_path / "out.json").of("task") == []
    assert not os.path.exists(f"/proc/{pid}")


def test_a_program_that_is_killed_leaves_a_trace(tmp_path: Path) -> None:
    process, pid = start(tmp_path)
    os.kill(pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert "events are in out.json" in errors


def test_the_program_ends_with_who_traces_it(tmp_path: Path) -> None:
    process, pid = start(tmp_path)
    process.kill()
    process.communicate(timeout=PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


PART = """
import sys
from manyhands import multiprocessing, queue, watch

def put_some(parcels):
    for number in range(10):
        parcels.put(number)

def main():
    context = multiprocessing.get_context(sys.argv[1])
    before = queue.Queue()
    before.put(1)
    with watch.trace("part.json"):
        letters = queue.Queue()
        letters.put(1)
        parcels = context.Queue()
        child = context.Process(target=put_some, args=(parcels,), name="sender")
        child.start()
        assert [parcels.get() for _ in range(10)] == list(range(10))
        child.join()
        try:
            with watch.trace("part.json"):
                pass
        except RuntimeError as error:
            print(error)
    letters.put(2)

if __name__ == "__main__":
    main()
"""


def alone(path: Path, program: str, *args: str) -> tuple[str, Events]:
    """What a program writes that traces itself, and the events."""
    (path / "program.py").write_text(textwrap.dedent(program))
    command = [sys.executable, "program.py", *args]
    done = subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, Events(path / "part.json")


@pytest.mark.parametrize("method", METHODS)
def test_a_part_of_a_program(tmp_path: Path, method: str) -> None:
    out, events = alone(tmp_path, PART, method)
    assert out == "there is a trace of this program already\n"
    assert events.count("put", "put letters") == 1
    assert not any("before" in event["name"] for event in events.all)
    assert events.count("get", "get parcels") == 10
    assert events.count("put", "put parcels") == 10
    assert "sender" in events.names("process")


def test_the_trace_of_a_part_that_fails_is_written(tmp_path: Path) -> None:
    file = tmp_path / "part.svg"
    with pytest.raises(KeyError), watch.trace(file):
        raise KeyError
    assert file.read_text().startswith("<svg")
    with pytest.raises(ValueError, match="ends in"), watch.trace(tmp_path / "part.png"):
        pass
    with pytest.raises(OSError, match="No such file"), watch.trace(tmp_path / "no" / "part.svg"):
        pass
    assert "MANYHANDS_TRACE" not in os.environ


def test_greenlets_have_lanes_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("greenlet")
    program = """
    from manyhands import gevent, threading, watch
    mutex = threading.Lock()
    def take():
        with mutex:
            gevent.sleep(0.01)
    with watch.trace("part.json"):
        gevent.joinall([gevent.spawn(take) for _ in range(3)])
    """
    _, events = alone(tmp_path, program)
    assert len({event["tid"] for event in events.of("wait")}) == 2
    assert sum(name.startswith("greenlet ") for name in events.names("thread")) == 2


def test_a_forked_child_leaves_the_trace_to_its_parent(tmp_path: Path) -> None:
    program = """
    import os
    from manyhands import queue, watch
    jobs = queue.Queue()
    with watch.trace("part.json"):
        child = os.fork()
        jobs.put(1)
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """
    _, events = alone(tmp_path, program)
    puts = [event["pid"] for event in events.of("put")]
    assert len(puts) == len(set(puts)) == 2
