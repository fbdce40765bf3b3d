"""What is done around `run()` in a child, which the standard library does as well, in Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import run_file

MODULES = ["multiprocessing", "manyhands.multiprocessing"]
METHODS = ["fork", "spawn", "forkserver"]

PROGRAM = """\
import os, sys, threading, time
from importlib import import_module
multiprocessing = import_module(sys.argv[1])
from multiprocessing import process, util
context = multiprocessing.get_context(sys.argv[2])
Process = context.Process

def say(*words):
    print(*words, flush=True)

def start(target=None, *args, Class=Process, **options):
    child = Class(target=target, args=args, **options)
    child.start()
    child.join()
    return child.exitcode
"""

in_all_ways = pytest.mark.parametrize("method", METHODS)
of_both = pytest.mark.parametrize("module", MODULES, ids=["stdlib", "manyhands"])


def run(tmp_path: Path, module: str, method: str, source: str) -> list[str]:
    out = run_file(tmp_path / "program.py", PROGRAM + source, module, method, cwd=tmp_path)
    return out.splitlines()


@of_both
@in_all_ways
def test_a_child_is_somebody_else(tmp_path: Path, module: str, method: str) -> None:
    source = """
def look(boss):
    me, parent = multiprocessing.current_process(), multiprocessing.parent_process()
    say(me.name.partition("-")[2], me.pid == os.getpid() == me.ident, me.exitcode, me.is_alive())
    say(parent.name.partition("-")[2], parent.pid == boss == parent.ident, parent.is_alive())
    say(multiprocessing.active_children(), Process().name.partition("-")[2])
    main = threading.main_thread()
    say(main is threading.current_thread(), main.native_id == threading.get_native_id())
    say(repr(sys.stdin.read()), sys.stdin.encoding, os.path.samestat(
        os.fstat(sys.stdin.fileno()), os.stat(os.devnull)), sys.stdin.name == sys.stdin.fileno())
    say(multiprocessing.get_start_method())
    if parent.name == "Boss":
        start(look, os.getpid())

if __name__ == "__main__":
    multiprocessing.current_process().name = "Boss"
    start(look, os.getpid())
"""
    shared = ["True True", "'' utf-8 True True", method]
    assert run(tmp_path, module, method, source) == [
        *["1 True None True", " True True", "[] 1:1", *shared],
        *["1:2 True None True", "1 True True", "[] 1:2:1", *shared],
    ]


@of_both
@in_all_ways
def test_how_it_ends_is_said(tmp_path: Path, module: str, method: str) -> None:
    source = """
class Mine(BaseException):
    pass

def end(how):
    sys.stderr = sys.stdout
    how = eval(how)
    if how is not None:
        raise how

if __name__ == "__main__":
    for how in ("None", "SystemExit()", "SystemExit(None)", "SystemExit(3)", "SystemExit(-1)",
                "SystemExit(True)", "SystemExit('Enough.')", "ZeroDivisionError('nothing')",
                "KeyboardInterrupt()", "Mine()"):
        say(how, start(end, how, name="Cook"))
"""
    out = run(tmp_path, module, method, source)
    codes = [0, 0, 0, 3, 255, 1]
    assert [line.rpartition(" ")[2] for line in out[:6]] == [str(code) for code in codes]
    assert out[6:8] == ["Enough.", "SystemExit('Enough.') 1"]
    errors = "\n".join(out[8:]).split("Process Cook:\n")[1:]
    for error, says in zip(
        errors, ["ZeroDivisionError: nothing", "KeyboardInterrupt", "Mine"], strict=True
    ):
        lines = error.splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert any("in end" in line for line in lines)
        assert lines[-2].endswith(says)
        assert lines[-1].endswith(" 1")


@of_both
@in_all_ways
def test_threads_and_functions_for_the_end_are_waited_for(
    tmp_path: Path, module: str, method: str
) -> None:
    source = """
class Tea:
    pass

def work():
    util.Finalize(None, say, ("the child's finalizer",), exitpriority=1)
    start(say, "a grandchild")
    end = threading.Event()
    threading._register_atexit(lambda: (say("before threads end"), end.set()))
    threading.Thread(target=lambda: (end.wait(), say("a thread"))).start()

