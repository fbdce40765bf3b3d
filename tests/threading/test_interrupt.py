"""Ctrl-C, in interpreters of their own: every wait of the main thread ends with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import Engine, run_script
from waits import WAITS

TESTS = str(Path(__file__).parents[1])

#: Makes each wait of the table in the main thread, sends SIGINT once it sleeps, and goes on.
SCRIPT = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
import support, waits
engine = {e.name: e for e in support.ENGINES}[sys.argv[2]]
main = threading.get_native_id()
for kind in waits.WAITS:
    wait = kind(engine)
    def send():
        support.until_blocked(main)
        os.kill(os.getpid(), signal.SIGINT)
    hand = support.Hand(send)
    try:
        wait.wait()
        print("ended:", kind.__name__)
    except KeyboardInterrupt:
        print("interrupted:", kind.__name__)
    hand.result()
    wait.check()
    wait.clean_up()
"""


def test_it_ends_every_wait_and_nothing_is_lost(engine: Engine, tmp_path: Path) -> None:
    printed = run_script(SCRIPT, TESTS, engine.name, cwd=tmp_path)
    assert printed.split("\n")[:-1] == [f"interrupted: {kind.__name__}" for kind in WAITS]


REACQUIRE = """
import os, signal, sys, threading
from {package}threading import Condition, Lock
import _thread
condition = Condition(Lock())
main = threading.get_native_id()
sys.path.insert(0, sys.argv[1])
import support
free = _thread.allocate_lock()
free.acquire()
def keep():
    with condition:
        condition.notify()
        support.until_blocked(main)
        os.kill(os.getpid(), signal.SIGINT)
        free.acquire()
with condition:
    hand = support.Hand(keep)
    threading.Timer(0.2, free.release).start()
    try:
        condition.wait()
    except KeyboardInterrupt:
        print("interrupted, held:", condition._lock.locked())
hand.result()
assert not condition._lock.locked()
"""


def test_while_the_lock_of_a_condition_is_awaited_again_it_comes_when_that_is_held(
    tmp_path: Path,
) -> None:
    """Ours only: with a Lock, the stdlib's raises without it, and `with` fails then."""
    printed = run_script(REACQUIRE.format(package="manyhands."), TESTS, cwd=tmp_path)
    assert printed == "interrupted, held: True\n"


@pytest.mark.parametrize("wait", ["Queue().get()", "SimpleQueue().get()"])
def test_a_program_that_is_interrupted_ends_as_usual(tmp_path: Path, wait: str) -> None:
    import signal
    import subprocess
    import sys

    source = (
        "import sys\n"
        "from manyhands.queue import Queue, SimpleQueue\n"
        "print('ready', flush=True)\n"
        f"{wait}\n"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    from support import until_blocked

    until_blocked(program.pid, program.pid)
    os.kill(program.pid, signal.SIGINT)
    _, stderr = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
