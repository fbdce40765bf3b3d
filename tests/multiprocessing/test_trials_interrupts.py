"""Ctrl-C and kill -9 in programs of processes that wait for each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import children
import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import _nursery
from shared_locks import finish
from support import PATIENCE, kill_group, until, until_blocked

METHODS = ["fork", "spawn", "forkserver"]

#: All of its processes wait for the same; it prints the numbers of its children.
PROGRAM = """
import sys
from manyhands import multiprocessing as mp

def block(what, shared):
    if what == "condition":
        with shared:
            shared.wait()
    else:
        getattr(shared, {"get": "get", "lock": "acquire"}[what])()

if __name__ == "__main__":
    what, method, daemon = sys.argv[1:]
    context = mp.get_context(method)
    shared = {"get": context.Queue, "lock": context.Lock, "condition": context.Condition}[what]()
    if what == "lock":
        shared.acquire()
    processes = [
        context.Process(target=block, args=(what, shared), daemon=daemon == "daemon")
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    print(*(process.pid for process in processes), flush=True)
    block(what, shared)
"""


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, in a group of its own; it and its children wait. At the end no one lives on."""
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, "program.py", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            assert program.stdout is not None
            pids = [int(pid) for pid in program.stdout.readline().split()]
            assert len(pids) == 2
            for pid in [program.pid, *pids]:
                until_blocked(pid, pid)
            yield program
        finally:
            kill_group(program.pid)


def group(leader: int) -> list[str]:
    """The processes of a group that live."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(name)
    return found


@pytest.mark.parametrize("daemon", ["daemon", "no daemon"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", ["get", "lock", "condition"])
def test_ctrl_c_ends_a_program_that_waits_and_its_children(
    what: str, method: str, daemon: str, tmp_path: Path
) -> None:
    with running(tmp_path, what, method, daemon) as program:
        os.killpg(program.pid, signal.SIGINT)
        _, err = program.communicate(timeout=PATIENCE)
        until(lambda: not group(program.pid), "the end of all of them")
    assert program.returncode == -signal.SIGINT
    # One traceback of each process at most, and nothing else.
    assert 1 <= err.count("Traceback") <= 3
    assert {line for line in err.splitlines() if line.endswith(("Error", "Interrupt"))} == {
        "KeyboardInterrupt"
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_program_takes_its_daemons_and_zygotes_with_it(
    method: str, tmp_path: Path
) -> None:
    with running(tmp_path, "get", method, "daemon") as program:
        program.kill()
        program.communicate()
        until(lambda: not group(program.pid), "the end of all of them")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_start_while_their_zygote_is_killed_again_and_again(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    over = threading.Event()
    killed = []

    def kill() -> None:
        while not over.wait(0.05):
            pid = _nursery.nursery(method).pid
            if pid is not None and pid not in killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        until(lambda: start_three(context) and len(killed) >= 3)
    finally:
        over.set()
        killer.join()


def start_three(context: Any) -> bool:
    processes = [context.Process(target=children.nothing) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        finish(process)
    return True
