"""Shows how far calls are: a bar of tqdm's if that is installed, lines otherwise.

It is drawn on standard error, and nothing is where that is no terminal. A thread of this module's
looks at the numbers, which the native side counts anyway, while there is something to show, so that
calls do no more for a bar than without. It belongs to the process that made it: a forked child has
no bars, and draws nothing of its parent's.
"""

import _thread
import atexit
import contextlib
import itertools
import os
import sys
import time
import weakref
from functools import partial

from manyhands import _watched_pools
from manyhands._progress_views import Lines, Numbers, Terminal, TqdmBar, tqdm_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any

#: How often numbers are looked at, in seconds.
INTERVAL = 0.1

#: How long whoever is about to end the program waits for somebody who draws.
_PATIENCE = 1.0

#: The most futures that are asked each time whether they run.
_MOST_ASKED = 2000

#: The process all of whose pools are to be shown: that of a `manyhands run --progress`.
shows_all_in: int | None = getattr(sys.modules.get("manyhands._start"), "shows_progress_in", None)


class Bar:
    """What is shown of some calls; `with` it, or until these are over."""

    def __init__(
        self, name: str | None, read: "Callable[[], Numbers]", is_lasting: bool = False
    ) -> None:
        self._name = name
        self._read = read
        #: Whether there may be more calls after a while without any.
        self._is_lasting = is_lasting
        self._begin = time.monotonic()
        self.screen: Screen | None = None
        self._view: Lines | TqdmBar | None = None

    def step(self, screen: "Screen") -> bool:
        """Show how far it is; return whether there may be more to show."""
        numbers = self._read()
        if numbers.is_over:
            self.finish(screen)
            return False
        is_idle = self._is_lasting and numbers.total == numbers.done + numbers.failed
        if self._view is not None:
            if is_idle:
                self._view.hide()
            else:
                self._view.show(numbers)
        elif is_idle:
            self._begin = time.monotonic()
        else:
            self._open(screen).show(numbers)
        return True

    def _open(self, screen: "Screen") -> "Lines | TqdmBar":
        self._view = screen.view(self._name, time.monotonic() - self._begin)
        return self._view

    def finish(self, screen: "Screen") -> None:
        """Show for the last time how far it is, unless it was there too shortly to be seen."""
        if self._view is not None or not self._is_lasting:
            view = self._view or self._open(screen)
            self._view = None
            view.end(self._read()._replace(running=None))

    def forget(self) -> None:
        if isinstance(self._view, TqdmBar):
            self._view.forget()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.end()

    def end(self) -> None:
        """Show for the last time how far it is, unless that was done."""
        screen = self.screen
        # In a forked child somebody may hold its lock who is not there.
        if screen is not None and screen.pid == os.getpid():
            screen.remove(self)


class Screen:
    """What is shown in this process, and the thread that draws it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.pid = os.getpid()
        self._bars: list[Bar] = []
        self._lock = _thread.RLock()
        #: Held by nobody while the thread is to look again at once.
        self._alarm = _thread.allocate_lock()
        self._alarm.acquire()
        self._has_thread = False
        self._class = tqdm_class()
        self._hook: Any = None

    def view(self, name: str | None, age: float) -> "Lines | TqdmBar":
        if self._class is None:
            return Lines(self.terminal, name, age)
        return TqdmBar(self._class, self.terminal, name, age)

    def add(self, bar: Bar) -> None:
        with self._lock:
            if not self._has_thread:
                _thread.start_new_thread(self._draw, ())
                self._has_thread = True
            # What has ended meanwhile makes room.
            self._step()
            bar.screen = self
            self._bars.append(bar)
            if self._hook is None:
                self._hook = sys.excepthook
                sys.excepthook = self._before_traceback

    def remove(self, bar: Bar) -> None:
        with self._lock:
            if bar in self._bars:
                self._bars.remove(bar)
                self._guarded(partial(bar.finish, self))
                self._look()

    def close(self) -> None:
        """Leave the terminal as it is to be when the program ends."""
        if self.pid != os.getpid() or not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            bars, self._bars = self._bars, []
            for bar in bars:
                self._guarded(partial(bar.finish, self))
            self._look()
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Draw nothing: this is a forked child."""
        for bar in self._bars:
            bar.forget()
        self._bars = []
        if sys.excepthook == self._before_traceback:
            sys.excepthook = self._hook

    def _look(self) -> None:
        if self._alarm.locked():
            with contextlib.suppress(RuntimeError):  # somebody was faster
                self._alarm.release()

    def _before_traceback(self, *error: "Any") -> None:
        hook = self._hook
        self.close()
        (hook or sys.__excepthook__)(*error)

    def _guarded(self, draw: "Callable[[], object]") -> bool:
        """Draw; whatever goes wrong with that is no affair of the program's."""
        try:
            return self.terminal.is_there() and draw() is not False
        except Exception:
            return False

    def _draw(self) -> None:
        while True:
            self._alarm.acquire(timeout=INTERVAL)
            with self._lock:
                self._step()
                if not self._bars:
                    if sys.excepthook == self._before_traceback:
                        sys.excepthook = self._hook
                    self._hook = None
                    self._has_thread = False
                    return

    def _step(self) -> None:
        for bar in list(self._bars):
            if not self._guarded(partial(bar.step, self)) and bar in self._bars:
                self._bars.remove(bar)


