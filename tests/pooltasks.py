"""What workers of pools do in tests; a module, so that also those find it who do not inherit it."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import util
from typing import Any

#: What an initializer was given in this process.
KEPT: tuple[Any, ...] = ()


def keep(*things: Any) -> None:
    global KEPT
    KEPT = things


def keep_and_ignore_sigterm(*things: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    keep(*things)


def kept() -> tuple[Any, ...]:
    return KEPT


def put_pid(queue: Any) -> None:
    queue.put(os.getpid())


def raise_from_initializer(text: str) -> None:
    raise LookupError(text)


def square(number: int) -> int:
    return number * number


def subtract(left: int, right: int) -> int:
    return left - right


def identity(thing: Any) -> Any:
    return thing


def tell(*args: Any, **kwds: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwds


def pid(*ignored: Any) -> int:
    return os.getpid()


def about_me() -> dict[str, Any]:
    me, parent = multiprocessing.current_process(), multiprocessing.parent_process()
    assert parent is not None
    return {
        "name": me.name,
        "pid": me.pid,
        "daemon": me.daemon,
        "parent": parent.pid,
        "main thread": threading.current_thread() is threading.main_thread(),
        "children": multiprocessing.active_children(),
    }


def meet(*ignored: Any) -> int:
    """Waits for as many as the barrier that is kept is for; gives the number of this process."""
    KEPT[0].wait()
    return os.getpid()


def pass_gate(thing: Any) -> Any:
    """Waits for the event that is kept."""
    KEPT[0].wait()
    return thing


def pass_gate_if_zero(number: int) -> int:
    if number == 0:
        KEPT[0].wait()
    return number


def open_gate_if_last(number: int, last: int) -> int:
    """Only the last of them does not wait for it."""
    if number == last:
        KEPT[0].set()
    else:
        KEPT[0].wait()
    return number


def say_and_pass_gate(thing: Any) -> Any:
    """Puts it into the queue that is kept, and waits for the event beside it."""
    KEPT[0].put(thing)
    KEPT[1].wait()
    return thing


def fail_say_and_pass_gate(number: int) -> int:
    """0 fails, 1 waits for the event, all others say that they are there."""
    if number == 0:
        raise ZeroDivisionError(number)
    if number == 1:
        KEPT[1].wait()
    else:
        KEPT[0].put(number)
    return number


def say(thing: Any) -> Any:
    KEPT[0].put(thing)
    return thing


def say_and_fail_at(number: int, *failing: int) -> int:
    KEPT[0].put(number)
    return fail_at(number, *failing)


def fail_at(number: int, *failing: int) -> int:
    if number in failing:
        raise ZeroDivisionError(number)
    return number


def fail(*args: Any) -> None:
    raise ZeroDivisionError(*args)


class Oddity(Exception):
    """With more than its arguments."""

    def __init__(self, code: int, *, why: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.why = why


def fail_oddly() -> None:
    error = Oddity(7)
    error.why = "because"
    raise error


def fail_because() -> None:
    try:
        dict[str, int]()["key"]
    except KeyError as error:
        raise ValueError("no such meal") from error


def fail_with_note() -> None:
    error = ValueError("soup")
    error.add_note("it was salted twice")  # type: ignore[attr-defined,unused-ignore]
    raise error


class Untellable:
    """Cannot be pickled, by whatever means."""

    def __init__(self, name: str = "it") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<Untellable {self.name}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot tell {self.name}")

    def __call__(self, *args: Any) -> None:
        raise AssertionError("it cannot have come here")


def give_untellable(*ignored: Any) -> Any:
    return Untellable("the soup")


def give_untellable_at(number: int, at: int) -> Any:
    return Untellable(str(number)) if number == at else number


def fail_untellably() -> None:
    raise ValueError("salty", Untellable("the soup"))


class Needy(Exception):
    """Is pickled, but nobody can make it from that."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"needs {what} in {where}")


def fail_needily(*ignored: Any) -> None:
    raise Needy("salt", "soup")


def spoil() -> Any:
    raise LookupError("it went bad on its way")


class Perishable:
    """Is pickled, but not to be unpickled."""

    def __reduce__(self) -> Any:
        return spoil, ()


def give_perishable(*ignored: Any) -> Any:
    return Perishable()


class Counted:
    """Knows how many of it there are in this process."""

    count = 0

    def __init__(self) -> None:
        type(self).count += 1

    def __setstate__(self, state: Any) -> None:
        self.__init__()  # type: ignore[misc]

    def __reduce__(self) -> Any:
        return Counted, ()

    def __del__(self) -> None:
        type(self).count -= 1


def count_of(thing: Any) -> int:
    return Counted.count


def count() -> int:
    return Counted.count


class Sized:
    """Says about its length what it was told to say."""

    def __init__(self, items: Any, length: Any) -> None:
        self.items, self.length = items, length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        if isinstance(self.length, type):
            raise self.length("none")
        assert isinstance(self.length, int)
        return self.length


def broken_after(items: Any) -> Iterator[Any]:
    yield from items
    raise LookupError("no more")


def at_exit_write(path: str) -> None:
    """Has the worker write its number when it ends as processes do."""

    def write() -> None:
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\n")

    util.Finalize(None, write, exitpriority=1)


def start_child(method: str) -> Any:
    """Starts a process of its own, which a daemon may not."""
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=sys.exit, args=(3,))
    process.start()
    process.join()
    return process.exitcode


def use_own_pool(call: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(call, items)


def sum_of_array(array: Any) -> float:
    return float(array.sum())


def kill_me(number: int = signal.SIGKILL) -> None:
    faulthandler.disable()
    os.kill(os.getpid(), number)
    signal.pause()


def kill_me_at(number: int, *fatal: int) -> int:
    if number in fatal:
        kill_me()
    return square(number)


def kill_me_at_five(number: int) -> int:
    return kill_me_at(number, 5)


def kill_me_if_last(number: int, last: int) -> int:
    """Dies when all others have said that they are done."""
    if number == last:
        for _ in range(last):
            KEPT[0].acquire()
        kill_me()
    KEPT[0].release()
    return number


def leave(code: int) -> None:
    os._exit(code)


def leave_at(number: int, at: int, code: int) -> int:
    if number == at:
        leave(code)
    return square(number)


class Abandon(BaseException):
    """No Exception."""


def abandon(kind: type[BaseException], *args: Any) -> None:
    raise kind(*args)


def abandon_at(number: int, at: int, kind: type[BaseException]) -> int:
    if number == at:
        raise kind(number)
    return square(number)


def append(path: str, number: int) -> int:
    """Writes it down; such a short line is written whole, whoever else writes."""
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\n" % number)
    return number
