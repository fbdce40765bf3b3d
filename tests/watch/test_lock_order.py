"""manyhands run --lock-order: locks that are taken in opposite orders."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import PATIENCE

#: Two threads, one after the other, so that nobody waits for long.
PROGRAM = """
import threading, multiprocessing

LOCKS

def in_turn(*functions):
    for function in functions:
        thread = threading.Thread(target=function, name=function.__name__)
        thread.start()
        thread.join()
"""

TWO = """
def one():
    with mutex_a:
        with mutex_b:
            pass

def two():
    with mutex_b:
        mutex_a.acquire()
        mutex_a.release()

in_turn(one, two, one, two)
"""

KINDS = ("threading.Lock", "threading.RLock", "multiprocessing.Lock", "multiprocessing.RLock")


def run(path: Path, program: str, kind: str = "threading.Lock") -> str:
    """What comes out on stderr."""
    file = path / "program.py"
    locks = "\n".join(f"mutex_{letter} = {kind}()" for letter in "abc")
    file.write_text(PROGRAM.replace("LOCKS", locks) + program)
    command = [sys.executable, "-m", "manyhands", "run", "--lock-order", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_two_locks_in_opposite_orders(tmp_path: Path, kind: str) -> None:
    report = run(tmp_path, TWO, kind)
    assert report.startswith("manyhands: lock order: these threads could wait for each other\n")
    assert report.count("lock order") == 1
    steps = re.findall(
        r"thread (\w+) of process \d+ took (\w+)\n    File \".*program.py\", line \d+, in \1\n"
        r"  and then wanted (\w+)\n    File \".*program.py\", line \d+, in \1\n",
        report,
    )
    assert sorted(steps) == [("one", "mutex_a", "mutex_b"), ("two", "mutex_b", "mutex_a")]


def test_three_locks_in_a_ring(tmp_path: Path) -> None:
    program = """
def one():
    with mutex_a, mutex_b: pass
def two():
    with mutex_b, mutex_c: pass
def three():
    with mutex_c, mutex_a: pass
in_turn(one, two, three)
"""
    report = run(tmp_path, program)
    assert len(re.findall("and then wanted", report)) == 3


@pytest.mark.parametrize(
    "program",
    [
        "def one():\n    with mutex_a, mutex_b: pass\nin_turn(one, one)",
        "def one():\n    with mutex_a, mutex_b: pass\n    with mutex_b, mutex_a: pass\n"
        "one()\none()",
        "def one():\n    with mutex_c, mutex_a, mutex_b: pass\n"
        "def two():\n    with mutex_c, mutex_b, mutex_a: pass\nin_turn(one, two)",
        "def one():\n    with mutex_a, mutex_b: pass\ndef two():\n    with mutex_b:\n"
        "        if mutex_a.acquire(False): mutex_a.release()\n"
        "        if mutex_a.acquire(timeout=1): mutex_a.release()\nin_turn(one, two)",
        "def one():\n    with mutex_a: pass\n    with mutex_b: pass\n"
        "def two():\n    with mutex_b: pass\n    with mutex_a: pass\nin_turn(one, two)",
        "changed = threading.Condition()\ndef one():\n    with changed:\n"
        "        changed.wait(0.01)\n    with mutex_a: pass\nin_turn(one, one)",
    ],
    ids=["same order", "one thread", "under a third", "tried", "one at a time", "condition"],
)
def test_nothing_to_tell(tmp_path: Path, program: str) -> None:
    assert run(tmp_path, program) == ""


def test_a_lock_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    program = """
def one():
    with mutex_a:
        inner = threading.Lock()
        with inner: pass
def two():
    for _ in range(100):
        inner = threading.Lock()
        with inner:
            with mutex_a: pass
        del inner
in_turn(one, two, one)
import manyhands._lock_order as noted
assert len(noted._known) <= 2, noted._known
assert not noted._orders, noted._orders
"""
    assert run(tmp_path, program) == ""


def test_one_that_is_taken_again(tmp_path: Path) -> None:
    program = """
def one():
    with mutex_a, mutex_b, mutex_a: pass
def two():
    with mutex_a, mutex_a, mutex_b: pass
in_turn(one, two)
import manyhands._lock_order as noted
assert not noted._here.__dict__.get("held")
"""
    assert run(tmp_path, program, "threading.RLock") == ""
