"""What can be run in a process, and what is said about what cannot."""

from __future__ import annotations

import multiprocessing as stdlib
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import children
import pytest
from manyhands import multiprocessing
from support import PATIENCE, run_command, run_script

METHODS = ["fork", "spawn", "forkserver"]
PICKLING = ["spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


CHILDREN = f"""
import os, sys
sys.path.insert(0, {str(Path(children.__file__).parent)!r})
from manyhands import multiprocessing
"""


def test_a_subclass_may_say_what_to_run() -> None:
    script = CHILDREN + (
        "import children\n"
        "class Cook(multiprocessing.Process):\n"
        "    def __init__(self, there, dish):\n"
        "        super().__init__(name='Cook')\n"
        "        self.there, self.dish = there, dish\n"
        "    def run(self):\n"
        "        self.there.send((self.name, self.dish, self.pid == os.getpid(), self.daemon))\n"
        "if __name__ == '__main__':\n"
        "    for method in ('fork', 'spawn', 'forkserver'):\n"
        "        multiprocessing.set_start_method(method, force=True)\n"
        "        here, there = multiprocessing.Pipe(duplex=False)\n"
        "        cook = Cook(there, 'soup')\n"
        "        cook.start()\n"
        "        assert here.recv() == ('Cook', 'soup', True, False)\n"
        "        cook.join()\n"
        "        assert cook.exitcode == 0\n"
    )
    run_script(script)


def test_run_may_be_called_in_place(context: Any) -> None:
    done: list[int] = []
    process = context.Process(target=done.append, args=(3,))
    process.run()
    assert done == [3]
    with pytest.raises(AssertionError, match="can only join a started process"):
        process.join()


def test_keyword_arguments_arrive(context: Any) -> None:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=children.keywords, args=(there,), kwargs={"tea": "hot"})
    process.start()
    assert here.recv() == {"tea": "hot"}
    process.join(PATIENCE)
    process.close()
    here.close()
    there.close()


def test_names_count_through(context: Any) -> None:
    first, second = context.Process(), context.Process()
    assert first.name.startswith(type(first).__name__)
    counts = [int(process.name.rpartition("-")[2]) for process in (first, second)]
    assert counts[1] == counts[0] + 1
    second.name = "Cook"
    assert second.name == "Cook"
    assert "name='Cook'" in repr(second)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=children.names, args=(there,))
    process.start()
    # Children of a child count anew.
    count = process.name.rpartition("-")[2]
    assert here.recv() == (process.name, f"{count}:1")
    process.join(PATIENCE)
    process.close()
    here.close()
    there.close()


def test_daemon_and_key_are_the_parents_unless_said_otherwise(context: Any) -> None:
    process = context.Process(target=children.nothing)
    assert process.daemon is multiprocessing.current_process().daemon is False
    assert process.authkey == multiprocessing.current_process().authkey
    assert context.Process(daemon=True).daemon is True
    process.authkey = b"another key"
    assert process.authkey == b"another key"
    process.daemon = True
    process.start()
    for daemon in (True, False):
        with pytest.raises(AssertionError, match="process has already started"):
            process.daemon = daemon
    process.join(PATIENCE)
    process.close()
    with pytest.raises(AssertionError, match="group argument must be None"):
        context.Process(group=1)


def test_a_childs_key_is_its_process_objects(context: Any) -> None:
    here, there = context.Pipe(duplex=False)
    for key in (None, b"another key"):
        process = context.Process(target=children.tell, args=(there, "key"))
        process.authkey = key or process.authkey
        process.start()
        expected = key or bytes(multiprocessing.current_process().authkey)
        assert here.recv()["key"] == expected
        process.join(PATIENCE)
        process.close()
        if key is None:
            here.close()
            here, there = context.Pipe(duplex=False)
    here.close()
    there.close()


