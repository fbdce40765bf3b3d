"""What every test gets: a watchdog, a look for what it left behind, and both implementations."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator

import pytest
from support import ENGINES, Engine, Leftovers

#: Seconds that a test may take before all stacks are dumped and the whole run fails.
PATIENCE = float(os.environ.get("MANYHANDS_TEST_PATIENCE", "120"))

_stderr = -1


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real stderr, which is another one while a test's output is captured."""
    global _stderr
    _stderr = os.dup(2)


def pytest_unconfigure() -> None:
    os.close(_stderr)


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    """End the run with the stacks of all threads if a test hangs: nothing can be said after that."""
    marker = request.node.get_closest_marker("patience")
    seconds = marker.args[0] if marker else PATIENCE
    faulthandler.dump_traceback_later(seconds, exit=True, file=_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def nothing_is_left(watchdog: None) -> Iterator[None]:
    """No thread, child process or file descriptor may outlive the test that made it."""
    before = Leftovers.now()
    yield
    left = Leftovers.since(before)
    assert not left, f"left behind: {left}"


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The standard library's implementation and ours, for what must hold of both."""
    chosen: Engine = request.param
    return chosen
