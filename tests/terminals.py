"""Runs a program whose standard error is a terminal, and sees what is drawn there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from support import PATIENCE

#: A module of that name cannot be imported: what a program in whose way it is has no tqdm.
HIDDEN = "raise ImportError('hidden by a test')\n"


class Program:
    """A program, and what it has written to its terminal so far."""

    def __init__(self, process: subprocess.Popen[str], terminal: int) -> None:
        self.process = process
        self.text = ""
        self._terminal = terminal
        self._bytes = b""

    def _read(self, deadline: float) -> bool:
        """Reads what there is, for which it waits; False at the end."""
        left = deadline - time.monotonic()
        ready, _, _ = select.select([self._terminal], [], [], max(0, left))
        assert ready, f"nothing comes after:\n{self.text[-1000:]}"
        try:
            more = os.read(self._terminal, 1 << 16)
        except OSError:  # nobody has it open any more
            return False
        self._bytes += more
        self.text = self._bytes.decode(errors="replace")
        return bool(more)

    def until(self, pattern: str) -> re.Match[str]:
        """Waits until that has been written."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text)):
            assert self._read(deadline), f"there is no {pattern!r} in:\n{self.text[-2000:]}"
        return found

    def say(self, line: str) -> None:
        stream: IO[str] | None = self.process.stdin
        assert stream is not None
        stream.write(line + "\n")
        stream.flush()

    def finish(self) -> tuple[int, str]:
        """Waits for its end; gives its exit code, and what it has printed."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        printed, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, printed

    @property
    def lines(self) -> list[str]:
        """What is to be read on the terminal, where what is drawn over something replaces it."""
        lines = self.text.replace("\r\n", "\n").split("\n")
        return [line.rpartition("\r")[2].replace("\x1b[A", "").rstrip() for line in lines]


@contextmanager
def running(
    folder: Path, source: str, *options: str, tqdm: bool = True, **changes: Any
) -> Iterator[Program]:
    """A program of that source; `options` are those of python."""
    path = folder / "program.py"
    path.write_text(textwrap.dedent(source))
    # The traceback of Python 3.13 has colours otherwise.
    environment = {**os.environ, "PYTHON_COLORS": "0"}
    environment.pop("MANYHANDS_RUN", None)
    if not tqdm:
        hidden = folder / "hidden"
        hidden.mkdir()
        (hidden / "tqdm.py").write_text(HIDDEN)
        environment["PYTHONPATH"] = str(hidden)
    ours, its = pty.openpty()
    process = None
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        changes = {"stderr": its, "env": environment, **changes}
        process = subprocess.Popen(
            [sys.executable, *options, str(path)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **changes,
        )
        os.close(its)
        its = -1
        yield Program(process, ours)
    finally:
        if process is not None:
            process.kill()
            process.communicate()
        os.close(ours)
        if its >= 0:
            os.close(its)
