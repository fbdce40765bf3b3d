"""Who outlives whom, and that nobody stays behind."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import children
import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import _nursery
from support import PATIENCE, program, run_script, until

METHODS = ["fork", "spawn", "forkserver"]

PROGRAM = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(Path(children.__file__).parent)!r})
import children
from manyhands.multiprocessing import _nursery, get_context
context = get_context(sys.argv[1])
def start(target=children.nothing, *args, **options):
    process = context.Process(target=target, args=args, **options)
    process.start()
    return process
def own():
    found = set()
    for task in os.listdir('/proc/self/task'):
        with open(f'/proc/self/task/{{task}}/children') as file:
            found |= set(map(int, file.read().split()))
    return found
"""

pytestmark = pytest.mark.patience(120)


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Watched:
    """A process that is watched from afar."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self.has_ended(0):
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        os.close(self.descriptor)

    def has_ended(self, timeout: float = PATIENCE) -> bool:
        return select.select([self.descriptor], [], [], timeout)[0] != []


def is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def test_a_program_that_never_joins_has_no_zombies(method: str) -> None:
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=children.nothing) for _ in range(30)]
    pids = []
    for process in processes:
        process.start()
        pids.append(process._popen.pid)
    until(lambda: not any(map(is_there, pids)), "the reaper")
    # Reaped, but not forgotten.
    assert [process.exitcode for process in processes] == [0] * 30
    for process in processes:
        process.close()


def test_a_program_that_forgets_its_processes_has_no_zombies(method: str) -> None:
    script = PROGRAM + (
        "import time\n"
        "pids = [start().pid for _ in range(30)]\n"
        "for _ in range(20000):\n"
        "    if not set(pids) & own(): break\n"
        "    time.sleep(.001)\n"
        "else: raise SystemExit('zombies')\n"
    )
    run_script(script, method)


@pytest.mark.parametrize("thread", ["main", "another"])
def test_a_daemon_dies_with_a_parent_that_is_killed(method: str, thread: str) -> None:
    script = PROGRAM + (
        "def work():\n"
        "    daemons = [start(children.sleep, daemon=True) for _ in range(3)]\n"
        "    print(*own(), flush=True)\n"
        "    children.sleep()\n"
        "threading.Thread(target=work).start() if sys.argv[2] == 'another' else work()\n"
    )
    with program(script, method, thread) as (running, pids):
        assert len(pids) >= 3
        watched = [Watched(pid) for pid in pids]
        running.kill()
        for each in watched:
            with each:
                # Zygotes and what they have ready too.
                assert each.has_ended(), each.pid


def test_a_daemon_of_a_child_dies_with_the_child(method: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context(method)
    for inner in METHODS:
        path = tmp_path / inner
        process = context.Process(target=children.have_children, args=(str(path), inner, True))
        process.start()
        until(lambda path=path: path.exists() and path.read_text().endswith("\n"))
        pid, daemon = map(int, path.read_text().split())
        assert pid == process.pid
        with Watched(daemon) as watched:
            assert not watched.has_ended(0)
            process.kill()
            assert watched.has_ended()
        process.join(PATIENCE)
        process.close()


def test_an_orphan_lives_on_and_knows(method: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    script = (
        PROGRAM + "print(start(children.be_alone, sys.argv[2]).pid, flush=True); children.sleep()"
    )
    with program(script, method, str(path)) as (running, pids), Watched(pids[0]) as watched:
        running.kill()
        running.wait(PATIENCE)
        until(tmp_path.joinpath("pipe.alone").exists, "the orphan to notice")
        assert not watched.has_ended(0)
        path.write_text("")
        assert watched.has_ended()
        # Somebody has adopted it, not us.
        adopter = int(tmp_path.joinpath("pipe.end").read_text())
        assert adopter not in (running.pid, os.getpid())


def test_the_end_of_a_program_waits_for_processes_but_not_for_daemons(method: str) -> None:
    script = PROGRAM + (
        "daemon = start(children.sleep, daemon=True)\n"
        "start(os.write, 1, b'child\\n')\n"
        "os.write(1, b'%d\\n' % daemon.pid)\n"
    )
    daemon, said = sorted(run_script(script, method).split())
    assert said == "child"
    assert not is_there(int(daemon))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_live_on_without_the_zygote_and_more_can_be_started(method: str) -> None:
    context = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    first = context.Process(target=here.recv_bytes)
    first.start()
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        zygote = _nursery.nursery(method).pid
        assert zygote
        os.kill(zygote, number)
        # The copy that it had ready may still do.
        while _nursery.nursery(method).pid == zygote:
            process = context.Process(target=children.end_by, args=("exit",))
            process.start()
            process.join(PATIENCE)
            assert process.exitcode == 7
            process.close()
    assert first.is_alive()
    there.send_bytes(b"go")
    first.join(PATIENCE)
    assert first.exitcode == 0
    first.close()
    here.close()
    there.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_copy_that_a_zygote_has_ready_may_be_killed(method: str) -> None:
    script = PROGRAM + (
        "for _ in range(20):\n"
        "    start().join()\n"
        "    for pid in own() - {_nursery.nursery(sys.argv[1]).pid}:\n"
        "        os.kill(pid, signal.SIGKILL)\n"
        "    process = start(children.end_by, 'exit')\n"
        "    process.join()\n"
        "    assert process.exitcode in (7, -signal.SIGKILL), process.exitcode\n"
        "process = start(children.end_by, 'exit')\n"
        "process.join()\n"
        "assert process.exitcode == 7\n"
    )
    run_script(script, method)


def test_five_hundred_live_at_once(method: str) -> None:
    context = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    with here, there:
        processes = [context.Process(target=here.poll, args=(None,)) for _ in range(500)]
        for process in processes:
            process.start()
        try:
            assert len({process.pid for process in processes}) == 500
            assert all(process.is_alive() for process in processes)
            assert set(processes) <= set(multiprocessing.active_children())
        finally:
            there.send_bytes(b"go")
        for process in processes:
            process.join(PATIENCE)
            assert process.exitcode == 0
            process.close()
