"""What a worker on another machine runs: calls that come by its standard input, one after the
other; and the frames in which they come.

It ends with its standard input, at once and with all processes of its group, as that means that who
wants the calls done is gone. What calls write to standard output goes along with their results.
"""

import os
import pickle
import signal
import struct
import sys
from queue import SimpleQueue
from threading import Lock, Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_HEAD = struct.Struct("<Q")

#: What comes before the first frame from there: the files of a shell may have written something.
_BEGIN = b"\0manyhands\0"

#: How much that may be.
_MOST_BEFORE = 1 << 20

#: How much is taken from a descriptor at once.
_LOT = 1 << 20

#: How many functions are kept that came by value.
_KEPT = 64

#: How long the program's output may come after its end, in seconds.
_REST = 1.0


class Link:
    """Frames both ways; each is the pickle of a tuple that begins with what it is for."""

    def __init__(
        self, receive: "Callable[[int], bytes]", send: "Callable[[bytes], object]"
    ) -> None:
        """`receive` returns up to so many bytes, none at the end; `send` sends all."""
        self._receive, self._send = receive, send
        self._sending = Lock()
        self._rest = b""

    def put(self, *frame: "Any") -> None:
        """Send a frame; any thread may."""
        data = pickle.dumps(frame, 5)
        with self._sending:
            self._send(_HEAD.pack(len(data)))
            self._send(data)

    def begin(self) -> None:
        """Say that frames begin."""
        self._send(_BEGIN)

    def await_begin(self) -> bytes:
        """Wait for the other side's frames; what came before them. EOFError if there are none."""
        before = bytearray()
        while (at := before.find(_BEGIN)) < 0:
            more = self._receive(_LOT)
            if not more or len(before) > _MOST_BEFORE:
                raise EOFError(f"no frames but {bytes(before[-200:])!r}")
            before += more
        self._rest = bytes(before[at + len(_BEGIN) :])
        return bytes(before[:at])

    def get(self) -> "tuple[Any, ...]":
        """Wait for the next frame; EOFError at the end. One thread at a time."""
        (length,) = _HEAD.unpack(self._exactly(_HEAD.size))
        frame: tuple[Any, ...] = pickle.loads(self._exactly(length))
        return frame

    def _exactly(self, count: int) -> "bytes | bytearray":
        got = bytearray(self._rest)
        while len(got) < count:
            more = self._receive(_LOT)
            if not more:
                raise EOFError("the other side has ended")
            got += more
        self._rest = bytes(memoryview(got)[count:])
        del got[count:]
        return got


def main() -> None:
    """Do calls until there are no more."""
    # What calls read and write is not the frames.
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    outlet, inlet = os.pipe()
    os.dup2(inlet, 1)
    os.close(inlet)

    def send(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(outgoing, view) :]

    link = Link(lambda count: os.read(incoming, count), send)
    version = sys.version_info[:2]
    link.begin()
    link.put("hello", version, os.getpid())
    try:
        _, settings = link.get()
    except EOFError:
        return
    worker = _Worker(link, settings)
    pump = Thread(target=_pump, args=(outlet, link), daemon=True)
    pump.start()
    try:
        worker.run()
    finally:
        sys.stdout.flush()
        # The end of all that write to it; what was started by calls may go on.
        os.dup2(2, 1)
        pump.join(_REST)
    link.put("end")


class _Worker:
    def __init__(self, link: Link, settings: "dict[str, Any]") -> None:
        self._link = link
        self._wraps = settings["wraps"]
        self._functions: dict[bytes, Any] = {}
        self._frames: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._settings = settings

    def run(self) -> None:
        try:
            settle = self._enter()
            initializer = self._settings["initializer"]
            if initializer is not None:
                function, arguments = pickle.loads(initializer)
                function(*arguments)
            settle()
        except BaseException as error:
            self._tell_failure(0, error)
            return
        self._link.put("done", 0, pickle.dumps(None))
        Thread(target=self._listen, daemon=True).start()
        while (frame := self._frames.get())[0] == "call":
            self._do(*frame[1:])

    def _enter(self) -> "Callable[[], None]":
        from manyhands.multiprocessing import _surroundings

        told = self._settings["surroundings"]
        return _surroundings.enter(told, lambda record: self._link.put("log", record))

    def _listen(self) -> None:
        while True:
            try:
                frame = self._link.get()
            except (EOFError, OSError):
                _end_all()
            self._frames.put(frame)

    def _do(
        self,
        number: int,
        pickled: bytes,
        shape: int,
        argument: bytes,
        memory: "int | None",
        context: bytes,
    ) -> None:
        from manyhands._native import multiprocessing as native

        result: tuple[Any, ...] = ()
        try:
            function = self._functions.get(pickled)
            if function is None:
                function = pickle.loads(pickled)
                while len(self._functions) >= _KEPT:
                    del self._functions[next(iter(self._functions))]
                self._functions[pickled] = function
            found = native.call_as_sent(
                function,
                shape,
                pickle.loads(argument),
                memory,
                context,
                lambda: self._link.put("begin", number),
            )
            result = (found,)
            data = self._pickled(found)
        except BaseException as error:
            self._tell_failure(number, error, *result)
        else:
            self._link.put("done", number, data)
        sys.stdout.flush()

    @staticmethod
    def _pickled(result: "Any") -> bytes:
        from manyhands.multiprocessing.reduction import ForkingPickler

        return bytes(ForkingPickler.dumps(result, 5))

    def _tell_failure(self, number: int, error: BaseException, *result: "Any") -> None:
        from manyhands.multiprocessing import _pool_worker

        describe: Callable[..., tuple[bytes, str]] = _pool_worker.describe
        self._link.put("failed", number, *describe(error, result, self._wraps))


def _pump(outlet: int, link: Link) -> None:
    while data := os.read(outlet, _LOT):
        link.put("out", data)


def _end_all() -> "NoReturn":
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