if __name__ == "__main__":
    tea = Tea()
    util.Finalize(None, say, ("the parent's finalizer",), exitpriority=1)
    if sys.argv[2] == "fork":
        util.register_after_fork(tea, lambda tea: 1 / 0)
        util.register_after_fork(tea, lambda tea: say("after the fork", type(tea).__name__))
    start(work)
    say("joined")
"""
    after_fork = ["after the fork Tea"] if method == "fork" else []
    out = run(tmp_path, module, method, source)
    assert out[: len(after_fork) * 2 + 1] == [*after_fork * 2, "a grandchild"]
    assert out[-2:] == ["joined", "the parent's finalizer"]
    middle = out[len(after_fork) * 2 + 1 : -2]
    assert sorted(middle) == ["a thread", "before threads end", "the child's finalizer"]
    assert middle.index("before threads end") < middle.index("a thread")


@of_both
@in_all_ways
def test_executors_know_of_the_end(tmp_path: Path, module: str, method: str) -> None:
    source = """
import concurrent.futures
import concurrent.futures.process
import concurrent.futures.thread
futures = import_module(sys.argv[1].replace("multiprocessing", "concurrent.futures"))

class Stream:
    # It is flushed when the threads have ended, by an interpreter that ends by itself once more.
    has_said = False

    def flush(self):
        if not self.has_said:
            flags = concurrent.futures.thread._shutdown, concurrent.futures.process._global_shutdown
            os.write(1, f"{flags}\\n".encode())
        self.has_said = True

def one_is_idle():
    futures.ThreadPoolExecutor(1)
    sys.stdout = Stream()

def one_is_busy():
    # What it does is done before the process ends.
    one_is_idle()
    futures.ThreadPoolExecutor(1).submit(lambda: os.write(1, b"done\\n"))

if __name__ == "__main__":
    print(start(one_is_idle), start(one_is_busy))
"""
    lines = ["(True, True)", "done", "(True, True)", "0 0"]
    assert run(tmp_path, module, method, source) == lines


@of_both
def test_what_a_program_puts_in_a_place_is_used(tmp_path: Path, module: str) -> None:
    source = """
def replace(owner, name):
    original = getattr(owner, name)
    def function(*args, **named):
        if os.getpid() != program:
            say(name, *sorted(named))
        return original(*args, **named)
    setattr(owner, name, function)

class Overrides(Process):
    def _bootstrap(self, *args, **named):
        say("of the class:", *sorted(named))
        return super()._bootstrap(*args, **named) + 5
    @staticmethod
    def _after_fork():
        say("after the fork")
        Process._after_fork()
    def run(self):
        say("runs")
        super().run()

if __name__ == "__main__":
    program = os.getpid()
    say(start(say, "tea", Class=Overrides))
    for name in ("_close_stdin", "_run_after_forkers", "_flush_std_streams"):
        replace(util, name)
    replace(util, "_exit_function")
    replace(threading, "_shutdown")
    start(say, "coffee")
    replace(process.BaseProcess, "_bootstrap")
    start(say, "cocoa")
"""
    steps = ["_close_stdin", "_run_after_forkers"]
    ends = ["_shutdown", "_flush_std_streams"]
    # From 3.13 on `atexit` runs it.
    ends.insert(2 if sys.version_info >= (3, 13) else 0, "_exit_function")
    assert run(tmp_path, module, "fork", source) == [
        *["of the class: parent_sentinel", "after the fork", "runs", "tea", "5"],
        *[*steps, "coffee", *ends],
        *["_bootstrap parent_sentinel", *steps, "cocoa", *ends],
    ]


@of_both
def test_what_a_program_preloads_may_replace_how_a_child_prepares(
    tmp_path: Path, module: str
) -> None:
    (tmp_path / "preloaded.py").write_text("""
from multiprocessing import spawn

theirs = spawn.prepare

def prepare(data):
    theirs(data)
    data["sys_argv"].append("prepared")

spawn.prepare = prepare
""")
    source = """
def look():
    say(sys.argv[3:], multiprocessing.current_process().name, os.getcwd() == cwd, shelf)

cwd, shelf = os.getcwd(), sys.path[-1]

