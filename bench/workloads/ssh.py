"""Clients of SSH, and files, with an OpenSSH server on loopback."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from bench.ssh_server import server
from bench.workloads import Measured, workload

#: What others are compared with.
BASE = "paramiko"

LARGE = 256 << 20
SMALL, FILES = 4096, 500
OUTPUT = 500 << 20
PLAIN = 8 << 20
CONNECTIONS = 100


@contextlib.contextmanager
def connected(of: SimpleNamespace) -> Iterator[Any]:
    connection = of.ssh()
    try:
        yield connection
    finally:
        connection.close()


def file(name: str, size: int) -> str:
    path = server().files / name
    if not path.exists() or path.stat().st_size != size:
        path.write_bytes(b"m" * size)
    return str(path)


def fresh(name: str) -> str:
    path = server().files / name
    path.unlink(missing_ok=True)
    return str(path)


def _connects(kind: str, name: str, *needs: str) -> None:
    @workload(f"ssh: connect, {name}", "connection", "ssh", *needs, base=BASE)
    def measure(of: SimpleNamespace) -> Measured:
        if kind == "password" and server().password is None:
            return {}  # only root can have a server with a password of its own
        begin = perf_counter()
        of.ssh(kind=kind).close()
        return 1, perf_counter() - begin


_connects("password", "password", "ssh_class.takes_password")
_connects("rsa", "key of rsa")
_connects("ed25519", "key of ed25519")


@workload("ssh: a command on an open connection", "command", "ssh", base=BASE)
def commands(of: SimpleNamespace) -> Measured:
    with connected(of) as connection:
        connection.run("true")
        begin = perf_counter()
        for _ in range(20):
            connection.run("true")
        return 20, perf_counter() - begin


@workload("ssh: 500 MiB of output", "MiB", "ssh", base=BASE)
def output(of: SimpleNamespace) -> Measured:
    with connected(of) as connection:
        connection.run("true")
        begin = perf_counter()
        count = connection.run(f"head -c {OUTPUT} /dev/zero")
        taken = perf_counter() - begin
    assert count == OUTPUT
    return OUTPUT >> 20, taken


def _transfer(direction: str, needs: str, size: int, count: int, name: str, unit: str) -> None:
    @workload(f"ssh: {name}", unit, "ssh", f"ssh_class.{needs}", base=BASE)
    def measure(of: SimpleNamespace) -> Measured:
        sources = [file(f"{size}-{number}", size) for number in range(count)]
        targets = [fresh(f"copy-{size}-{number}") for number in range(count)]
        remote, local = (sources, targets) if direction == "get" else (targets, sources)
        with connected(of) as connection:
            connection.run("true")
            first = file("first", 1)
            getattr(connection, direction)(
                [(first, fresh("second"))] if direction == "get" else [(fresh("second"), first)]
            )
            begin = perf_counter()
            getattr(connection, needs)(list(zip(remote, local, strict=True)))
            taken = perf_counter() - begin
        assert Path(targets[-1]).stat().st_size == size
        return (LARGE >> 20 if size == LARGE else count), taken


for _direction in ("get", "put"):
    _transfer(_direction, _direction, LARGE, 1, f"{_direction} 256 MiB", "MiB")
    _transfer(_direction, _direction, SMALL, FILES, f"{_direction} 500 small files", "file")
    _many = f"{_direction}_many"
    _transfer(_direction, _many, SMALL, FILES, f"{_many} 500 small files", "file")


@workload("ssh: open().read() of 8 MiB", "MiB", "ssh", "ssh_class.read", base=BASE)
def plain_read(of: SimpleNamespace) -> Measured:
    with connected(of) as connection:
        path = file("plain", PLAIN)
        connection.read(file("first", 1))
        begin = perf_counter()
        assert connection.read(path) == PLAIN
        return PLAIN >> 20, perf_counter() - begin


@workload("ssh: open().write() of 8 MiB", "MiB", "ssh", "ssh_class.write", base=BASE)
def plain_write(of: SimpleNamespace) -> Measured:
    data = b"m" * PLAIN
    with connected(of) as connection:
        connection.write(fresh("first"), b"m")
        begin = perf_counter()
        connection.write(fresh("written"), data)
        return PLAIN >> 20, perf_counter() - begin


@workload("ssh: get 64 MiB beside a busy thread", "MiB", "ssh", "ssh_class.read", base=BASE)
def beside(of: SimpleNamespace) -> Measured:
    over = False

    def busy() -> None:
        count = 0
        while not over:
            count += 1

    thread = threading.Thread(target=busy)
    source, target = file("beside", 64 << 20), fresh("copy-beside")
    with connected(of) as connection:
        connection.run("true")
        thread.start()
        try:
            begin = perf_counter()
            connection.get([(source, target)])
            taken = perf_counter() - begin
        finally:
            over = True
            thread.join()
    return 64, taken


@workload("ssh: a process with 100 connections", "bytes", "ssh", "ssh_class.sftp", base=BASE)
def memory(of: SimpleNamespace) -> Measured:
    program = (
        "import sys; from bench import shells; from bench.green_child import resident;"
        f" all = [getattr(shells, sys.argv[1])(*sys.argv[2:]) for _ in range({CONNECTIONS})];"
        " print(resident()); [each.close() for each in all]"
    )
    arguments = [of.ssh_class.__name__, *getattr(of.ssh, "args", ())]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return {"memory": (1, float(done.stdout))}


def _imports(name: str, statement: str) -> None:
    @workload(f"ssh: {name}", "time", "ssh_package", base=BASE)
    def measure(of: SimpleNamespace) -> Measured:
        program = (
            "import sys, time; begin = time.perf_counter();"
            " exec(sys.argv[1]); print(time.perf_counter() - begin)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, statement.format(of.ssh_package)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return 1, float(done.stdout)


_imports("import", "import {}")
_imports("import of the client", "import {0}; getattr({0}, 'SSHClient', None)")
