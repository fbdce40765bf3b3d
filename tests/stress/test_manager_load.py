"""Many connections put into one queue of `manyhands serve` and take from it; meanwhile some of
their processes are killed, or stopped for a while.

Nothing is lost but what was on its way to a process that was killed, and not even that if the queue
wants takings acknowledged; nothing comes twice; the server keeps no memory and no descriptor.

32 connections for a few seconds; 1,000 where `MANYHANDS_STRESS_SECONDS` is set (a quarter of them,
at most two minutes, for each kind of queue). `MANYHANDS_STRESS_SEED` repeats the choices of a run.
`-s` shows the counts.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import loadusers
import pytest
from support import PATIENCE, until

LONG = "MANYHANDS_STRESS_SECONDS" in os.environ
SECONDS = min(float(os.environ.get("MANYHANDS_STRESS_SECONDS", "12")) / 4, 120.0)
SEED = int(os.environ.get("MANYHANDS_STRESS_SEED", str(time.time_ns() % 1_000_000)))

PROCESSES, THREADS = (20, 50) if LONG else (4, 8)

#: Seconds between two processes that are killed or stopped, on an average.
PAUSE = 1.0 if LONG else 0.4

#: How much more memory the server may have in the end than in the middle, in bytes: what a few
#: large items that are under way take.
SLACK = 16 << 20


class Server:
    """`manyhands serve`, with one queue."""

    def __init__(self, kind: str, bind: str) -> None:
        option = {"ack": "--ack-queue", "plain": "--queue"}[kind]
        command = [sys.executable, "-m", "manyhands", "serve", "--bind", bind, option, "items"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said, found = "", None
        for line in self.process.stderr:
            said += line
            if found := re.search(r"serving .* at (?:unix|tcp)://(\S+)$", line):
                break
        assert found, said
        self.address = found[1]
        self.descriptors = self.number_of_descriptors()

    def number_of_descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self) -> int:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def end(self) -> None:
        self.process.terminate()
        _, said = self.process.communicate(timeout=PATIENCE)
        assert (self.process.returncode, said) == (0, "")


@contextlib.contextmanager
def serving(kind: str, bind: str) -> Iterator[Server]:
    server = Server(kind, bind)
    try:
        yield server
        server.end()
    finally:
        server.process.kill()
        server.process.communicate()


class Users:
    """Processes that use the queue, and what is done to them."""

    def __init__(self, server: Server, kind: str, folder: Path, over: float) -> None:
        self.server, self.kind, self.folder, self.over = server, kind, folder, over
        self.chance = random.Random(SEED)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.killed: set[str] = set()
        self.count = 0
        self.stops = 0

    def start(self) -> None:
        serial = f"s{self.count}"
        self.count += 1
        command = [sys.executable, loadusers.__file__, self.server.address, self.kind, serial]
        more = (THREADS, self.chance.randrange(10**6), self.over, self.folder / f"{serial}.log")
        self.running[serial] = subprocess.Popen([*command, *map(str, more)])

    def trouble(self) -> None:
        """Kill one and start another instead, or stop one for a while."""
        serial = self.chance.choice(sorted(self.running))
        process = self.running[serial]
        if self.chance.random() < 0.5:
            self.killed.add(serial)
            process.kill()
            process.wait(PATIENCE)
            del self.running[serial]
            self.start()
        else:
            self.stops += 1
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.chance.random() * 0.2)
            process.send_signal(signal.SIGCONT)

    def live(self) -> int:
        """The memory of the server when half of the time is over."""
        for _ in range(PROCESSES):
            self.start()
        begun, memory = time.monotonic(), 0
        while (now := time.monotonic()) < self.over:
            if not memory and now > (begun + self.over) / 2:
                memory = self.server.memory()
            time.sleep(min(self.chance.random() * 2 * PAUSE, max(0.0, self.over - now)))
            if time.monotonic() < self.over:
                self.trouble()
        for serial, process in list(self.running.items()):
            assert process.wait(PATIENCE) == 0, serial
            del self.running[serial]
        return memory or self.server.memory()

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


class Account:
    """What has become of the items, by the logs of all who used them."""

    def __init__(self, users: Users) -> None:
        self.begun: set[str] = set()
        self.put: set[str] = set()
        self.takers: dict[str, list[str]] = defaultdict(list)
        for path in users.folder.glob("s*.log"):
            lines = path.read_text().splitlines()
            if path.stem not in users.killed:
                assert lines[-1] == f"ended {path.stem}"
            for line in lines:
                kind, _, name = line.partition(" ")
                if kind == "puts":
                    self.begun.add(name)
                elif kind == "put":
                    self.put.add(name)
                elif kind == "got":
                    self.takers[name].append(path.stem)
                else:
                    assert kind == "ended", f"{path.stem}: {line}"

    def missing(self) -> set[str]:
        return self.put - set(self.takers)


def take_the_rest(server: Server, account: Account, kind: str) -> None:
    """Takes what is there still."""
    items = loadusers.connect(server.address)
    while True:
        try:
            name = loadusers.check(items.get_nowait())
        except queue.Empty:
            return
        account.takers[name].append("the test")
        if kind == "ack":
            items.task_done()


@pytest.mark.patience(SECONDS * 2 + 4 * PATIENCE)
@pytest.mark.parametrize(("kind", "bind"), [("ack", "unix"), ("plain", "unix"), ("ack", "tcp")])
def test_nothing_is_lost_or_doubled_under_load(kind: str, bind: str, tmp_path: Path) -> None:
    print(f"\nseed {SEED}")
    where = "tcp://127.0.0.1:0" if bind == "tcp" else f"unix://{tmp_path}/socket"
    with serving(kind, where) as server:
        users = Users(server, kind, tmp_path, time.monotonic() + SECONDS)
        try:
            middle = users.live()
        finally:
            users.end()
        account = Account(users)

        def all_is_taken() -> bool:
            take_the_rest(server, account, kind)
            # What a killed process of another machine took comes back after some seconds.
            return kind == "plain" or not account.missing()

        until(all_is_taken, "what was taken by killed processes")
        memory = server.memory()
        # It hears by one more when this process ends.
        idle = server.descriptors + (bind == "unix")
        until(lambda: server.number_of_descriptors() == idle, "closed connections")
    lost = len(account.missing())
    times = Counter(len(takers) for takers in account.takers.values())
    print(f"{len(account.put)} put, {lost} lost, taken how often: {dict(times)}")
    print(
        f"{len(users.killed)} killed, {users.stops} stopped, {middle >> 10} then {memory >> 10} KiB"
    )
    assert set(account.takers) <= account.begun
    assert len(account.put) > PROCESSES * THREADS
    for name, takers in account.takers.items():
        # Who died before it acknowledged may have noted that it got it.
        again = takers if kind == "plain" else set(takers) - users.killed
        assert len(again) <= 1, f"{name} was taken by {takers}"
    assert lost <= (len(users.killed) * THREADS if kind == "plain" else 0)
    assert memory < middle + SLACK
