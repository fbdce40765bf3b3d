"""What workers of a pool can say of where they are when they are killed, and by whom they are."""

import _signal  # type: ignore[import-not-found]
import contextlib
import faulthandler
import itertools
import os
import re
import signal

from manyhands import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Has a worker say where it is.
SAYS_WHERE = signal.SIGRTMAX - 3

#: How much room each worker has for that.
_ROOM = 1 << 16

#: The frame from which on a traceback tells only how a worker came to be.
_WORKER = (
    r'  File "[^"]*manyhands/(multiprocessing/_pool_worker|concurrent/futures/_worker)\.py", '
    r"line \d+ in work"
)

#: What tells how often the system has killed, once that was found.
_teller: "str | None" = None


class LastWords:
    """Where the workers of a pool write to, and what the system tells of their ends."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        try:
            self._file = os.memfd_create("manyhands-last-words", os.MFD_CLOEXEC)
        except OSError:
            # Nobody is to go without a pool for want of that.
            self._file = -1
        self._killed = out_of_memory_kills()

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def place(self) -> "tuple[int, int]":
        """Return where that is, for `report_to`."""
        return self._pid, self._file

    def exception_of(
        self, *, pid: int, exitcode: "int | None", seat: int, **facts: "Any"
    ) -> BaseException:
        """Return that of a call whose worker, which had that seat, has died."""
        from manyhands.multiprocessing._died import exception_of

        return exception_of(pid, exitcode, **facts, **self.of(seat, exitcode))

    def of(self, seat: int, exitcode: "int | None") -> "dict[str, Any]":
        """Return what is known of the end of the worker that had that seat."""
        facts: dict[str, Any] = {"stack": self._take(seat)}
        if exitcode is not None:
            facts["out_of_memory"] = False
        if exitcode == -signal.SIGKILL:
            killed = out_of_memory_kills()
            if killed is None or self._killed is None:
                facts["out_of_memory"] = None
            else:
                facts["out_of_memory"] = killed > self._killed
                # Each is the end of one.
                self._killed = min(killed, self._killed + 1)
        return facts

    def _take(self, seat: int) -> "str | None":
        said = self.said(seat)
        if said is None:
            return None
        return "\n".join(itertools.takewhile(_is_of_program, filter(None, said.splitlines())))

    def said(self, seat: int) -> "str | None":
        """Return what the worker that had that seat has written, which is forgotten."""
        if self._file < 0:
            return None
        begin = seat * _ROOM
        said = os.pread(self._file, _ROOM, begin).rstrip(b"\0")
        if not said:
            return None
        os.pwrite(self._file, bytes(len(said)), begin)
        return said.decode(errors="replace")


def _is_of_program(line: str) -> bool:
    return not re.match(_WORKER, line)


def place_of(pid: int, file: int, seat: int) -> "int | None":
    """Return a descriptor to write last words to, at the place of a seat; None if there is none."""
    # One of its own: with one that was inherited it would move in the file with others.
    place: int | None = _native.multiprocessing.open_at(pid, file, seat * _ROOM)
    return place


def report_to(pid: int, file: int, seat: int) -> None:
    """Have this process say where it is when it crashes, or is asked to by `SAYS_WHERE`.

    A program that has enabled `faulthandler` by itself has its crashes told there.
    """
    own = place_of(pid, file, seat)
    if own is None:
        return
    if not faulthandler.is_enabled():
        faulthandler.enable(own, all_threads=False)
        # The words of a child would be taken for those of its parent.
        os.register_at_fork(after_in_child=faulthandler.disable)
    # Not `signal`'s, which makes an enum of it: a new process pays for each page that it touches.
    if _signal.getsignal(SAYS_WHERE) == _signal.SIG_DFL:
        faulthandler.register(SAYS_WHERE, own, all_threads=False)


def out_of_memory_kills() -> "int | None":
    """Return how many processes the system has killed for want of memory; None if it does not tell.

    They are those of the control group of this process, otherwise those of the machine.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.events)
    """
    global _teller
    for path in tellers("/") if _teller is None else (_teller,):
        killed = told_by(path)
        if killed is not None:
            _teller = path
            return killed
    return None


def told_by(path: str) -> "int | None":
    """Return how many processes the system has killed by what a file of it tells, if it does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(file, 1 << 16)
        finally:
            os.close(file)
    except OSError:
        return None
    number = (b"\n" + text).partition(b"\noom_kill ")[2].partition(b"\n")[0]
    return int(number) if number.isdigit() else None


def tellers(root: str) -> "list[str]":
    """Return the files below a root that may tell so, the best first."""
    groups = os.path.join(root, "sys/fs/cgroup")
    tellers = []
    own = os.path.join(root, "proc/self/cgroup")
    with contextlib.suppress(OSError), open(own, encoding="utf-8") as file:
        for line in file.read().splitlines():
            _, controllers, path = line.split(":", 2)
            path = path.lstrip("/")
            if not controllers:
                tellers.append(os.path.join(groups, path, "memory.events"))
            elif "memory" in controllers.split(","):
                tellers.append(os.path.join(groups, "memory", path, "memory.oom_control"))
    # In a container its group may be the root of what it sees.
    tellers.append(os.path.join(groups, "memory.events"))
    tellers.append(os.path.join(root, "proc/vmstat"))
    return tellers
