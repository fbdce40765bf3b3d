"""How it looks where the progress of calls is shown: a bar of tqdm's, or lines."""

import _thread
import contextlib
import os
import sys
import time
from collections import namedtuple
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NamedTuple

    class Numbers(NamedTuple):
        """How far calls are."""

        total: int | None
        done: int
        failed: int
        running: int | None
        is_over: bool

else:
    Numbers = namedtuple("Numbers", "total done failed running is_over")

#: The least time between two lines, in seconds.
LINE_INTERVAL = 1.0


class Terminal:
    """Standard error, if it is a terminal; written to without a lock that a fork could inherit."""

    def __init__(self, number: int, encoding: str) -> None:
        self._number = number
        self.encoding = encoding

    @classmethod
    def find(cls) -> "Terminal | None":
        """Return it, or None."""
        with contextlib.suppress(AttributeError, OSError, ValueError):
            if sys.stderr.isatty():
                return cls(sys.stderr.fileno(), sys.stderr.encoding or "ascii")
        return None

    def is_there(self) -> bool:
        """Whether it is still a terminal: the program may have closed it, or put a file there."""
        return os.isatty(self._number)

    def write(self, text: str) -> None:
        """Write, unless that cannot be done: nothing that the program does may fail by it."""
        rest = text.encode(self.encoding, "replace")
        with contextlib.suppress(OSError):
            while rest and self.is_there():
                rest = rest[os.write(self._number, rest) :]

    def flush(self) -> None:
        """There is nothing to flush."""

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return True


class Lines:
    """Shows numbers as lines, where there is no tqdm."""

    def __init__(self, terminal: Terminal, name: str | None, age: float) -> None:
        self._terminal = terminal
        self._name = name or "calls"
        now = time.monotonic()
        self._begin = now - age
        self._next = now + LINE_INTERVAL

    def show(self, numbers: Numbers) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_INTERVAL
            self._line(numbers)

    def hide(self) -> None:
        pass

    def end(self, numbers: Numbers) -> None:
        self._line(numbers)

    def _line(self, numbers: Numbers) -> None:
        ended = numbers.done + numbers.failed
        rate = ended / max(time.monotonic() - self._begin, 1e-9)
        of = "" if numbers.total is None else f" of {numbers.total}"
        parts = [f"{numbers.done}{of} done", *_running_and_failed(numbers), f"{rate:.3g}/s"]
        if numbers.total is not None and rate > 0 and ended < numbers.total:
            minutes, seconds = divmod(round((numbers.total - ended) / rate), 60)
            parts.append(f"{minutes}:{seconds:02} left")
        self._terminal.write(f"{self._name}: {', '.join(parts)}\n")


class TqdmBar:
    """Shows numbers as a bar of tqdm's."""

    def __init__(self, tqdm: "Any", terminal: Terminal, name: str | None, age: float) -> None:
        # With a delay it draws nothing until it is told how far all is.
        self._bar = tqdm(
            desc=name, file=terminal, dynamic_ncols=True, miniters=1, mininterval=0, delay=1e-9
        )
        if not self._bar.disable:
            self._bar.start_t -= age
            self._bar.last_print_t -= age
        self._is_hidden = False

    def show(self, numbers: Numbers) -> None:
        bar = self._bar
        bar.total = numbers.total
        bar.set_postfix_str(", ".join(_running_and_failed(numbers)), refresh=False)
        if not bar.update(numbers.done + numbers.failed - bar.n):
            bar.refresh()
        self._is_hidden = False

    def hide(self) -> None:
        if not self._is_hidden:
            self._bar.clear()
            self._is_hidden = True

    def end(self, numbers: Numbers) -> None:
        self.show(numbers)
        self._bar.close()

    def forget(self) -> None:
        """Draw nothing any more: in a forked child."""
        self._bar.disable = True


def _running_and_failed(numbers: Numbers) -> "Iterable[str]":
    if numbers.running is not None:
        yield f"{numbers.running} running"
    yield f"{numbers.failed} failed"


def tqdm_class() -> "Any":
    """Return the class of tqdm's bars for us, or None."""
    try:
        tqdm: Any = import_module("tqdm")
    except ImportError:
        return None

    class Bar(tqdm.tqdm):  # type: ignore[misc]
        """Has a lock of its own, no process-wide one, and no thread that looks after it."""

        monitor_interval = 0

    Bar.set_lock(_thread.RLock())
    return Bar