_screen: Screen | None = None


def _find_screen() -> Screen | None:
    global _screen
    terminal = Terminal.find()
    if terminal is None:
        return None
    if _screen is None or _screen.pid != os.getpid():
        first = _screen is None
        _screen = Screen(terminal)
        if first:
            atexit.register(_close)
            os.register_at_fork(after_in_child=_forget)
    _screen.terminal = terminal
    return _screen


def _close() -> None:
    if _screen is not None:
        _screen.close()


def _forget() -> None:
    global _screen
    if _screen is not None:
        _screen.forget()
        _screen = None


def count(future: "Any", tally: "Any", items: int = 1) -> None:
    """Have a future count as so many calls in a native tally."""
    if hasattr(future, "_count_in"):
        future._count_in(tally, items)
        return

    def settled(future: "Any") -> None:
        if future.cancelled():
            tally.withdraw(items)
        else:
            tally.settle(items, future.exception() is None)

    tally.submit(items)
    future.add_done_callback(settled)


def count_all(futures: "Iterable[Any]", tally: "Any") -> None:
    """Have each future count as a call in a native tally."""
    for future in futures:
        count(future, tally)


def running_of(futures: "list[Any]") -> int | None:
    """Return how many of them run, None if they are too many to ask; those that are done go."""
    futures[:] = [future for future in futures if future._state in ("PENDING", "RUNNING")]
    if len(futures) > _MOST_ASKED:
        return None
    return [future._state for future in futures].count("RUNNING")


class _Nothing:
    """Shows nothing."""

    def __enter__(self) -> "_Nothing":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def end(self) -> None:
        pass


def show(progress: "bool | str", read: "Callable[[], Numbers]") -> "Bar | _Nothing":
    """Show a bar until what `read` returns is over, or `with` it; `progress` may be its name."""
    screen = _find_screen() if progress else None
    if screen is None:
        return _Nothing()
    bar = Bar(progress if isinstance(progress, str) else None, read)
    try:
        screen.add(bar)
    except RuntimeError:
        return _Nothing()  # there can be no more threads
    return bar


def show_all(owner: "Any", pool: "Any", name: str) -> None:
    """Show a bar whenever a pool has calls under way, if that is wanted in this process; and have
    observers know of it.

    `pool` is what is native of it.
    """
    _watched_pools.note(owner, pool, name)
    if shows_all_in != os.getpid():
        return
    screen = _find_screen()
    if screen is None:
        return
    with contextlib.suppress(RuntimeError):  # there can be no more threads
        screen.add(Bar(f"{name}-{next(_numbers)}", _reader_of(pool), is_lasting=True))


_numbers = itertools.count(1)


def _reader_of(pool: "Any") -> "Callable[[], Numbers]":
    reference, tally = weakref.ref(pool), pool.tally

    def read() -> Numbers:
        pool = reference()
        if pool is not None:
            return Numbers(*pool.progress())
        total, done, failed = tally.read()
        return Numbers(total, done, failed, running=None, is_over=True)

    return read
