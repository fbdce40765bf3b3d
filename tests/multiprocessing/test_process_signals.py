"""Processes beside what a program does with its own children, signals and threads."""

from __future__ import annotations

from pathlib import Path

import children
import pytest
from support import run_script

METHODS = ["fork", "spawn", "forkserver"]

pytestmark = [pytest.mark.parametrize("method", METHODS), pytest.mark.patience(120)]

PROGRAM = f"""
import os, signal, subprocess, sys, threading
sys.path.insert(0, {str(Path(children.__file__).parent)!r})
import children
from manyhands import multiprocessing
context = multiprocessing.get_context(sys.argv[1])
def start():
    process = context.Process(target=children.end_by, args=('exit',))
    process.start()
    return process
def fork(code):
    return os.fork() or os._exit(code)
"""


def test_the_programs_handler_hears_of_every_end(method: str) -> None:
    script = PROGRAM + (
        "ends = []\n"
        "signal.signal(signal.SIGCHLD, lambda *ignored: ends.append(1))\n"
        "for count in range(1, 6):\n"
        "    process = start()\n"
        "    process.join()\n"
        "    assert process.exitcode == 7\n"
        "    while len(ends) < count: signal.sigtimedwait([], .01)\n"
    )
    run_script(script, method)


def test_a_handler_that_reaps_all_ends_does_not_hang_us(method: str) -> None:
    script = PROGRAM + (
        "reaped = {}\n"
        "def reap(*ignored):\n"
        "    try:\n"
        "        while True:\n"
        "            pid, status = os.waitpid(-1, os.WNOHANG)\n"
        "            if pid == 0: return\n"
        "            reaped[pid] = os.waitstatus_to_exitcode(status)\n"
        "    except ChildProcessError: pass\n"
        "signal.signal(signal.SIGCHLD, reap)\n"
        "for _ in range(30):\n"
        "    process = start()\n"
        "    process.join()\n"
        "    # Who was first knows.\n"
        "    if process.pid in reaped: assert (reaped[process.pid], process.exitcode) == (7, 255)\n"
        "    else: assert process.exitcode == 7, process.exitcode\n"
        "    assert not process.is_alive() and process not in multiprocessing.active_children()\n"
    )
    run_script(script, method)


def test_a_program_may_ignore_the_ends_of_children(method: str) -> None:
    script = PROGRAM + (
        "import time\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "processes = [start() for _ in range(10)]\n"
        "for process in processes:\n"
        "    process.join()\n"
        "    # The system has not kept how it ended.\n"
        "    assert process.exitcode == 255, process.exitcode\n"
        "process = context.Process(target=children.sleep)\n"
        "process.start()\n"
        "process.join(.05)\n"
        "assert process.is_alive()\n"
        "process.kill(); process.join()\n"
        "assert process.exitcode == 255\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_DFL)\n"
        "process = start(); process.join(); assert process.exitcode == 7\n"
    )
    run_script(script, method)


def test_a_program_may_wait_for_any_child(method: str) -> None:
    script = PROGRAM + (
        "for _ in range(10):\n"
        "    ours, own = start(), fork(3)\n"
        "    while True:\n"
        "        pid, status = os.wait()\n"
        "        if pid == own: break\n"
        "    assert os.waitstatus_to_exitcode(status) == 3\n"
        "    ours.join()\n"
        "    assert ours.exitcode in (7, 255)\n"
    )
    run_script(script, method)


def test_a_program_keeps_the_children_that_it_forks_itself(method: str) -> None:
    script = PROGRAM + (
        "own = [fork(code) for code in range(20)]\n"
        "processes = [start() for _ in range(20)]\n"
        "for process in processes: process.join(); assert process.exitcode == 7\n"
        "for code, pid in enumerate(own):\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code\n"
    )
    run_script(script, method)


