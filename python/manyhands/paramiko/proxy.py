"""A command's stdin and stdout in place of a socket."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from select import select
from typing import IO

from .ssh_exception import ProxyCommandFailure
from .util import ClosingContextManager

subprocess_import_error: ImportError = ImportError("proxy.subprocess is None")


class ProxyCommand(ClosingContextManager):
    """A running `ProxyCommand`, with those methods of a socket that a connection needs."""

    def __init__(self, command_line: str) -> None:
        """Start the command, whose words are split as a shell does, without a shell."""
        if subprocess is None:
            raise subprocess_import_error
        self.cmd = shlex.split(command_line)
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            self.cmd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.timeout: float | None = None

    def _failure(self, error: OSError) -> ProxyCommandFailure:
        return ProxyCommandFailure(" ".join(self.cmd), error.strerror)

    @property
    def _output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def send(self, content: bytes) -> int:
        """Write to the command; how many bytes.

        Raises `ProxyCommandFailure` if it has ended.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(content)
        except OSError as error:
            raise self._failure(error) from error
        return len(content)

    def recv(self, size: int) -> bytes:
        """That many bytes of the command; fewer if its output or the time has ended, none at the
        end.

        Raises `TimeoutError` if nothing came in time, `ProxyCommandFailure` if it cannot be read.
        """
        taken = b""
        began = time.time()
        try:
            while len(taken) < size:
                left = None
                if self.timeout is not None:
                    left = self.timeout - (time.time() - began)
                    if left <= 0:
                        raise TimeoutError()
                ready = select([self._output], [], [], left)[0]
                if ready:
                    more = os.read(self._output.fileno(), size - len(taken))
                    if not more:
                        break
                    taken += more
        except TimeoutError:
            if not taken:
                raise
        except OSError as error:
            raise self._failure(error) from error
        return taken

    def fileno(self) -> int:
        """The descriptor that the command's output comes from."""
        return self._output.fileno()

    def close(self) -> None:
        """Ask the command to end."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)

    @property
    def closed(self) -> bool:
        """Whether the command is known to have ended."""
        return self.process.returncode is not None

    @property
    def _closed(self) -> bool:
        return self.closed

    def settimeout(self, timeout: float | None) -> None:
        """Seconds that `recv` may take; None for as long as it takes."""
        self.timeout = timeout
