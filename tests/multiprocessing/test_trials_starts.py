"""What users of the standard library suffer from, and do not here: starting processes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import children
import pytest
from manyhands import multiprocessing
from shared_locks import finish
from support import PATIENCE, Hand, run_file, run_script

METHODS = ["fork", "spawn", "forkserver"]
FRESH = ["spawn", "forkserver"]


LOCK = threading.Lock()


def use_the_lock() -> None:
    assert LOCK.acquire(timeout=PATIENCE)
    LOCK.release()


@pytest.mark.parametrize("method", FRESH)
def test_locks_that_threads_of_the_parent_hold_are_free_in_a_child(method: str) -> None:
    context = multiprocessing.get_context(method)
    over = threading.Event()

    def hold() -> None:
        with LOCK:
            over.wait()

    hand = Hand(hold).blocks()
    try:
        for _ in range(8):
            process = context.Process(target=use_the_lock)
            process.start()
            finish(process)
    finally:
        over.set()
    hand.result()


def threads_at_birth(conn: Any) -> None:
    conn.send((children.status("Threads"), threading.active_count()))


@pytest.mark.parametrize("method", FRESH)
def test_a_child_begins_with_one_thread_however_many_its_parent_has(method: str) -> None:
    context = multiprocessing.get_context(method)
    over = threading.Event()
    hands = [Hand(over.wait) for _ in range(5)]
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=threads_at_birth, args=(there,))
    process.start()
    assert here.recv() == ("1", 1)
    finish(process)
    here.close()
    there.close()
    over.set()
    for hand in hands:
        hand.result()


MAIN = """
import sys
sys.path.insert(0, {folder!r})
import costly
from manyhands import multiprocessing

def work():
    assert costly.DONE

with open("mains", "a") as file:
    file.write("x")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    for _ in range(10):
        process = context.Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == 0
"""


def test_a_fork_server_imports_the_program_once_for_all_children(tmp_path: Path) -> None:
    (tmp_path / "costly.py").write_text(
        "with open('imports', 'a') as file: file.write('x')\nDONE = True\n"
    )
    run_file(tmp_path / "main.py", MAIN.format(folder=str(tmp_path)), "forkserver")
    # The program's own, and the server's; only if its first server could not know that the program
    # needs shared memory there is another.
    assert (tmp_path / "imports").read_text() == "xx"
    assert (tmp_path / "mains").read_text() == "xx"


def test_a_spawned_child_imports_the_program_itself(tmp_path: Path) -> None:
    (tmp_path / "costly.py").write_text(
        "with open('imports', 'a') as file: file.write('x')\nDONE = True\n"
    )
    run_file(tmp_path / "main.py", MAIN.format(folder=str(tmp_path)), "spawn")
    assert (tmp_path / "imports").read_text() == "x" * 11


BY_VALUE = """
import sys
from manyhands import multiprocessing

FACTOR = 6

def top(number, items):
    items.put(helper(number))

def helper(number):
    return number * FACTOR

def closure(add, items):
    def inner():
        items.put(add + helper(1) + 1)
    return inner

class Thing:
    def __init__(self, number):
        self.number = number
    def put(self, items):
        items.put(self.number * FACTOR)

def start(target, *args):
    process = context.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0, (target, process.exitcode)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    items = context.Queue()
    add = 35
    start(lambda: items.put(add + 7))
    start(closure(add, items))
    start(top, 7, items)
    start(Thing(7).put, items)
    print([items.get() for _ in range(4)])
"""


@pytest.mark.parametrize("way", ["file", "code"])
@pytest.mark.parametrize("method", METHODS)
def test_lambdas_closures_and_functions_without_a_file_are_sent(
    method: str, way: str, tmp_path: Path
) -> None:
    pytest.importorskip("cloudpickle")
    if way == "code":
        out = run_script(BY_VALUE, method)
    else:
        out = run_file(tmp_path / "main.py", BY_VALUE, method)
    assert out == "[42, 42, 42, 42]\n"


@pytest.mark.parametrize("method", FRESH)
def test_without_cloudpickle_the_error_is_the_standard_librarys_with_a_hint(method: str) -> None:
    script = (
        "import sys\n"
        "sys.modules['cloudpickle'] = None\n"
        "from manyhands import multiprocessing\n"
        f"process = multiprocessing.get_context({method!r}).Process(target=lambda: None)\n"
        "try:\n"
        "    process.start()\n"
        "except Exception as error:\n"
        "    import pickle\n"
        "    assert isinstance(error, (AttributeError, pickle.PicklingError)), error\n"
        "    if sys.version_info >= (3, 11):\n"
        "        assert 'cloudpickle' in error.__notes__[0]\n"
        "    assert not multiprocessing.active_children()\n"
        "    print('refused')\n"
    )
    assert run_script(script) == "refused\n"
