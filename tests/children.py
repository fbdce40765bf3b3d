"""What children do that tests start; a module, so that also those find it who do not inherit it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from manyhands import multiprocessing
from manyhands.multiprocessing import reduction

#: Changed by a parent; who has inherited its memory knows.
STATE = ["as imported"]


def silence() -> None:
    """Writes no traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def nothing() -> None:
    """Ends at once."""


def wait_for(fd: int) -> None:
    """Lives until somebody writes, or nobody is left who could."""
    os.read(fd, 1)


def sleep_quietly() -> None:
    """Lives until it is interrupted."""
    silence()
    sleep()


def sleep() -> None:
    """Lives until it is killed."""
    while True:
        signal.pause()


def end_by(how: str) -> None:
    """Ends in one of many ways."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "abort":
        os.abort()
    if how == "_exit":
        os._exit(7)
    if how == "raise":
        silence()
        raise ValueError("as asked")
    codes: dict[str, Any] = {"exit": 7, "none": None, "true": True, "text": "why"}
    if how == "text":
        silence()
    sys.exit(codes[how])


def tell(conn: Any, *names: str) -> None:
    """Sends what the child finds."""
    found: dict[str, Any] = {}
    for name in names:
        found[name] = FINDERS[name]()
    conn.send(found)
    conn.close()


def parent_is_alive() -> bool:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join(0)
    return parent.is_alive()


def status(name: str) -> str:
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name + ":"))


def limit() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_CORE)


FINDERS: dict[str, Any] = {
    "pid": os.getpid,
    "ppid": os.getppid,
    "cwd": os.getcwd,
    "environment": lambda: dict(os.environ),
    "zone": lambda: time.tzname[0],
    "state": lambda: STATE[0],
    "main": lambda: sys.modules["__main__"].__name__,
    "umask": lambda: status("Umask"),
    "ignored": lambda: [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        if signal.getsignal(number) == signal.SIG_IGN
    ],
    "interrupt": lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "blocked": lambda: sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "affinity": lambda: sorted(os.sched_getaffinity(0)),
    "limit": limit,
    "nice": lambda: os.nice(0),
    "argv": lambda: sys.argv,
    "path": lambda: sys.path,
    "random": lambda: __import__("random").random(),
    "descriptors": lambda: sorted(
        int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")
    ),
    "files": lambda: [identity(number) for number in FINDERS["descriptors"]()],
    "stdin": lambda: sys.stdin and os.readlink(f"/proc/self/fd/{sys.stdin.fileno()}"),
    "stdout": lambda: sys.stdout and os.readlink(f"/proc/self/fd/{sys.stdout.fileno()}"),
    "parent": lambda: multiprocessing.parent_process().pid,
    "parent is alive": parent_is_alive,
    "pgid": os.getpgrp,
    "modules": lambda: sorted(sys.modules),
    "key": lambda: bytes(multiprocessing.current_process().authkey),
}


def nest(conn: Any, method: str, depth: int) -> None:
    """Starts a child that starts a child..., and sends the numbers of all."""
    if depth:
        context = multiprocessing.get_context(method)
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=nest, args=(there, method, depth - 1))
        process.start()
        there.close()
        conn.send([os.getpid(), *here.recv()])
        process.join()
        process.close()
    else:
        conn.send([os.getpid()])


class Passed:
    """A descriptor that is passed to a child, which gets (number, what it was, what it is)."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> Any:
        return _arrive, (reduction.DupFd(self.fd), self.fd, identity(self.fd))


def _arrive(duplicate: Any, number: int, was: Any) -> tuple[int, int, Any]:
    return number, duplicate.detach(), was


def identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def check(passed: list[tuple[int, int, Any]], same_numbers: bool) -> None:
    """Fails if a descriptor is not what its parent has passed."""
    for number, fd, was in passed:
        assert identity(fd) == was, (number, fd, os.readlink(f"/proc/self/fd/{fd}"))
        assert fd == number or not same_numbers
    assert len({fd for _, fd, _ in passed}) == len(passed)


def be_alone(path: str) -> None:
    """Waits for the parent's end, says so, and lives until somebody writes to the named pipe."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    assert not parent.is_alive()
    with open(path + ".alone", "w") as file:
        file.write(str(os.getpid()))
    with open(path) as pipe:
        pipe.read()
    with open(path + ".end", "w") as file:
        file.write(str(os.getppid()))


def have_children(path: str, method: str, daemon: bool) -> None:
    """Has a daemon, which ends with this process, and waits."""
    process = multiprocessing.get_context(method).Process(target=sleep, daemon=daemon)
    process.start()
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {process.pid}\n")
    sleep()


def keywords(conn: Any, **options: Any) -> None:
    """Sends what it was given."""
    conn.send(options)


def names(conn: Any) -> None:
    """Sends its name and that of its next child."""
    me = multiprocessing.current_process()
    conn.send((me.name, multiprocessing.Process().name.partition("-")[2]))


def be_busy() -> None:
    """Does what needs locks of the interpreter's and the standard library's."""
    import graphlib
    import logging

    graphlib.TopologicalSorter().prepare()
    logging.getLogger("children").debug("kettle")
    sys.stderr.flush()
    bytes(100_000)
