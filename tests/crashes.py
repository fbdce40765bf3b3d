"""Things that go wrong in a worker, at any stage of a call. Children import it."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
from typing import Any

from manyhands.multiprocessing import util


class Fault(Exception):
    """What is raised where an exception is what goes wrong."""


def eat_all_memory() -> None:
    """Wants more than there is address space for."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), before[1]))
    eaten = []
    try:
        while True:
            eaten.append(bytes(1 << 27))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def raise_fault() -> None:
    raise Fault("as asked")


def exit_at_once() -> None:
    os._exit(7)


def send(name: str) -> None:
    # A forked worker would write into the test's output.
    faulthandler.disable()
    os.kill(os.getpid(), signal.Signals[name])
    # By a signal that ends it nobody gets here; by the other only who is told to go on.


FAULTS = {
    "exception": (raise_fault, ()),
    "exit": (exit_at_once, ()),
    "SIGSEGV": (send, ("SIGSEGV",)),
    "SIGKILL": (send, ("SIGKILL",)),
    "SIGSTOP": (send, ("SIGSTOP",)),
    "memory": (eat_all_memory, ()),
}


def go_wrong(fault: str) -> None:
    function, args = FAULTS[fault]
    function(*args)


class Argument:
    """Goes wrong when a worker gets it."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __setstate__(self, state: dict[str, Any]) -> None:
        go_wrong(state["fault"])


class Result:
    """Goes wrong when a worker sends it."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __reduce__(self) -> Any:
        go_wrong(self.fault)
        return Result, (self.fault,)


class Received:
    """Goes wrong where it is received."""

    def __reduce__(self) -> Any:
        return raise_fault, ()


def take(argument: Any) -> None:
    """Is not called with what cannot be received."""


def give(fault: str) -> Result:
    return Result(fault)


def give_received() -> Received:
    return Received()


def go_wrong_at_the_end(fault: str) -> str:
    """Goes wrong when the worker ends, as it has nothing more to do."""
    util.Finalize(None, go_wrong, (fault,), exitpriority=0)
    return "done"


def import_module(name: str, folder: str) -> None:
    """Of a module that goes wrong when it is imported."""
    sys.path.insert(0, folder)
    __import__(name)


def double(number: int) -> int:
    return 2 * number


def who() -> int:
    return os.getpid()
