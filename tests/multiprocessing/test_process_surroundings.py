"""What a child has from its parent: as the parent is when it starts the child."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import children
import pytest
from manyhands import multiprocessing
from support import PATIENCE, run_script

METHODS = ["fork", "spawn", "forkserver"]

#: A program whose children are in a file that they find.
PROGRAM = f"""
import os, sys
sys.path.insert(0, {str(Path(children.__file__).parent)!r})
import children
from manyhands import multiprocessing
context = multiprocessing.get_context(sys.argv[1])
def ask(*names):
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=children.tell, args=(there, *names))
    process.start()
    there.close()
    told = here.recv()
    process.join()
    assert process.exitcode == 0
    return told
"""


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def ask(context: Any, *names: str) -> dict[str, Any]:
    """What a child finds."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=children.tell, args=(there, *names))
    process.start()
    there.close()
    told: dict[str, Any] = here.recv()
    process.join(PATIENCE)
    assert process.exitcode == 0
    process.close()
    here.close()
    return told


def test_a_child_is_the_child_of_its_parent(context: Any) -> None:
    told = ask(context, "pid", "ppid", "parent", "parent is alive", "pgid")
    assert told.pop("pid") != os.getpid()
    assert told == {
        "ppid": os.getpid(),
        "parent": os.getpid(),
        "parent is alive": True,
        "pgid": os.getpgrp(),
    }


def test_only_a_forked_child_has_its_parents_memory(context: Any) -> None:
    children.STATE[0] = "changed"
    try:
        told = ask(context, "state")
    finally:
        children.STATE[0] = "as imported"
    assert told["state"] == ("changed" if context.get_start_method() == "fork" else "as imported")


def test_a_spawned_child_has_no_modules_of_its_parent() -> None:
    modules = ask(multiprocessing.get_context("spawn"), "modules")["modules"]
    assert "children" in modules
    assert "pytest" not in modules


def test_the_working_directory(
    context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(context, "cwd")["cwd"] == os.getcwd()
    monkeypatch.chdir(tmp_path)
    assert ask(context, "cwd")["cwd"] == str(tmp_path)


def test_the_environment(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # `readline` sets these without Python's knowing.
    for name in ("LINES", "COLUMNS"):
        monkeypatch.setenv(name, "80")
    monkeypatch.setenv("TEA", "hot")
    assert ask(context, "environment")["environment"] == dict(os.environ)
    monkeypatch.setenv("TEA", "cold = good")
    monkeypatch.setenv("ÜBER", "ß\udcff")
    assert ask(context, "environment")["environment"] == dict(os.environ)
    monkeypatch.delenv("TEA")
    assert ask(context, "environment")["environment"] == dict(os.environ)


def test_the_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    for zone in ("AAA", "BBB"):
        monkeypatch.setenv("TZ", f"{zone}3")
        assert ask(context, "zone")["zone"] == zone


def test_what_counts_when_an_interpreter_starts(context: Any) -> None:
    script = PROGRAM + (
        "if __name__ == '__main__':\n"
        "    before = ask('environment')\n"
        "    os.environ['PYTHONWARNINGS'] = 'ignore'\n"
        "    after = ask('environment')\n"
        "    assert after['environment']['PYTHONWARNINGS'] == 'ignore'\n"
        "    print('done')\n"
    )
    assert run_script(script, context.get_start_method()) == "done\n"


def test_the_module_path_and_arguments(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere"])
    monkeypatch.setattr(sys, "argv", ["tea", "--hot"])
    told = ask(context, "path", "argv")
    assert told["path"][-1] == "/nowhere"
    assert told["argv"] == ["tea", "--hot"]


def test_the_umask_limits_processors_and_signals(context: Any) -> None:
    names = ("umask", "limit", "affinity", "ignored", "blocked", "interrupt", "nice")
    before = ask(context, *names)
    assert before["interrupt"]
    umask = os.umask(0o077)
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    processors = os.sched_getaffinity(0)
    old = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, limit[1]))
        os.sched_setaffinity(0, {min(processors)})
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        told = ask(context, *names)
    finally:
        os.umask(umask)
        resource.setrlimit(resource.RLIMIT_CORE, limit)
        os.sched_setaffinity(0, processors)
        signal.signal(signal.SIGUSR1, old)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    assert told == {
        "umask": "0077",
        "limit": (0, limit[1]),
        "affinity": [min(processors)],
        "ignored": [signal.SIGUSR1],
        "blocked": [signal.SIGTERM],
        "interrupt": True,
        "nice": before["nice"],
    }
    assert ask(context, *names) == before


def test_each_child_has_its_own_random_numbers(context: Any) -> None:
    assert len({ask(context, "random")["random"] for _ in range(4)}) == 4


def test_no_descriptor_is_inherited_but_those_passed(context: Any) -> None:
    if context.get_start_method() == "fork":
        pytest.skip("a fork inherits all")
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    pipe = children.identity(reader)
    try:
        files = ask(context, "files")["files"]
    finally:
        os.close(reader)
        os.close(writer)
    # The standard three, null in the place of stdin, the arena, the parent, the pipe.
    assert len(files) <= 8
    assert pipe not in files


def test_stdin_is_empty(context: Any) -> None:
    assert ask(context, "stdin")["stdin"] == os.devnull


@pytest.mark.parametrize("method", METHODS)
def test_output_goes_where_the_parents_goes_at_that_time(method: str, tmp_path: Path) -> None:
    script = PROGRAM + (
        "if __name__ == '__main__':\n"
        "    first = ask('stdout')['stdout']\n"
        "    file = os.open('out', os.O_CREAT | os.O_WRONLY)\n"
        "    saved = os.dup(1)\n"
        "    os.dup2(file, 1)\n"
        "    second = ask('stdout')['stdout']\n"
        "    process = context.Process(target=print, args=('tea',))\n"
        "    process.start(); process.join()\n"
        "    os.dup2(saved, 1)\n"
        "    assert first.startswith('pipe:') and second == os.path.realpath('out')\n"
        "    assert open('out').read() == 'tea\\n'\n"
        "    print('done')\n"
    )
    assert run_script(script, method, cwd=tmp_path) == "done\n"


@pytest.mark.parametrize("method", METHODS)
def test_standard_streams_may_be_closed(method: str) -> None:
    script = PROGRAM + (
        "if __name__ == '__main__':\n"
        "    saved = os.dup(1)\n"
        "    for number in range(3):\n"
        "        os.close(number)\n"
        "    sys.stdin = sys.stdout = sys.stderr = None\n"
        "    told = ask('stdout', 'descriptors')\n"
        "    os.write(saved, b'none' if told['stdout'] is None else repr(told).encode())\n"
    )
    assert run_script(script, method) == "none"


@pytest.mark.parametrize("method", METHODS)
def test_a_terminals_interrupt_is_for_the_program_and_its_children(method: str) -> None:
    script = PROGRAM + (
        "import signal\n"
        "from support import until_blocked\n"
        "if __name__ == '__main__':\n"
        "    ask('pid')\n"
        "    process = context.Process(target=children.sleep_quietly)\n"
        "    process.start()\n"
        "    until_blocked(process.pid, process.pid)\n"
        "    try:\n"
        "        os.killpg(0, signal.SIGINT)\n"
        "        process.join()\n"
        "    except KeyboardInterrupt:\n"
        "        process.join()\n"
        "        print('interrupted', process.exitcode)\n"
        "    assert ask('pgid')['pgid'] == os.getpid()\n"
    )
    assert run_script(script, method) == "interrupted 1\n"
