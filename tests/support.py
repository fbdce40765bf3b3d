"""What tests of several modules share."""

from __future__ import annotations

import contextlib
import gc
import os
import queue as stdlib_queue
import signal
import subprocess
import sys
import textwrap
import threading as stdlib_threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from manyhands import queue as our_queue, threading as our_threading

#: Seconds after which what a test waits for will not come any more.
PATIENCE = float(os.environ.get("MANYHANDS_TEST_PATIENCE", "60")) / 2


#: The modules of multiprocessing that hold what there can be one of, and are the stdlib's own.
SHARED = (
    "dummy",
    "dummy.connection",
    "process",
    "reduction",
    "resource_sharer",
    "resource_tracker",
    "util",
)


@dataclass(frozen=True)
class Engine:
    """One implementation of the modules under test."""

    name: str
    threading: ModuleType
    queue: ModuleType

    @property
    def is_ours(self) -> bool:
        return self.name == "manyhands"


STDLIB = Engine("stdlib", stdlib_threading, stdlib_queue)
OURS = Engine("manyhands", our_threading, our_queue)
ENGINES = [STDLIB, OURS]


def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Waits until condition() is true, and returns what it returned."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain for {what}"
        time.sleep(0.001)


class Hand:
    """A thread that makes one call; what comes of it is asked for with result()."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._thread = stdlib_threading.Thread(
            target=self._run, args=(call, args, kwargs), daemon=True
        )
        self._thread.start()

    def _run(self, call: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            self._outcome = call(*args, **kwargs)
        except BaseException as error:
            self._error = error.with_traceback(None)

    @property
    def ident(self) -> int:
        assert self._thread.ident is not None
        return self._thread.ident

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def finish(self) -> None:
        """Waits until the call is over, whatever came of it."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the thread hangs"

    def result(self) -> Any:
        """What the call returned; raises what it raised."""
        self.finish()
        if self._error is not None:
            raise self._error
        return self._outcome

    def blocks(self) -> Hand:
        """Waits until the call waits for something."""
        assert self._thread.native_id is not None
        until_blocked(self._thread.native_id)
        assert self._thread.is_alive(), f"it did not wait, but ended: {self._error!r}"
        return self


def until_blocked(
    native_id: int, process: int | str = "self", unless: stdlib_threading.Event | None = None
) -> None:
    """Waits until that thread sleeps and nothing wakes it, or that event is set.

    A thread that waits for the interpreter's lock gets it while this one sleeps, so that its
    number of context switches goes up.
    """
    status = f"/proc/{process}/task/{native_id}/status"

    def look() -> tuple[str, ...]:
        try:
            with open(status) as file:
                lines = file.readlines()
        except OSError:
            return ("gone",)
        return tuple(line for line in lines if line.startswith(("State", "voluntary_ctxt")))

    if not os.path.exists("/proc/self/task"):
        time.sleep(0.2)
        return
    same, last = 0, ("",)
    deadline = time.monotonic() + PATIENCE
    while same < 3 and last != ("gone",) and not (unless and unless.is_set()):
        assert time.monotonic() < deadline, "the thread does not come to rest"
        time.sleep(0.003)
        now = look()
        same = same + 1 if now == last and "sleeping" in now[0] else 0
        last = now


def start_all(calls: list[Callable[[], Any]]) -> list[Hand]:
    return [Hand(call) for call in calls]


