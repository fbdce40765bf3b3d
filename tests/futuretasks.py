"""What workers of executors do in tests; a module, so that all workers find it."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pooltasks import kill_me


@dataclass
class Tools:
    """What a test and its workers share: words that come back, a gate, a place to meet."""

    said: Any
    gate: Any
    meeting: Any


#: What an initializer has given this worker; each thread has its own.
HERE = threading.local()


def take(tools: Tools) -> None:
    HERE.tools = tools


def take_and_say(tools: Tools, word: Any) -> None:
    take(tools)
    tools.said.put(word)


def wait_and_raise_from_initializer(gate: Any) -> None:
    gate.wait()
    raise LookupError("no flour")


def say(thing: Any) -> Any:
    HERE.tools.said.put(thing)
    return thing


def hold(thing: Any) -> Any:
    """Says that it runs, and waits for the gate."""
    HERE.tools.said.put(thing)
    HERE.tools.gate.wait()
    return thing


def hold_unless_zero(number: int) -> int:
    return hold(number) if number else number


def hold_and_die() -> None:
    """Says its number, and dies when the gate is open."""
    hold(os.getpid())
    kill_me()


def meet() -> tuple[int, int]:
    """Waits for all workers; gives the numbers of process and thread."""
    HERE.tools.meeting.wait()
    return where()


def where() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def thread_name() -> str:
    return threading.current_thread().name


def raise_this(error: BaseException) -> None:
    raise error


def quarter(number: int) -> float:
    """Fails with 0."""
    return 4 / number


def length(thing: Any) -> int:
    return len(thing)


def sum_in_another(module: str, kind: str, numbers: list[int], **options: Any) -> int:
    """Has another executor do the work."""
    with getattr(import_module(module), kind)(2, **options) as executor:
        return sum(executor.map(abs, numbers))


def sum_in_processes(module: str, multiprocessing: str, method: str, numbers: list[int]) -> int:
    context = import_module(multiprocessing).get_context(method)
    return sum_in_another(module, "ProcessPoolExecutor", numbers, mp_context=context)


def apply(call: Callable[..., Any], *args: Any) -> Any:
    return call(*args)


class Unmakeable:
    """Is pickled by its name, and nobody can make it again."""

    def __reduce__(self) -> Any:
        return functools.partial(raise_this, LookupError("it went bad on its way")), ()


class Falsy(Exception):
    """Is an error, but not true."""

    def __bool__(self) -> bool:
        return False