if __name__ == "__main__":
    context.set_forkserver_preload(["preloaded"])
    sys.path.append("shelf")
    for name in ("Cook", "Maid"):
        start(look, name=name)
"""
    out = run(tmp_path, module, "forkserver", source)
    assert out == [f"['prepared'] {name} True shelf" for name in ("Cook", "Maid")]


@of_both
def test_what_runs_at_the_end_of_an_interpreter(tmp_path: Path, module: str) -> None:
    source = """
import atexit
def work():
    atexit.register(say, "the child's")
    util.Finalize(None, say, ("finalizer",), exitpriority=1)

if __name__ == "__main__":
    atexit.register(say, "the parent's")
    start(work)
    say("joined")
"""
    child = ["the child's"] if sys.version_info >= (3, 13) else []
    assert run(tmp_path, module, "fork", source) == [
        *[*child, "finalizer", "joined", "the parent's"]
    ]


@of_both
def test_a_signal_that_came_last_is_handled(tmp_path: Path, module: str) -> None:
    source = """
import signal
if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: say("handled"))
    start(signal.raise_signal, signal.SIGUSR1)
"""
    assert run(tmp_path, module, "fork", source) == ["handled"]


@of_both
def test_what_is_logged(tmp_path: Path, module: str) -> None:
    source = """
import logging
if __name__ == "__main__":
    multiprocessing.get_logger().addHandler(logging.StreamHandler(sys.stdout))
    multiprocessing.get_logger().setLevel(logging.INFO)
    start(say, "tea")
    multiprocessing.get_logger().setLevel(logging.ERROR)
"""
    ends = ["process shutting down", "process exiting with exitcode 0"]
    if sys.version_info >= (3, 13):
        ends.reverse()
    out = run(tmp_path, module, "fork", source)
    assert out == ["child process calling self.run()", "tea", *ends]


@of_both
@pytest.mark.parametrize("how", ["Process", "os.fork"])
def test_a_forked_child_has_one_thread(tmp_path: Path, module: str, how: str) -> None:
    source = f"""
import _thread, warnings
warnings.simplefilter("ignore")
go, there, leave = threading.Event(), threading.Event(), threading.Event()

def look():
    main = threading.main_thread()
    say(threading.enumerate() == [main], main is threading.current_thread(), main.name)
    for thread in threads:
        if thread is not main:
            say(thread.name, thread.is_alive())
    late = threading.Thread(target=say, args=("late",))
    late.start()
    late.join()
    say(threading.active_count())

def fork():
    if {how!r} == "Process":
        start(look)
    elif (pid := os.fork()) == 0:
        look()
        os._exit(0)
    else:
        os.waitpid(pid, 0)

def hold():
    with threading._active_limbo_lock:
        there.set()
        leave.wait()

if __name__ == "__main__":
    threads = []
    fork()
    if sys.argv[1] != "multiprocessing":
        # The hook is in its place from the first start on.
        start(len, "")
    fork()
    # A thread that no object stands for has a lock of that module.
    _thread.start_new_thread(hold, ())
    there.wait()
    pid = os.fork()
    if pid == 0:
        with threading._active_limbo_lock:
            say("free")
        os._exit(0)
    os.waitpid(pid, 0)
    leave.set()
    ended = threading.Thread(name="ended")
    ended.start()
    while ended.is_alive():
        time.sleep(0.001)
    living = threading.Thread(target=go.wait, name="living")
    living.start()
    threads = [ended, living]
    fork()
    threads = []
    forker = threading.Thread(target=fork, name="forker")
    forker.start()
    forker.join()
    go.set()
"""
    alone = ["True True MainThread", "late", "1"]
    assert run(tmp_path, module, "fork", source) == [
        *[*alone * 2, "free"],
        *["True True MainThread", "ended False", "living False", "late", "1"],
        *["True True forker", "late", "1"],
    ]


def test_a_child_of_one_thread_does_not_look_for_others(tmp_path: Path) -> None:
    source = """
if __name__ == "__main__":
    start(len, "")
    threading._after_fork_among_threads = lambda: say("looks")
    start(say, "alone")
    threading.Thread(target=lambda: start(say, "among others")).start()
"""
    out = run(tmp_path, "manyhands.multiprocessing", "fork", source)
    assert out == ["alone", "looks", "among others"]