@contextlib.contextmanager
def alarm(
    handler: Callable[..., Any], after: float | None = None, every: float | None = None
) -> Iterator[list[float]]:
    """Has SIGALRM run the handler in the main thread, once or every so often.

    It comes after that time, or once the main thread waits for something: not before it does, as
    who does not wait yet misses a notice, and what waits in the stdlib can be left half done.
    Gives the moments at which it ran. A signal that hits the last instructions before a sleep
    interrupts nothing in the stdlib, so also a single one is sent until the handler has run.
    """
    ran: list[float] = []
    over = stdlib_threading.Event()
    main = stdlib_threading.main_thread().native_id
    assert main is not None

    def handle(number: int, frame: Any) -> None:
        if every is None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if ran:
                return
        ran.append(time.monotonic())
        handler()

    def send_once_blocked() -> None:
        until_blocked(main, unless=over)
        if not over.is_set():
            signal.setitimer(signal.ITIMER_REAL, 1e-6, every or 0.1)

    old = signal.signal(signal.SIGALRM, handle)
    sender = None
    try:
        if after is None:
            sender = Hand(send_once_blocked)
        else:
            signal.setitimer(signal.ITIMER_REAL, after, every or 0.1)
        yield ran
    finally:
        over.set()
        if sender is not None:
            sender.result()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def forked(body: Callable[[], Any]) -> int:
    """Runs body() in a forked child, which ends with it; gives the child's number."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    return pid


def in_fork(body: Callable[[], Any]) -> None:
    """Runs body() in a forked child, and fails if it fails or hangs there."""
    reap(forked(body))


@contextlib.contextmanager
def beside(body: Callable[[], Any]) -> Iterator[int]:
    """A forked child that runs body() meanwhile, and has to end well."""
    pid = forked(body)
    try:
        yield pid
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    reap(pid)


@contextlib.contextmanager
def killed(body: Callable[[], Any]) -> Iterator[int]:
    """A forked child that runs body() until it is killed, at the end at the latest."""
    pid = forked(body)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def reap(pid: int) -> None:
    """Waits for the end of a forked child, which must be a good one."""
    deadline = time.monotonic() + PATIENCE / 2
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            # The handler that pytest has set for this dumps the stacks.
            os.kill(pid, signal.SIGABRT)
            os.waitpid(pid, 0)
            raise AssertionError("the forked child hangs; see stderr")
        time.sleep(0.001)
    assert os.waitstatus_to_exitcode(status) == 0, "it failed in the forked child; see stderr"


def run_script(source: str, *args: str, cwd: Any = None, **options: Any) -> str:
    """Runs a program in a fresh interpreter; it must end well. Returns what it printed."""
    preface = f"import faulthandler; faulthandler.dump_traceback_later({PATIENCE}, exit=True)\n"
    return run_command([sys.executable, "-c", preface + source, *args], cwd=cwd, **options)


def run_file(path: Path, source: str, *args: str, **options: Any) -> str:
    """Runs a program that is a file, as `python FILE` does; it must end well."""
    path.write_text(textwrap.dedent(source))
    options.setdefault("cwd", path.parent)
    return run_command([sys.executable, str(path), *args], **options)


def run_command(command: list[str], **options: Any) -> str:
    """Runs a program, which leads a session of its own; it must end well. Returns what it printed.

    If it hangs, it is killed with all its processes.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    ) as process:
        try:
            out, err = process.communicate(timeout=4 * PATIENCE)
        except BaseException:
            kill_group(process.pid)
            raise
    report = f"exit status {process.returncode}\n{out}\n{err}"
    assert process.returncode == 0, report
    assert "Traceback" not in err, report
    assert "Fatal" not in err, report
    return out


def kill_group(leader: int) -> None:
    """Kills a process and those that it has started, if there are any."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@contextlib.contextmanager
def program(source: str, *args: str) -> Iterator[tuple[Any, list[int]]]:
    """Runs a program for a while; gives it, and the numbers in the first line that it prints."""
    with subprocess.Popen(
        [sys.executable, "-c", source, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        try:
            assert running.stdout is not None
            yield running, [int(word) for word in running.stdout.readline().split()]
        finally:
            running.kill()


def has_ended(pid: int) -> bool:
    """Whether there is no such process, or only a zombie that nobody has reaped."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _entries(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError:
        return set()


@dataclass
class Leftovers:
    """What a test may not leave behind."""

    threads: set[Any] = field(default_factory=set)
    native_threads: set[str] = field(default_factory=set)
    descriptors: set[str] = field(default_factory=set)
    children: bool = False

    @staticmethod
    def now(reap: bool = True) -> Leftovers:
        """What there is; a child that has ended is not there any more if it is reaped by this."""
        try:
            look = os.WEXITED | os.WNOHANG | (0 if reap else os.WNOWAIT)
            os.waitid(os.P_ALL, 0, look)
            children = True
        except ChildProcessError:
            children = False
        # The directory is open while it is read, under a number that is free afterwards.
        descriptors = {name for name in _entries("/proc/self/fd") if _is_open(int(name))}
        return Leftovers(
            set(stdlib_threading.enumerate()), _native_threads(), descriptors, children
        )

    @staticmethod
    def since(before: Leftovers) -> str:
        """What is there now and was not before, given a moment to go away."""
        begun = time.monotonic()
        deadline = begun + 5
        while True:
            # The ends of children belong to who is about to wait for them, if somebody is.
            now = Leftovers.now(reap=time.monotonic() > begun + 1)
            left = [
                *(f"thread {thread}" for thread in now.threads - before.threads),
                *(f"native thread {ident}" for ident in now.native_threads - before.native_threads),
                *map(_described, now.descriptors - before.descriptors),
                *(["a child process"] if now.children and not before.children else []),
            ]
            if not left or time.monotonic() > deadline:
                return ", ".join(left)
            gc.collect()
            time.sleep(0.001)


def _native_threads() -> set[str]:
    """The threads of this process; the engine's own ones by name, for it may start them anew."""
    # A list ends early where a thread ends while it is read: only what is read twice is whole.
    idents, again = set(), _entries("/proc/self/task")
    while idents != again:
        idents, again = again, _entries("/proc/self/task")
    threads = set()
    for ident in idents:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{ident}/comm") as file:
            name = file.read().strip()
            threads.add(name if name.startswith("manyhands") else ident)
    return threads


def _described(descriptor: str) -> str:
    try:
        return f"file descriptor {descriptor} ({os.readlink(f'/proc/self/fd/{descriptor}')})"
    except OSError:
        return f"file descriptor {descriptor}"


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
