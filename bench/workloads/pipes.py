"""Pipes and connections between processes."""

from __future__ import annotations

import os
from time import perf_counter
from types import SimpleNamespace

from bench.workloads import run_processes, workload

#: Sizes, with how many messages are sent one way and there and back.
SIZES = {"64 B": (64, 10_000, 2_000), "64 KiB": (64 << 10, 2_000, 500), "1 MiB": (1 << 20, 200, 60)}

CONNECTS = 20

NEEDS = ("multiprocessing",)


def _one_way(of: SimpleNamespace, size: int, count: int, duplex: bool) -> tuple[int, float]:
    reader, writer = of.multiprocessing.Pipe(duplex)
    message = os.urandom(size)

    def send() -> None:
        for _ in range(count):
            writer.send(message)

    def receive() -> None:
        for _ in range(count):
            reader.recv()

    seconds = run_processes(send, receive)
    reader.close()
    writer.close()
    return count, seconds


def _round_trips(of: SimpleNamespace, size: int, count: int) -> tuple[int, float]:
    here, there = of.multiprocessing.Pipe()
    message = os.urandom(size)

    def ask() -> None:
        for _ in range(count):
            here.send(message)
            here.recv()

    def answer() -> None:
        for _ in range(count):
            there.send(there.recv())

    seconds = run_processes(ask, answer)
    here.close()
    there.close()
    return count, seconds


def _define(name: str, size: int, many: int, few: int) -> None:
    @workload(f"pipes: Pipe(), {name} one way", "message", *NEEDS)
    def duplex(of: SimpleNamespace) -> tuple[int, float]:
        return _one_way(of, size, many, True)

    @workload(f"pipes: Pipe(duplex=False), {name} one way", "message", *NEEDS)
    def simplex(of: SimpleNamespace) -> tuple[int, float]:
        return _one_way(of, size, many, False)

    @workload(f"pipes: Pipe(), {name} there and back", "round trip", *NEEDS)
    def round_trips(of: SimpleNamespace) -> tuple[int, float]:
        return _round_trips(of, size, few)


for _name, (_size, _many, _few) in SIZES.items():
    _define(_name, _size, _many, _few)


def _connects(of: SimpleNamespace, address: tuple[str, int] | None) -> tuple[int, float]:
    """Clients come one after the other to a listener in another process, with a key."""
    connection = of.multiprocessing.connection
    listener = connection.Listener(address, backlog=CONNECTS, authkey=b"key")

    def serve() -> None:
        for _ in range(CONNECTS):
            with listener.accept() as end:
                end.send(end.recv())

    pid = os.fork()
    if pid == 0:
        try:
            serve()
        finally:
            os._exit(0)
    begin = perf_counter()
    for _ in range(CONNECTS):
        with connection.Client(listener.address, authkey=b"key") as client:
            client.send("request")
            client.recv()
    seconds = perf_counter() - begin
    os.waitpid(pid, 0)
    listener.close()
    return CONNECTS, seconds


@workload("pipes: Client with key and one request, TCP", "connection", *NEEDS)
def connect_tcp(of: SimpleNamespace) -> tuple[int, float]:
    return _connects(of, ("127.0.0.1", 0))


@workload("pipes: Client with key and one request, AF_UNIX", "connection", *NEEDS)
def connect_unix(of: SimpleNamespace) -> tuple[int, float]:
    return _connects(of, None)


@workload("pipes: wait() for one of 100, of which one is ready", "call", *NEEDS)
def wait_for_many(of: SimpleNamespace) -> tuple[int, float]:
    multiprocessing, count = of.multiprocessing, 1_000
    pipes = [multiprocessing.Pipe() for _ in range(100)]
    readers = [reader for reader, _ in pipes]
    pipes[50][1].send("ready")
    wait = multiprocessing.connection.wait
    begin = perf_counter()
    for _ in range(count):
        wait(readers)
    seconds = perf_counter() - begin
    for pair in pipes:
        for end in pair:
            end.close()
    return count, seconds
