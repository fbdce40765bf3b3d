"""Segments of shared memory, and lists in them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing import shared_memory as stdlib
from pathlib import Path
from typing import Any

import pytest
from manyhands import _native
from manyhands.multiprocessing import shared_memory as ours
from support import Hand, in_fork

SHM = Path("/dev/shm")


@pytest.fixture(autouse=True)
def nothing_stays(nothing_is_left: None) -> Iterator[None]:
    """No segment stays."""
    before = set(os.listdir(SHM))
    yield
    left = {name for name in os.listdir(SHM) if name.startswith("psm_")} - before
    assert not left, f"segments left behind: {left}"


@pytest.fixture
def segment() -> Iterator[ours.SharedMemory]:
    segment = ours.SharedMemory(create=True, size=100)
    yield segment
    segment.close()
    segment.unlink()


def test_a_segment_has_a_name_and_a_size(segment: ours.SharedMemory) -> None:
    assert segment.name.startswith("psm_")
    assert (SHM / segment.name).stat().st_size == segment.size == 100
    assert bytes(segment.buf) == bytes(100)
    assert repr(segment) == f"SharedMemory({segment.name!r}, size=100)"
    assert isinstance(segment, stdlib.SharedMemory)


def test_who_attaches_sees_the_same_memory(segment: ours.SharedMemory) -> None:
    other = ours.SharedMemory(segment.name)
    other.buf[:5] = b"hello"
    assert bytes(segment.buf[:5]) == b"hello"
    other.close()
    copy = pickle.loads(pickle.dumps(segment))
    assert bytes(copy.buf[:5]) == b"hello"
    copy.close()
    copy.close()
    assert copy.buf is None
    assert (SHM / segment.name).exists()


def test_a_stock_interpreter_attaches_to_ours(segment: ours.SharedMemory) -> None:
    program = """
import sys
from multiprocessing import shared_memory, resource_tracker
segment = shared_memory.SharedMemory(sys.argv[1])
segment.buf[:3] = b"abc"
resource_tracker.unregister(segment._name, "shared_memory")
segment.close()
"""
    subprocess.run([sys.executable, "-S", "-c", program, segment.name], check=True, timeout=60)
    assert bytes(segment.buf[:3]) == b"abc"


def test_ours_attaches_to_a_stock_one_and_leaves_it() -> None:
    theirs = stdlib.SharedMemory(create=True, size=10)
    try:
        segment = ours.SharedMemory(theirs.name)
        segment.buf[0] = 7
        assert theirs.buf[0] == 7
        segment.close()
        _native.multiprocessing.leave_family()
        assert (SHM / theirs.name).exists()
        _native.multiprocessing.join_family()
    finally:
        theirs.close()
        theirs.unlink()
        # What unlinks would have the standard library's tracker stay.
        _stop_tracker()


def _stop_tracker() -> None:
    from multiprocessing import resource_tracker

    resource_tracker._resource_tracker._stop()


def test_names_are_chosen_or_given() -> None:
    name = f"psm_test_{os.getpid()}"
    segment = ours.SharedMemory(name, create=True, size=1)
    assert segment.name == name
    with pytest.raises(FileExistsError):
        ours.SharedMemory(name, create=True, size=1)
    assert (SHM / name).exists()
    segment.close()
    segment.unlink()
    with pytest.raises(FileNotFoundError):
        segment.unlink()
    with pytest.raises(FileNotFoundError):
        ours.SharedMemory(name)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"create": True}, {"create": True, "size": -1}, {"name": "x", "size": -1}],
    ids=str,
)
def test_wrong_arguments_are_refused_in_the_same_words(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as theirs:  # noqa: PT011
        stdlib.SharedMemory(**arguments)
    with pytest.raises(ValueError) as mine:  # noqa: PT011
        ours.SharedMemory(**arguments)
    assert str(mine.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("name", "size", "error"), [("a\0b", 1, ValueError), (None, 1 << 64, OverflowError)]
)
def test_what_no_system_is_asked_for_is_refused(
    name: str | None, size: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ours.SharedMemory(name, create=True, size=size)


def test_a_fork_in_the_midst_of_others_work_finds_everything_free() -> None:
    over = threading.Event()
    hands = [Hand(_create_until, over) for _ in range(3)]
    try:
        for _ in range(30):
            in_fork(_create)
    finally:
        over.set()
    for hand in hands:
        hand.result()


def _create_until(over: threading.Event) -> None:
    while not over.is_set():
        _create()


def _create() -> None:
    segment = ours.SharedMemory(create=True, size=10)
    ours.SharedMemory(segment.name).close()
    segment.close()
    segment.unlink()


def test_an_empty_file_of_somebody_else_is_not_unlinked() -> None:
    path = SHM / f"psm_test_empty_{os.getpid()}"
    path.touch()
    try:
        with pytest.raises(ValueError, match="empty"):
            ours.SharedMemory(path.name)
        assert path.exists()
    finally:
        path.unlink()


def test_no_tracker_is_started(segment: ours.SharedMemory) -> None:
    in_fork(lambda: _attach_in_new_process(segment.name))


def _attach_in_new_process(name: str) -> None:
    program = """
import sys
from multiprocessing import resource_tracker
from manyhands.multiprocessing import shared_memory
segment = shared_memory.SharedMemory(sys.argv[1])
new = shared_memory.SharedMemory(create=True, size=10)
new.close()
new.unlink()
segment.close()
assert resource_tracker._resource_tracker._pid is None
"""
    subprocess.run([sys.executable, "-c", program, name], check=True, timeout=60)


def test_a_list_is_the_standard_librarys_in_another_segment() -> None:
    items = [1, -2.5, "drei", b"vier", None, True, "x" * 30]
    mine = ours.ShareableList(items)
    try:
        assert list(mine) == items
        assert len(mine) == len(items)
        assert repr(mine) == f"ShareableList({items}, name={mine.shm.name!r})"
        assert isinstance(mine.shm, ours.SharedMemory)
        mine[2] = "fünf"
        again = pickle.loads(pickle.dumps(mine))
        assert again[2] == "fünf"
        assert again.index(b"vier") == 3
        assert again.count(None) == 1
        again.shm.close()
        with pytest.raises(IndexError, match="out of range"):
            mine[len(items)]
        with pytest.raises(ValueError, match="exceeds"):
            mine[2] = "x" * 100
    finally:
        mine.shm.close()
        mine.shm.unlink()


def test_a_full_file_system_gives_an_error_and_leaves_nothing() -> None:
    program = """
import ctypes, os, sys
from manyhands.multiprocessing import shared_memory
assert os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize == 1 << 20
fits = shared_memory.SharedMemory(create=True, size=500_000)
fits.buf[:] = b"x" * 500_000
before = os.listdir("/dev/shm")
for size in (600_000, 1 << 40):
    try:
        shared_memory.SharedMemory(create=True, size=size)
    except OSError as error:
        assert error.errno == 28, error
        assert error.filename == "/dev/shm"
        assert str(size) in str(error), error
    else:
        raise SystemExit("there was room")
assert os.listdir("/dev/shm") == before
fits.close()
fits.unlink()
print("fine")
"""
    mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    own = ["unshare", "-m", "sh", "-c"]
    try:
        able = subprocess.run([*own, mount], timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if able.returncode:
        pytest.skip("may not mount")
    command = [*own, f'{mount} && exec "$0" -c "$1"', sys.executable, program]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr
