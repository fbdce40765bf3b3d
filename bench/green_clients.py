"""What is on the other side of the worlds that are measured: clients of an echo, a server of pages.

One thread and epoll, so that they take as little as they can of what is measured.
"""

from __future__ import annotations

import select
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import green_child

MESSAGE = b"m" * 64

_PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 1024\r\n\r\n" + b"p" * 1024


def child(world: str, *what: str) -> list[str]:
    """The words that a process says which does this in that world."""
    command = [sys.executable, "-m", "bench.green_child", world, *what]
    root = Path(__file__).parent.parent
    return subprocess.run(
        command, cwd=root, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()


@dataclass
class Server:
    """An echo in a process of its own."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Seconds that it has used: the clock of another process, by the kernel's numbering."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def resident(self) -> int:
        return green_child.resident(self.pid)


@contextmanager
def serving(world: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "bench.green_child", world, "serve"]
    root = Path(__file__).parent.parent
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=root, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield Server(int(process.stdout.readline()), process.pid)
        finally:
            process.stdin.close()
            process.wait()


def connect(port: int, count: int) -> list[socket.socket]:
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections.append(connection)
    return connections


def ask(connections: list[socket.socket], requests: int) -> list[float]:
    """Each connection asks again when it has its answer; the seconds that each answer took."""
    poll = select.epoll()
    by_number = {connection.fileno(): connection for connection in connections}
    asked: dict[int, float] = {}
    taken: list[float] = []
    now = time.perf_counter
    for number, connection in by_number.items():
        poll.register(number, select.EPOLLIN)
        asked[number] = now()
        connection.send(MESSAGE)
    left = requests - len(by_number)
    while len(taken) < requests:
        for number, _ in poll.poll():
            connection = by_number[number]
            if connection.recv(4096) != MESSAGE:
                raise RuntimeError("the echo is not what was sent")
            taken.append(now() - asked[number])
            if left > 0:
                left -= 1
                asked[number] = now()
                connection.send(MESSAGE)
    poll.close()
    return taken


def percentiles(taken: list[float]) -> tuple[float, float]:
    hundredths = statistics.quantiles(taken, n=100)
    return hundredths[49], hundredths[98]


@contextmanager
def pages() -> Iterator[int]:
    """The port where there is a page of 1 KiB, for whoever asks, until it is left."""
    heard = socket.create_server(("127.0.0.1", 0), backlog=1024)
    over, tell_over = socket.socketpair()
    thread = threading.Thread(target=_give_pages, args=(heard, over))
    thread.start()
    try:
        yield heard.getsockname()[1]
    finally:
        tell_over.close()
        thread.join()
        heard.close()
        over.close()


def _give_pages(heard: socket.socket, over: socket.socket) -> None:
    poll = select.epoll()
    poll.register(heard, select.EPOLLIN)
    poll.register(over, select.EPOLLIN)
    asking: dict[int, socket.socket] = {}
    while True:
        for number, _ in poll.poll():
            if number == over.fileno():
                return
            if number == heard.fileno():
                connection, _ = heard.accept()
                asking[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            connection = asking.pop(number)
            connection.recv(4096)
            connection.sendall(_PAGE)
            poll.unregister(connection)
            connection.close()
