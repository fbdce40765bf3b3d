"""Waits: wait() and poll(), signals, timeouts, the death of the other end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from connections import both, ours
from support import PATIENCE, Hand, alarm, beside, in_fork, killed, until, until_blocked

SHORT = 0.05


class Stop(Exception):
    """Raised by handlers of signals."""


def _stop() -> None:
    raise Stop


@both
def test_wait_tells_which_are_ready(module: ModuleType) -> None:
    one, other = module.Pipe()
    reader, writer = module.Pipe(duplex=False)
    near, far = socket.socketpair()
    low, high = os.pipe()
    everything = [other, reader, near, low]
    with one, other, reader, writer, near, far:
        try:
            assert module.wait(everything, 0) == []
            assert module.wait([], 0) == []
            one.send(1)
            assert module.wait(everything) == [other]
            os.write(high, b"x")
            far.send(b"x")
            assert module.wait(iter(everything), 5) == [other, near, low]
            assert module.wait(object_list=everything[::-1], timeout=-1) == [low, near, other]
            writer.close()
            assert module.wait([reader]) == [reader]
        finally:
            os.close(low)
            os.close(high)


@both
def test_wait_refuses_what_cannot_be_waited_for(module: ModuleType) -> None:
    one, other = module.Pipe()
    with one, other:
        for wrong in (-1, "text", None, object()):
            with pytest.raises(ValueError, match="Invalid file"):
                module.wait([one, wrong], 0)
        for same in (one, one.fileno()):
            with pytest.raises(KeyError, match="is already registered"):
                module.wait([one, same], 0)
        with pytest.raises(TypeError):
            module.wait(one, 0)
        with pytest.raises(TypeError):
            module.wait([one], "soon")
    with pytest.raises(OSError, match="handle is closed"):
        module.wait([one], 0)


@both
def test_wait_for_the_end_of_a_process(module: ModuleType) -> None:
    context = __import__("multiprocessing").get_context("fork")
    process = context.Process(target=int)
    process.start()
    assert module.wait([process.sentinel], PATIENCE) == [process.sentinel]
    process.join()
    process.close()


WAITS: dict[str, Callable[[ModuleType, Any, float | None], Any]] = {
    "poll": lambda module, end, timeout: end.poll(timeout),
    "wait": lambda module, end, timeout: bool(module.wait([end], timeout)),
}
waits = pytest.mark.parametrize("waiting", WAITS.values(), ids=WAITS.keys())


@both
@waits
def test_a_timeout_is_waited_for(module: ModuleType, waiting: Any) -> None:
    one, other = module.Pipe()
    with one, other:
        begin = time.monotonic()
        assert not waiting(module, one, SHORT)
        assert time.monotonic() - begin >= SHORT
        assert not waiting(module, one, -1)
        other.send(1)
        assert waiting(module, one, None)
        assert waiting(module, one, PATIENCE)
        assert waiting(module, one, 0)


@both
@waits
def test_what_comes_ends_a_wait(module: ModuleType, waiting: Any) -> None:
    one, other = module.Pipe()
    with one, other:
        for timeout in (None, PATIENCE):
            hand = Hand(waiting, module, one, timeout).blocks()
            other.send("came")
            assert hand.result()
            assert one.recv() == "came"


@both
@waits
def test_signals_do_not_change_a_timeout(module: ModuleType, waiting: Any) -> None:
    one, other = module.Pipe()
    with one, other, alarm(lambda: None, after=0.01, every=0.01) as ran:
        begin = time.monotonic()
        assert not waiting(module, one, 5 * SHORT)
        assert time.monotonic() - begin >= 5 * SHORT
        assert ran


def _fill(writer: Any) -> int:
    """Writes until there is no more room; returns how much that was."""
    number = writer.fileno()
    os.set_blocking(number, False)
    total = 0
    try:
        while True:
            total += os.write(number, b"\0" * 4096)
    except BlockingIOError:
        return total
    finally:
        os.set_blocking(number, True)


BLOCKED: dict[str, Callable[[ModuleType, Any, Any], Any]] = {
    "poll": lambda module, reader, writer: reader.poll(None),
    "wait": lambda module, reader, writer: module.wait([reader]),
    "recv": lambda module, reader, writer: reader.recv(),
    "recv_bytes": lambda module, reader, writer: reader.recv_bytes(),
    "recv_bytes_into": lambda module, reader, writer: reader.recv_bytes_into(bytearray(9)),
    "send": lambda module, reader, writer: (_fill(writer), writer.send(1)),
    "send_bytes": lambda module, reader, writer: (_fill(writer), writer.send_bytes(b"1")),
    "send_bytes of much": lambda module, reader, writer: writer.send_bytes(b"1" * (8 << 20)),
}


@both
@pytest.mark.parametrize("duplex", [True, False], ids=["duplex", "simplex"])
@pytest.mark.parametrize("blocked", BLOCKED.values(), ids=BLOCKED.keys())
def test_an_exception_of_a_handler_ends_every_wait(
    module: ModuleType, duplex: bool, blocked: Any
) -> None:
    reader, writer = module.Pipe(duplex)
    with reader, writer:
        with pytest.raises(Stop), alarm(_stop):
            blocked(module, reader, writer)
        assert not reader.closed
        assert not writer.closed


@both
def test_a_given_up_recv_loses_nothing(module: ModuleType) -> None:
    reader, writer = module.Pipe()
    with reader, writer:
        for number in range(5):
            with pytest.raises(Stop), alarm(_stop):
                reader.recv()
            writer.send(number)
            assert reader.recv() == number


@both
@pytest.mark.parametrize("duplex", [True, False], ids=["duplex", "simplex"])
def test_a_wait_goes_on_after_a_handler(module: ModuleType, duplex: bool) -> None:
    reader, writer = module.Pipe(duplex)
    with reader, writer:
        for number in range(5):
            with alarm(lambda: writer.send(("from the handler", number))):  # noqa: B023
                assert reader.recv() == ("from the handler", number)


@both
@pytest.mark.parametrize("duplex", [True, False], ids=["duplex", "simplex"])
def test_signals_tear_no_message(module: ModuleType, duplex: bool) -> None:
    """Of large messages, in whose middle signals come, with a reader that is slow to begin."""
    message = os.urandom(1 << 20) * 8
    reader, writer = module.Pipe(duplex)

    def write() -> None:
        reader.close()
        with alarm(lambda: None, after=0.001, every=0.001) as ran:
            for _ in range(3):
                writer.send_bytes(message)
                writer.send(message)
            until(lambda: ran)

    def read() -> None:
        with alarm(lambda: None, after=0.001, every=0.001):
            for _ in range(3):
                assert reader.recv_bytes() == message
                assert reader.recv() == message
            assert reader.poll(None)
            with pytest.raises(EOFError):
                reader.recv()

    with reader, beside(write):
        writer.close()
        read()


CTRL_C = """
import sys
from {name} import Pipe, wait
reader, writer = Pipe()
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@both
@pytest.mark.parametrize(
    "call",
    ["reader.recv()", "reader.poll(None)", "wait([reader])", "writer.send_bytes(b'x' * 8**8)"],
)
def test_ctrl_c(module: ModuleType, call: str) -> None:
    program = CTRL_C.format(name=module.__name__, call=call)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            until_blocked(process.pid, process.pid)
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == "interrupted\n"
            assert process.wait() == 0
        finally:
            process.kill()