def test_subprocesses_and_processes_do_not_disturb_each_other(method: str) -> None:
    script = PROGRAM + (
        "wrong = []\n"
        "def run():\n"
        "    for code in range(20):\n"
        "        got = subprocess.run(['/bin/sh', '-c', f'exit {code}']).returncode\n"
        "        if got != code: wrong.append((code, got))\n"
        "threads = [threading.Thread(target=run) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for _ in range(20):\n"
        "    process = start(); process.join(); assert process.exitcode == 7\n"
        "for thread in threads: thread.join()\n"
        "assert not wrong, wrong\n"
    )
    run_script(script, method)


def test_asyncio_hears_of_its_own_children(method: str) -> None:
    script = PROGRAM + (
        "import asyncio\n"
        "async def run(code):\n"
        "    child = await asyncio.create_subprocess_exec('/bin/sh', '-c', f'exit {code}')\n"
        "    return await child.wait()\n"
        "async def join(process):\n"
        "    ended = asyncio.Event()\n"
        "    loop = asyncio.get_running_loop()\n"
        "    loop.add_reader(process.sentinel, ended.set)\n"
        "    await ended.wait()\n"
        "    loop.remove_reader(process.sentinel)\n"
        "    return process.exitcode\n"
        "async def main():\n"
        "    for _ in range(5):\n"
        "        joins = [join(start()) for _ in range(3)]\n"
        "        codes = await asyncio.gather(*map(run, range(5)), *joins)\n"
        "        assert codes == [0, 1, 2, 3, 4, 7, 7, 7], codes\n"
        "asyncio.run(main())\n"
    )
    run_script(script, method)


def test_threads_may_hold_locks_while_processes_are_started(method: str) -> None:
    script = PROGRAM + (
        "import io, logging\n"
        "logging.basicConfig(stream=io.StringIO())\n"
        "over = False\n"
        "def busy(name):\n"
        "    while not over:\n"
        "        logging.error('kettle')\n"
        "        __import__(name)\n"
        "        del sys.modules[name]\n"
        "        b''.join(bytes(5000) for _ in range(5))\n"
        "names = 'colorsys', 'sched', 'stringprep'\n"
        "threads = [threading.Thread(target=busy, args=(name,)) for name in names]\n"
        "for thread in threads: thread.start()\n"
        "try:\n"
        "    for _ in range(40):\n"
        "        process = context.Process(target=children.be_busy)\n"
        "        process.start(); process.join(); assert process.exitcode == 0\n"
        "finally:\n"
        "    over = True\n"
        "    for thread in threads: thread.join()\n"
    )
    run_script(script, method)


def test_threads_may_start_processes_at_the_same_time(method: str) -> None:
    script = PROGRAM + (
        "codes = []\n"
        "def run():\n"
        "    for _ in range(15):\n"
        "        process = start(); process.join(); codes.append(process.exitcode)\n"
        "threads = [threading.Thread(target=run) for _ in range(6)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert codes == [7] * 90, codes\n"
        "assert multiprocessing.active_children() == []\n"
    )
    run_script(script, method)


def test_who_is_stopped_while_he_shares_memory_does_not_stop_who_starts(method: str) -> None:
    script = PROGRAM + (
        "from manyhands import _native\n"
        "locks = [context.Lock() for _ in range(3000)]\n"
        "def look():\n"
        "    # Nobody else can share memory while all there is is counted.\n"
        "    while True: _native.multiprocessing.arena_statistics()\n"
        "stopped = os.fork()\n"
        "if stopped == 0: look()\n"
        "start().join()\n"
        "for way in (lambda: start().join(), lambda: os.waitpid(fork(0), 0)):\n"
        "    for _ in range(10):\n"
        "        os.kill(stopped, signal.SIGSTOP)\n"
        "        os.waitid(os.P_PID, stopped, os.WSTOPPED)\n"
        "        thread = threading.Thread(target=way)\n"
        "        thread.start()\n"
        "        # It waits, most times, for as long as the other one is stopped.\n"
        "        thread.join(.05)\n"
        "        os.kill(stopped, signal.SIGCONT)\n"
        "        thread.join()\n"
        "os.kill(stopped, signal.SIGKILL)\n"
        "os.waitpid(stopped, 0)\n"
    )
    run_script(script, method)