@pytest.mark.parametrize("method", PICKLING)
@pytest.mark.parametrize("has_cloudpickle", [True, False])
def test_what_cannot_be_pickled_gives_the_stdlibs_error(
    method: str, has_cloudpickle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_cloudpickle:
        pytest.importorskip("cloudpickle")
    else:
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
    hopeless: list[Any] = [threading.Lock(), (n for n in ()), sys._getframe()]
    if not has_cloudpickle:
        hopeless.append(lambda: None)
    before = len(os.listdir("/proc/self/fd"))
    for thing in hopeless:
        errors = []
        for package in (multiprocessing, stdlib):
            process = package.get_context(method).Process(target=children.nothing, args=(thing,))
            with pytest.raises(Exception, match="pickle") as caught:
                process.start()
            errors.append((caught.type, str(caught.value)))
            assert process.pid is None
            assert not process.is_alive()
        assert errors[0] == errors[1]
    assert len(os.listdir("/proc/self/fd")) <= before + 4


@pytest.mark.parametrize("method", PICKLING)
def test_a_function_that_the_child_does_not_find_is_its_error(method: str, tmp_path: Path) -> None:
    script = CHILDREN + (
        "import types\n"
        "kitchen = types.ModuleType('kitchen')\n"
        "def cook(): pass\n"
        "cook.__module__ = 'kitchen'; kitchen.cook = cook; sys.modules['kitchen'] = kitchen\n"
        "os.dup2(os.open('err', os.O_CREAT | os.O_WRONLY), 2)\n"
        "process = multiprocessing.get_context(sys.argv[1]).Process(target=cook)\n"
        "process.start(); process.join(); print(process.exitcode)\n"
    )
    assert run_script(script, method, cwd=tmp_path) == "1\n"
    assert "No module named 'kitchen'" in tmp_path.joinpath("err").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_a_log_on_stderr_tells_of_children(method: str, tmp_path: Path) -> None:
    script = CHILDREN + (
        "import logging\n"
        "os.dup2(os.open('err', os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)\n"
        "logger = multiprocessing.log_to_stderr(logging.INFO)\n"
        "assert logger is multiprocessing.get_logger()\n"
        "process = multiprocessing.get_context(sys.argv[1]).Process(target=print, name='Cook')\n"
        "process.start(); process.join()\n"
        "assert process.exitcode == 0\n"
    )
    run_script(script, method, cwd=tmp_path)
    log = tmp_path.joinpath("err").read_text()
    assert "[INFO/Cook] child process calling self.run()" in log
    assert "[INFO/Cook] process exiting with exitcode 0" in log
    assert "[INFO/MainProcess] process shutting down" in log


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("forkserver", r"__main__ in ([0-9.]+) s, once for all children"),
        ("spawn", r"the main module in ([0-9.]+) s"),
    ],
)
def test_a_log_on_stderr_tells_what_loading_modules_costs(
    method: str, what: str, tmp_path: Path
) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        "import logging, sys, time\n"
        "from manyhands import multiprocessing\n"
        "time.sleep(0.1)\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.log_to_stderr(logging.INFO)\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    process = context.Process(target=print)\n"
        "    process.start(); process.join()\n"
    )
    run = subprocess.run(
        [sys.executable, main, method], capture_output=True, text=True, timeout=60, check=True
    )
    told = re.search(rf"\[INFO/.*\] loaded {what}\n", run.stderr)
    assert told, run.stderr
    assert float(told[1]) >= 0.1


@pytest.mark.parametrize("method", METHODS)
def test_a_frozen_program_starts_itself(method: str, tmp_path: Path) -> None:
    program = tmp_path / "frozen"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "sys.frozen = True\n"
        "sys.executable = sys.argv[0]\n"
        "from manyhands import multiprocessing\n"
        "def work(there): there.send((__name__, sys.frozen))\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.freeze_support()\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    here, there = context.Pipe(duplex=False)\n"
        "    process = context.Process(target=work, args=(there,))\n"
        "    process.start()\n"
        "    print(*here.recv())\n"
        "    process.join()\n"
        "    assert process.exitcode == 0\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert run_command([str(program)]) == "__main__ True\n"


def test_a_fork_server_takes_a_program_with_many_arguments(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        "from manyhands import multiprocessing\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('forkserver').Process(target=print, args=(7,))\n"
        "    process.start(); process.join(); print(process.exitcode)\n"
    )
    command = [sys.executable, main, *["x" * 1000] * 300]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "7\n0\n", run.stderr


def test_a_child_that_ends_before_it_has_read_its_arguments_is_no_error() -> None:
    run_script(
        "from manyhands import multiprocessing\n"
        "multiprocessing.set_executable('/bin/true')\n"
        "context = multiprocessing.get_context('spawn')\n"
        "process = context.Process(target=len, args=(b'x' * (1 << 20),))\n"
        "process.start(); process.join(); assert process.exitcode == 0\n"
    )


@pytest.mark.parametrize("method", PICKLING)
def test_no_advice_is_given_that_does_not_help(method: str) -> None:
    process = multiprocessing.get_context(method).Process(args=(threading.Lock(),))
    with pytest.raises(TypeError, match="cannot pickle") as caught:
        process.start()
    assert not getattr(caught.value, "__notes__", None)


def test_errors_of_the_system_have_their_number(context: Any) -> None:
    process = context.Process(target=children.sleep)
    process.start()
    try:
        with pytest.raises(OSError, match=r"\[Errno 22\] Invalid argument"):
            process._popen._send_signal(999)
    finally:
        process.kill()
        process.join()
        process.close()