@contextmanager
def _child(module: ModuleType, body: Callable[[Any], None]) -> Iterator[tuple[Any, int]]:
    """Our end of a connection, and the number of the child that has the other one."""
    here, there = module.Pipe()

    def work() -> None:
        here.close()
        body(there)

    with here, killed(work) as pid:
        there.close()
        yield here, pid


def _wait_for_ever(end: Any) -> None:
    end.send("there")
    while True:
        signal.pause()


def _send_for_ever(end: Any) -> None:
    end.send("there")
    while True:
        end.send_bytes(b"x" * 100_000)


@both
def test_a_killed_peer_is_the_end(module: ModuleType) -> None:
    with _child(module, _wait_for_ever) as (here, pid):
        assert here.recv() == "there"
        receiving = Hand(here.recv).blocks()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EOFError):
            receiving.result()
        assert here.poll(None)
        with pytest.raises(BrokenPipeError):
            here.send_bytes(b"1")


@both
def test_a_peer_that_is_killed_in_the_middle_of_a_message(module: ModuleType) -> None:
    with _child(module, _send_for_ever) as (here, pid):
        assert here.recv() == "there"
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

        def receive_all() -> None:
            while True:
                assert here.recv_bytes() == b"x" * 100_000

        with pytest.raises((EOFError, OSError)):
            receive_all()


def test_a_forked_child_uses_what_it_inherits() -> None:
    """Whatever another thread was doing with it."""
    reader, writer = ours.Pipe()
    with reader, writer:
        waiting = Hand(reader.recv).blocks()

        def body() -> None:
            one, other = ours.Pipe()
            one.send([1])
            assert other.recv() == [1]
            writer.send(["from the child"] * 3)

        in_fork(body)
        assert waiting.result() == ["from the child"] * 3
