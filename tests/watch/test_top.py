"""manyhands top: what a running program does."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hanging import hanging
from support import PATIENCE

#: A program with a queue that flows, a pool at work, and a lock that somebody waits for.
PROGRAM = """
def slow(number):
    time.sleep(0.05)
    if number % 4 == 3:
        raise ValueError(number)

if __name__ == "__main__":
    jobs = multiprocessing.get_context("fork").Queue(50)
    lock = threading.Lock()
    def fill():
        while True:
            jobs.put(1)
    def drain():
        while True:
            jobs.get()
            time.sleep(0.01)
    def holder():
        with lock:
            sys.stdin.read()
    def waiter():
        with lock:
            pass
    for function in (fill, drain, holder, waiter):
        start(function)
    pool = ThreadPoolExecutor(2)
    calls = [pool.submit(slow, number) for number in range(1_000)]
    until_waited(1.2)
    print("there", flush=True)
    sys.stdin.read()
    pool.shutdown(cancel_futures=True)
"""


@contextmanager
def program(path: Path) -> Iterator[int]:
    with hanging(path, PROGRAM) as process:
        yield process.pid


def top(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "manyhands", "top", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)


def test_json(tmp_path: Path) -> None:
    with program(tmp_path) as pid:
        process = subprocess.Popen(
            [sys.executable, "-m", "manyhands", "top", "--json", "--interval=0.3", str(pid)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        process.stdout.close()
        # It learns that nobody reads any more when it writes next.
        assert process.wait(PATIENCE) == 1
    assert [it["pid"] for it in first["processes"]] == [pid]
    assert first["processes"][0]["cpu"] is None
    assert second["processes"][0]["cpu"] >= 0
    assert second["processes"][0]["memory"] > 1 << 20
    threads = {it["name"]: it for it in second["processes"][0]["threads"]}
    assert threads["waiter"]["waits_for"] == "lock (Lock)"
    assert threads["waiter"]["seconds"] > 1
    assert threads["waiter"]["stack"][-1]["function"] == "waiter"
    (pool,) = second["pools"]
    assert (pool["kind"], pool["workers"], pool["running"]) == ("ThreadPoolExecutor", 2, 2)
    assert sum(pool[name] for name in ("done", "failed", "running", "waiting")) == 1_000
    assert pool["done"] > 2 * pool["failed"] > 0
    assert pool["rate"] > 0
    assert pool["left"] > 0
    (jobs,) = second["queues"]
    assert (jobs["name"], jobs["capacity"], jobs["pids"]) == ("jobs", 50, [pid])
    assert jobs["size"] >= 49
    assert jobs["put_rate"] > 1
    assert jobs["take_rate"] > 1
    (lock,) = [it for it in second["locks"] if it["kind"] == "Lock"]
    assert (lock["name"], lock["holder"], lock["waiters"]) == ("lock", f"holder of {pid}", 1)
    assert lock["longest"] > 1


@pytest.mark.parametrize("options", [("--once",), ("--once", "--json")])
def test_once(tmp_path: Path, options: tuple[str, ...]) -> None:
    with program(tmp_path) as pid:
        done = top(*options, str(pid))
    assert (done.returncode, done.stderr) == (0, "")
    assert "ThreadPoolExecutor" in done.stdout
    if "--json" in options:
        assert json.loads(done.stdout)["queues"][0]["put_rate"] is None
    else:
        assert re.search(rf"^lock \(Lock\) +1 .* holder of {pid} +{pid}$", done.stdout, re.M)
        assert re.search(r"^jobs \(Queue\) +\d+ +50 ", done.stdout, re.M)


def test_it_ends_with_the_program(tmp_path: Path) -> None:
    with program(tmp_path) as pid:
        process = subprocess.Popen(
            [sys.executable, "-m", "manyhands", "top", "--interval=0.1", str(pid)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert "PID" in process.stdout.readline()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


class Screen:
    """A terminal with `manyhands top` in it."""

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.leader)

    def __init__(self, pid: int, **environment: str) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "manyhands", "top", "--interval=0.2", str(pid)],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        os.close(follower)
        self.text = ""

    def press(self, keys: str) -> None:
        self.text = ""
        os.write(self.leader, keys.encode())

    def until(self, pattern: str) -> None:
        """Waits until that has been drawn. Only what changes is drawn, so pieces of it may be
        missing."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, (pattern, self.text)
            ready, _, _ = select.select([self.leader], [], [], 0.1)
            if ready:
                self.text += os.read(self.leader, 65536).decode(errors="replace")

    def end(self) -> int:
        """The exit status."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            ready, _, _ = select.select([self.leader], [], [], 0.1)
            if ready:
                try:
                    self.text += os.read(self.leader, 65536).decode(errors="replace")
                except OSError:
                    break
        return self.process.wait(PATIENCE)


def test_on_a_screen(tmp_path: Path) -> None:
    with program(tmp_path) as pid, Screen(pid) as screen:
        screen.until(r"\x1b\[\?1049h")  # the other screen of the terminal
        screen.until("waiter")
        for keys, pattern in (
            ("2", "ThreadPoolExecutor"),
            ("3", "jobs"),
            ("4", "holder of"),
            ("?", "another row"),
            (" ", "holder of"),
            ("1", "MainThread"),
            ("jjjjj\r", "in waiter"),
        ):
            screen.press(keys)
            screen.until(pattern.replace(" ", r"(?:\s|\x1b\[[0-9;]*[a-zA-Z])+"))
        screen.press("q")
        assert screen.end() == 0
        assert "\x1b[?1049l" in screen.text  # and back


@pytest.mark.parametrize(
    ("end", "status"), [("\x03", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_terminal_is_left_as_it_was(tmp_path: Path, end: Any, status: int) -> None:
    with program(tmp_path) as pid, Screen(pid) as screen:
        screen.until("waiter")
        if isinstance(end, str):
            screen.press(end)
        else:
            screen.process.send_signal(end)
        assert screen.end() == status
        assert "\x1b[?1049l" in screen.text


def test_a_program_that_ends_stays_to_be_seen(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with program(tmp_path) as pid:
            screen = stack.enter_context(Screen(pid))
            screen.until("waiter")
        screen.until("ended")
        assert screen.process.poll() is None
        screen.press("q")
        assert screen.end() == 0


def test_a_terminal_that_hangs_up(tmp_path: Path) -> None:
    with program(tmp_path) as pid, Screen(pid) as screen:
        screen.until("waiter")
        os.close(screen.leader)
        screen.leader = os.open(os.devnull, os.O_RDONLY)
        assert screen.process.wait(PATIENCE) in (0, 1)


def test_a_dumb_terminal_gets_tables(tmp_path: Path) -> None:
    with program(tmp_path) as pid, Screen(pid, TERM="dumb") as screen:
        screen.until("ThreadPoolExecutor")
        screen.until(r"holder of \d+")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 130
        assert "\x1b" not in screen.text


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("4194999",), 1, "manyhands: there is no process 4194999\n"),
        (("1",), 1, None),
        (("tea",), 2, "manyhands: 'tea' is no number of a process\n"),
        (("1", "2"), 2, "manyhands: there can be only one process\n"),
        (
            ("--interval", "0"),
            2,
            "manyhands: --interval takes a number of seconds from 0.1 on, not '0'\n",
        ),
    ],
)
def test_bad_words(arguments: tuple[str, ...], status: int, message: str | None) -> None:
    done = top(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message is None or done.stderr.endswith(message)


def test_closed_output(tmp_path: Path) -> None:
    with program(tmp_path) as pid:
        command = f"{sys.executable} -m manyhands top --once {pid} >&-"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("manyhands: ")
    assert len(done.stderr.splitlines()) == 1
