"""What stands in a pool for a worker on another machine: a process that hands the calls on, by an
SSH connection of its own, and dies with it."""

import contextlib
import io
import os
import pickle
import signal
import sys
from queue import Empty, SimpleQueue
from threading import Thread

from manyhands._native import multiprocessing as _native
from manyhands.multiprocessing import _by_value, _hosts, _pool_worker, util
from manyhands.multiprocessing._last_words import place_of
from manyhands.multiprocessing._remote import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

#: How long a machine may be out of reach before it is given up, in seconds.
RECONNECT = 30.0

#: How a reason begins that concerns the machine, not only a connection.
UNREACHABLE = "unreachable: "

#: How long a worker has to end when there are no more calls, in seconds.
_GRACE = 5.0


describe: "Callable[..., tuple[bytes, str]]" = _pool_worker.describe
foreign_pickler: "Callable[[], Any]" = _by_value.foreign_pickler


class _Failed(Exception):
    """What a call has raised there: as the pool is told."""

    def __init__(self, pickled: bytes, text: str) -> None:
        super().__init__(text)
        self.told = pickled, text


def work(
    board: "tuple[int, int]",
    seat: int,
    last_words: "tuple[int, int]",
    initializer: "Callable[..., object] | None",
    initargs: "tuple[Any, ...]",
    maxtasks: "int | None",
    wrap_exception: bool,
    surroundings: "Any",
    host: _hosts.Host,
) -> None:
    """Hand calls on to a worker there: what the process of such a worker runs."""
    far = _Far(host, place_of(*last_words, seat))

    def initialize(notices: "Any") -> None:
        far.begin(notices.log, initializer, initargs, wrap_exception, surroundings)

    def tell(error: BaseException, *result: "Any") -> "tuple[bytes, str]":
        if isinstance(error, _Failed):
            return error.told
        return describe(error, result, wrap_exception)

    try:
        done = _native.work(*board, seat, maxtasks, initialize, tell, far.call)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    far.end()
    util.debug(f"worker on {host.address} exiting after {done} tasks")


class _Far:
    """A worker on another machine."""

    def __init__(self, host: _hosts.Host, words: "int | None") -> None:
        self._host, self._words = host, words
        self._number = 0
        self._last: tuple[Any, bytes] = (None, b"")
        self._answers: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._begins: Callable[[], object] = lambda: None
        self._is_over = False

    def begin(
        self,
        log: "Callable[[bytes], object]",
        initializer: "Callable[..., object] | None",
        initargs: "tuple[Any, ...]",
        wraps: bool,
        surroundings: "Any",
    ) -> None:
        self._log = log
        try:
            self._client = _hosts.connect_again(self._host, RECONNECT)
            command = self._host.command("manyhands.multiprocessing._remote")
            # The end of the first would be that of the worker's standard input.
            self._files = self._client.exec_command(command)
        except Exception as error:
            self._die(f"{UNREACHABLE}{error}")
        self._channel = self._files[1].channel
        self._link = Link(self._channel.recv, self._channel.sendall)
        Thread(target=self._pass_errors, daemon=True).start()
        try:
            self._link.await_begin()
            _, self._version, _ = self._link.get()
        except Exception:
            self._die(f"{UNREACHABLE}{self._host.address}: {self._how_it_ended()}")
        told = None
        if initializer is not None:
            told = self._pickled((initializer, initargs))
        settings = {"initializer": told, "wraps": wraps, "surroundings": surroundings}
        self._link.put("begin", settings)
        Thread(target=self._listen, daemon=True).start()
        self._outcome()

    def call(
        self,
        function: "Any",
        shape: int,
        argument: "Any",
        memory: "int | None",
        context: bytes,
        begins: "Callable[[], object]",
    ) -> "Any":
        """What is called in the pool's stead."""
        last, pickled = self._last
        if last is not function:
            pickled = self._pickled(function)
            self._last = function, pickled
        data = self._pickled(argument)
        self._number += 1
        self._begins = begins
        with contextlib.suppress(OSError):
            # Of a line that is lost the listener tells.
            self._link.put("call", self._number, pickled, shape, data, memory, context)
        return self._outcome()

    def end(self) -> None:
        """Have the worker there end when it likes to."""
        self._is_over = True
        with contextlib.suppress(OSError, Empty):
            self._link.put("end")
            self._outcome(_GRACE)
        self._client.close()

    def _outcome(self, seconds: "float | None" = None) -> "Any":
        while True:
            kind, number, *rest = self._answers.get(timeout=seconds)
            # An earlier one may have been given up, by Ctrl-C.
            if number not in (self._number, None):
                continue
            if kind == "failed":
                raise _Failed(*rest)
            return pickle.loads(rest[0]) if rest else None

    def _pickled(self, what: "Any") -> bytes:
        """The pickle of what goes there, with what is in the program's main module by value."""
        from manyhands.multiprocessing.reduction import ForkingPickler

        pickler = foreign_pickler()
        if pickler is None or self._version != sys.version_info[:2]:
            data = bytes(ForkingPickler.dumps(what, 5))
            if b"__main__" in data or b"__mp_main__" in data:
                why = (
                    "the package `cloudpickle` for that, which is not installed here"
                    if pickler is None
                    else f"the same Python, but here it is {sys.version_info[:2]}, on "
                    f"{self._host.address} {self._version}"
                )
                raise pickle.PicklingError(
                    "functions and classes of the main module are sent by value; that needs " + why
                )
            return data
        buffer = io.BytesIO()
        pickler(buffer).dump(what)
        return buffer.getvalue()

    def _listen(self) -> None:
        try:
            while True:
                kind, *rest = self._link.get()
                if kind == "out":
                    _write(1, rest[0])
                elif kind == "log":
                    self._log(rest[0])
                elif kind == "begin":
                    self._begins()
                elif kind == "end":
                    self._answers.put(("end", None))
                else:
                    self._answers.put((kind, *rest))
        except Exception as error:
            if self._is_over:
                self._answers.put(("end", None))
            else:
                self._die(self._how_it_ended() if isinstance(error, EOFError) else str(error))

    def _pass_errors(self) -> None:
        with contextlib.suppress(Exception):
            while data := self._channel.recv_stderr(1 << 16):
                _write(2, data)

    def _how_it_ended(self) -> str:
        """Why nothing more comes."""
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            return "the connection was lost"
        self._channel.settimeout(_GRACE)
        with contextlib.suppress(Exception):
            status = self._channel.recv_exit_status()
            if status >= 0:
                return f"the worker there ended with exit status {status}"
            return "the worker there was killed by a signal"
        return "the worker there does not answer"

    def _die(self, reason: str) -> "NoReturn":
        """End as one that has lost its line, and say why."""
        if self._words is not None:
            with contextlib.suppress(OSError):
                os.write(self._words, reason.encode(errors="replace")[:4096])
        # Nothing of the program is to run, nor to catch that.
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(OSError):
        while view:
            view = view[os.write(descriptor, view) :]
