"""What a call raises whose worker process has died, or took too long."""

import io
import itertools
import pickle
import reprlib
import signal

from manyhands._stdlib import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import TimeoutError as FuturesTimeoutError
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import TimeoutError as ProcessesTimeoutError
    from typing import Any
else:
    BrokenProcessPool = original("concurrent.futures.process").BrokenProcessPool
    ProcessesTimeoutError = original("multiprocessing.context").TimeoutError
    FuturesTimeoutError = original("concurrent.futures._base").TimeoutError

#: The most characters that are shown of a call.
_MOST = 200

#: How a function was called with what was sent; as in the engine (multiprocessing/pool/call.rs).
_ONE, _POSITIONAL, _KEYWORDS, _EACH, _EACH_STARRED = range(5)


class _Certificate:
    """What is known of a worker process that has ended in a call.

    `pid` is the process's number, `exitcode` its exit code (negative: the signal that killed it;
    None: unknown), `call` shows function and arguments, `host` is the machine of a worker of a pool
    with hosts, `out_of_memory` is whether the system
    killed it for want of memory, `peak_memory` the most bytes of memory that it had, `stack` the
    traceback of where it was, if it could still say so. What is not known is None.
    """

    pid: int
    exitcode: "int | None" = None
    call: "str | None" = None
    host: "str | None" = None
    out_of_memory: "bool | None" = None
    peak_memory: "int | None" = None
    stack: "str | None" = None

    def __reduce__(self) -> "tuple[Any, ...]":
        return _rebuilt, (type(self), str(self), vars(self).copy())


def _rebuilt(cls: "type[BaseException]", text: str, facts: "dict[str, Any]") -> BaseException:
    error = cls.__new__(cls, text)
    error.args = (text,)
    vars(error).update(facts)
    return error


class WorkerDied(_Certificate, BrokenProcessPool):
    """The worker process that did the call has died, and only this call with it.

    It tells `pid`, `exitcode`, `call`, `out_of_memory`, `peak_memory` and `stack`, as far as they
    are known.
    """

    def __init__(self, pid: int, exitcode: "int | None", text: str) -> None:
        super().__init__(text)
        self.pid = pid
        self.exitcode = exitcode


_TIMEOUTS: "tuple[type[BaseException], ...]" = (ProcessesTimeoutError, FuturesTimeoutError)
if FuturesTimeoutError is not TimeoutError:
    _TIMEOUTS += (TimeoutError,)


class TaskTimeout(_Certificate, *_TIMEOUTS):  # type: ignore[misc]
    """The call took longer than `timeout` seconds, so the worker process that did it was killed.

    It tells `pid`, `exitcode`, `call`, `peak_memory` and `stack`, as far as they are known.
    """

    def __init__(self, pid: int, timeout: float, text: str) -> None:
        super().__init__(text)
        self.pid = pid
        self.timeout = timeout


WorkerDied.__module__ = TaskTimeout.__module__ = "manyhands.multiprocessing.pool"


def exception_of(
    pid: int,
    exitcode: "int | None",
    function: "Callable[..., Any] | None" = None,
    timeout: "float | None" = None,
    died_before: int = 0,
    call: "tuple[int, bool, Any, bytes | None] | None" = None,
    peak_memory: "int | None" = None,
    stack: "str | None" = None,
    out_of_memory: "bool | None" = None,
    how: "str | None" = None,
) -> "WorkerDied | TaskTimeout":
    """Return the exception of a call whose worker has died; of none if it had no function. `how` it
    died is made of its exit code, if that is all that is known."""
    shown = None if function is None else show_call(function, call)
    if timeout is not None:
        text = f"{shown} took longer than {timeout:g} s, so worker process {pid} was killed"
        error: WorkerDied | TaskTimeout = TaskTimeout(pid, timeout, _with_stack(text, stack))
    else:
        text = f"worker process {pid} {how or _how(exitcode, out_of_memory)} "
        if shown is None:
            text += "before it took a task, as did all that were started for it in a row"
        else:
            text += f"while it did {shown}"
        if died_before == 1:
            text += ", as did one other that did it before"
        elif died_before:
            text += f", as did {died_before} others that did it before"
        error = WorkerDied(pid, exitcode, _with_stack(text, stack))
    error.exitcode, error.call, error.stack = exitcode, shown, stack
    error.out_of_memory, error.peak_memory = out_of_memory, peak_memory
    return error


def _how(exitcode: "int | None", out_of_memory: "bool | None") -> str:
    if exitcode is None:
        return "ended"
    if exitcode >= 0:
        return f"ended with exit code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    if out_of_memory:
        return f"was killed by {name}, as the system was out of memory,"
    return f"was killed by {name}"


def _with_stack(text: str, stack: "str | None") -> str:
    return text if stack is None else f"{text}\n{stack.rstrip()}"


def show_call(
    function: "Callable[..., Any]", call: "tuple[int, bool, Any, bytes | None] | None"
) -> str:
    """Return how a call looks in the program, shortened."""
    try:
        name = getattr(function, "__qualname__", None) or repr(function)
    except Exception:
        name = f"a {type(function).__qualname__}"
    if call is None:
        return f"{name}(...)"
    try:
        arguments = _show_arguments(*call)
    except Exception:
        # What cannot be shown is not what this is about.
        arguments = "..."
    return f"{name}({arguments})"


def _show_arguments(shape: int, is_named: bool, sent: "Any", pickled: "bytes | None") -> str:
    if pickled is not None:
        sent = _Outlines(io.BytesIO(pickled), buffers=itertools.repeat(b"")).load()
    elif sent is None and shape != _ONE:
        return "..."
    if not is_named:
        sent = sent[1]
    show = _short.repr
    if shape == _ONE:
        shown = show(sent)
    elif shape == _POSITIONAL:
        shown = ", ".join(map(show, sent))
    elif shape == _KEYWORDS:
        positional, keywords = sent
        named = (f"{name}={show(value)}" for name, value in dict(keywords).items())
        shown = ", ".join([*map(show, positional), *named])
    elif len(sent) == 1:
        (item,) = sent
        shown = show(item) if shape == _EACH else ", ".join(map(show, item))
    else:
        shown = f"each of {show(sent)}"
    return shown if len(shown) <= _MOST else f"{shown[:_MOST]}..."


_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


class _Outlines(pickle.Unpickler):
    """Reads what objects a pickle has without making any that is not built in."""

    def find_class(self, module: str, name: str) -> "type[_Outline]":
        """Return a class that stands for whatever has that name."""
        return type(name.rpartition(".")[2], (_Outline,), {})


class _Outline:
    """Stands for an object of which only the name of its class, or maker, is known."""

    def __new__(cls, *args: object, **kwargs: object) -> "_Outline":
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Take anything."""

    def __setstate__(self, state: object) -> None:
        """Take anything."""

    def __setitem__(self, key: object, value: object) -> None:
        """Take anything."""

    def append(self, item: object) -> None:
        """Take anything."""

    def extend(self, items: object) -> None:
        """Take anything."""

    def add(self, item: object) -> None:
        """Take anything."""

    def __call__(self, *args: object) -> "_Outline":
        return self

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
