"""What every test gets: a watchdog, a look for what it left behind, and both implementations."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from manyhands import _native
from support import ENGINES, Engine, Leftovers

#: Seconds that a test may take.
PATIENCE = float(os.environ.get("MANYHANDS_TEST_PATIENCE", "60"))

#: Seconds after that in which a test that hangs may fail; then the whole run ends.
GRACE = 20.0


# A shell starts what runs in its background with these ignored, which the tests' programs, also of
# other interpreters, would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# Otherwise it would begin in whatever test waits for a second, which then leaves a thread behind.
_native.begin_watch()


class Hangs(pytest.fail.Exception):
    """Raised in the main thread if a test takes too long: no Exception that it could catch, but one
    with which pytest goes on to what is to be done after the test."""


class Watchdog:
    """Dumps the stacks of all threads if a test hangs, and makes it fail.

    A signal whose handler raises ends what the main thread waits for. If it does not, nothing can
    be trusted any more, and the run ends.
    """

    def __init__(self) -> None:
        # The real stderr, which is another one while a test's output is captured.
        self.stderr = os.dup(2)
        self.main = threading.main_thread().ident
        self.alarm_at: float | None = None
        self.changed = threading.Condition()
        signal.signal(signal.SIGUSR2, self.fail)
        threading.Thread(target=self.watch, daemon=True, name="watchdog").start()

    def fail(self, number: int, frame: Any) -> None:
        if self.alarm_at is not None:
            self.alarm_at = None
            raise Hangs("the test hangs; see the stacks on stderr")

    def watch(self) -> None:
        given = None
        while True:
            with self.changed:
                at = self.alarm_at
                left = None if at in (None, given) else at - time.monotonic()
                if left is None or left > 0:
                    self.changed.wait(left)
                    continue
            given = at
            faulthandler.dump_traceback(self.stderr, all_threads=True)
            signal.pthread_kill(self.main, signal.SIGUSR2)

    def set_alarm(self, at: float | None) -> None:
        with self.changed:
            self.alarm_at = at
            self.changed.notify()

    def start(self, seconds: float) -> None:
        self.set_alarm(time.monotonic() + seconds)
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=self.stderr)

    def stop(self) -> None:
        self.set_alarm(None)
        faulthandler.cancel_dump_traceback_later()


_watchdog: Watchdog


def pytest_configure(config: pytest.Config) -> None:
    global _watchdog
    _watchdog = Watchdog()
    # What processes share is made when first needed, and stays.
    _native.multiprocessing.arena_statistics()
    import_module("manyhands.multiprocessing.shared_memory")


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test hangs."""
    marker = request.node.get_closest_marker("patience")
    _watchdog.start(marker.args[0] if marker else PATIENCE)
    yield
    _watchdog.stop()


@pytest.fixture(autouse=True)
def nothing_is_left(watchdog: None) -> Iterator[None]:
    """No thread, child process or file descriptor may outlive the test that made it."""
    before = Leftovers.now()
    yield
    try:
        left = Leftovers.since(before)
        assert not left, f"left behind: {left}"
    except BaseException:
        # At its end the interpreter would wait for them, the standard library's and ours.
        for child in multiprocessing.active_children():
            child.kill()
            child.join(PATIENCE)
        raise


@pytest.fixture
def eager_gc() -> Iterator[None]:
    """The garbage collector runs all the time."""
    old = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*old)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The standard library's implementation and ours, for what must hold of both."""
    chosen: Engine = request.param
    return chosen


@pytest.fixture(scope="session")
def runtime() -> None:
    """The thread that all connections of SSH share, and stays when a test has ended."""
    from manyhands import paramiko

    ours, theirs = socket.socketpair()
    theirs.close()
    with paramiko.Transport(ours) as transport, pytest.raises(paramiko.SSHException):
        transport.start_client()
