"""A plugin for pytest: why does a test hang?

`pytest --manyhands-why` writes, when a test has taken too long, what all its threads and child
processes wait for: what `manyhands why` prints. The test goes on; what ends it is another's
business, that of pytest-timeout for instance.

Too long is the limit of pytest-timeout (its option or ini value `timeout`) less a tenth, or else
pytest's own `faulthandler_timeout` less a tenth, or else a minute; or `--manyhands-why=SECONDS`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from typing import Any

import pytest

#: Seconds, where nobody has said anything.
DEFAULT = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("manyhands").addoption(
        "--manyhands-why",
        nargs="?",
        const="",
        metavar="SECONDS",
        help="tell what a test waits for that takes longer: by default a little less than "
        "the limit of pytest-timeout, or faulthandler_timeout, or a minute",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch, if that is wanted."""
    given = config.getoption("--manyhands-why")
    if given is None:
        return
    try:
        seconds = float(given) if given else None
    except ValueError:
        seconds = -1
    if seconds is not None and not seconds > 0:
        raise pytest.UsageError(f"--manyhands-why takes a number of seconds, not {given!r}")
    config.pluginmanager.register(_Watch(config, seconds), "manyhands-watch")


class _Watch:
    def __init__(self, config: pytest.Config, seconds: float | None) -> None:
        self._config = config
        self._seconds = seconds
        # What the user sees: that of tests is captured, but not yet.
        self._stderr = os.dup(2)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        timer = threading.Timer(self.limit(item), self._tell, [item.nodeid])
        timer.daemon = True
        timer.start()
        try:
            return (yield)
        finally:
            timer.cancel()
            timer.join()

    def limit(self, item: pytest.Item) -> float:
        if self._seconds is not None:
            return self._seconds
        marker = item.get_closest_marker("timeout")
        given = marker.args[0] if marker and marker.args else None
        given = given or self._config.getoption("timeout", None) or self._ini("timeout")
        for limit in (given, self._ini("faulthandler_timeout")):
            if limit and float(limit) > 0:
                return float(limit) * 0.9
        return DEFAULT

    def _ini(self, name: str) -> Any:
        try:
            return self._config.getini(name)
        except (KeyError, ValueError):
            return None  # the plugin that has it is not there

    def _tell(self, name: str) -> None:
        from manyhands import watch

        try:
            report = watch.why()
        except OSError as error:
            report = f"{error}\n"
        text = f"\nmanyhands: {name} takes long:\n{report}"
        os.write(self._stderr, text.encode(errors="backslashreplace"))

    def pytest_unconfigure(self) -> None:
        os.close(self._stderr)
