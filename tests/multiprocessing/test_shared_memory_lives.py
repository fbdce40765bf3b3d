"""How long a segment that nobody unlinks stays: as long as its creator's family."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from support import run_script, until

SHM = Path("/dev/shm")

CREATE = """
import os, signal, sys
from manyhands.multiprocessing import shared_memory
def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
segment = shared_memory.SharedMemory(create=True, size=100)
"""


@contextmanager
def program(source: str, runtime: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
    """A program whose family's folder is in `runtime`."""
    process = subprocess.Popen(
        [sys.executable, "-c", CREATE + source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            yield process, process.stdin, process.stdout
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = set(os.listdir(SHM))
    yield
    left = {name for name in os.listdir(SHM) if name.startswith("psm_")} - before
    assert not left, f"segments left behind: {left}"


def folders(runtime: Path) -> list[str]:
    return os.listdir(runtime / "manyhands")


def tidy_up(runtime: Path) -> None:
    """Has another family come, which tidies up, and go again."""
    with program("segment.unlink()", runtime) as (process, _, _):
        assert process.wait(60) == 0


def test_a_segment_goes_with_its_creator(tmp_path: Path) -> None:
    with program("say(segment.name); input(); segment.close()", tmp_path) as (process, put, get):
        name = get.readline().strip()
        assert (SHM / name).exists()
        put.write("\n")
        put.flush()
        assert process.wait(60) == 0
    assert not (SHM / name).exists()
    assert folders(tmp_path) == []


def test_a_segment_without_track_stays(tmp_path: Path) -> None:
    source = """
free = shared_memory.SharedMemory(create=True, size=100, track=False)
say(free.name)
"""
    with program(source, tmp_path) as (process, _, get):
        name = get.readline().strip()
        assert process.wait(60) == 0
    assert (SHM / name).exists()
    (SHM / name).unlink()


def test_a_forked_child_keeps_the_segment(tmp_path: Path) -> None:
    source = """
if os.fork() == 0:
    say(segment.name)
    sys.stdin.readline()
    sys.exit()
"""
    with program(source, tmp_path) as (process, put, get):
        name = get.readline().strip()
        assert process.wait(60) == 0
        assert (SHM / name).exists()
        put.write("\n")
        put.flush()
        # The child was the last to have the other end.
        assert get.read() == ""
        until(lambda: not (SHM / name).exists(), "the child's end")
    until(lambda: folders(tmp_path) == [])


def test_what_a_child_created_outlives_it(tmp_path: Path) -> None:
    source = """
segment.unlink()
child = os.fork()
if child == 0:
    say(shared_memory.SharedMemory(create=True, size=10).name)
    sys.exit()
os.waitpid(child, 0)
shared_memory.SharedMemory(sys.stdin.readline().strip()).close()
"""
    with program(source, tmp_path) as (process, put, get):
        name = get.readline()
        put.write(name)
        put.flush()
        assert process.wait(60) == 0
    assert not (SHM / name.strip()).exists()


def test_all_who_end_at_once_leave_nothing(tmp_path: Path) -> None:
    source = """
for _ in range(6):
    if os.fork() == 0:
        break
say(segment.name)
sys.stdin.readline()
"""
    with program(source, tmp_path) as (process, put, get):
        names = {get.readline().strip() for _ in range(7)}
        put.close()
        assert process.wait(60) == 0
        assert get.read() == ""
    (name,) = names
    until(lambda: not (SHM / name).exists())
    until(lambda: folders(tmp_path) == [])


def test_what_the_killed_leave_goes_when_the_next_family_comes(tmp_path: Path) -> None:
    with program("say(segment.name); input()", tmp_path) as (process, _, get):
        name = get.readline().strip()
        with program("say(segment.name); input()", tmp_path) as (_, _, get_other):
            living = get_other.readline().strip()
            process.send_signal(signal.SIGKILL)
            process.wait(60)
            assert (SHM / name).exists()
            tidy_up(tmp_path)
            assert not (SHM / name).exists()
            assert (SHM / living).exists(), "it was in use"
    tidy_up(tmp_path)
    assert not (SHM / living).exists()
    assert folders(tmp_path) == []


def test_a_segment_of_the_killed_cannot_be_attached_to(tmp_path: Path) -> None:
    with program("say(segment.name); input()", tmp_path) as (process, _, get):
        name = get.readline().strip()
        attach = f"""
segment.unlink()
try:
    shared_memory.SharedMemory({name!r}).close()
except FileNotFoundError:
    say("gone")
else:
    say("there")
"""
        for expected in ("there", "gone"):
            with program(attach, tmp_path) as (_, _, answer):
                assert answer.readline().strip() == expected
            process.send_signal(signal.SIGKILL)
            process.wait(60)


def test_a_child_of_the_killed_keeps_the_segment(tmp_path: Path) -> None:
    source = """
child = os.fork()
if child == 0:
    sys.stdin.readline()
    sys.exit()
say(segment.name)
signal.pause()
"""
    with program(source, tmp_path) as (process, put, get):
        name = get.readline().strip()
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        tidy_up(tmp_path)
        assert (SHM / name).exists()
        put.close()
        assert get.read() == ""
        until(lambda: not (SHM / name).exists())


@pytest.mark.parametrize(
    ("library", "method", "uses_it"),
    [
        ("manyhands.multiprocessing", "fork", False),
        ("manyhands.multiprocessing", "fork", True),
        ("manyhands.multiprocessing", "spawn", True),
        ("manyhands.multiprocessing", "forkserver", True),
        ("multiprocessing", "fork", True),
    ],
)
def test_a_process_that_outlives_the_program_takes_the_segment_along(
    tmp_path: Path, library: str, method: str, uses_it: bool
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    wait = f"print('up', flush=True); open({os.fspath(fifo)!r}).read()"
    use = """
from manyhands.multiprocessing import shared_memory
shared_memory.SharedMemory({name!r}).close()
"""
    source = f"""
import {library} as library
say(segment.name)
code = {use!r}.format(name=segment.name) if {uses_it} else ""
process = library.get_context({method!r}).Process(target=exec, args=(code + {wait!r},))
process.start()
process.join()
"""
    with program(source, tmp_path) as (process, _, get):
        name = get.readline().strip()
        assert get.readline() == "up\n"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        tidy_up(tmp_path)
        assert (SHM / name).exists(), "it was in use"
        fifo.write_text("go")
        assert get.read() == ""
        until(lambda: not (SHM / name).exists(), "the child's end")
    until(lambda: folders(tmp_path) == [])


def test_what_a_program_does_last_finds_its_segments(tmp_path: Path) -> None:
    source = f"import atexit; atexit.register(lambda: segment.unlink()); {CREATE.lstrip()}"
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert folders(tmp_path) == []


def test_a_file_that_took_the_name_is_left_alone(tmp_path: Path) -> None:
    with program("say(segment.name); input()", tmp_path) as (process, put, get):
        name = get.readline().strip()
        (SHM / name).unlink()
        (SHM / name).write_text("somebody else's")
        put.write("\n")
        put.flush()
        assert process.wait(60) == 0
    assert (SHM / name).read_text() == "somebody else's"
    (SHM / name).unlink()
    assert folders(tmp_path) == []


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "manyhands").mkdir()
    (tmp_path / "manyhands").chmod(0o777)
    with program("say(segment.name)", tmp_path) as (process, _, get):
        name = get.readline().strip()
        assert process.wait(60) == 0
    assert folders(tmp_path) == []
    (SHM / name).unlink()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_standard_librarys_segment_outlives_the_child_that_made_it(method: str) -> None:
    """Who has changed one import of two."""
    source = """
import sys
from multiprocessing import shared_memory
from manyhands import multiprocessing

def make(connection):
    segment = shared_memory.SharedMemory(create=True, size=100)
    segment.buf[0] = 7
    connection.send(segment.name)
    segment.close()

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    here, there = context.Pipe()
    process = context.Process(target=make, args=(there,))
    process.start()
    there.close()
    name = here.recv()
    process.join()
    # A tracker that the child has started would end now, and say so by closing this.
    assert here.poll(10) and process.exitcode == 0
    segment = shared_memory.SharedMemory(name)
    print(segment.buf[0])
    segment.close()
    segment.unlink()
"""
    assert run_script(source, method) == "7\n"
