"""What paramiko's connections have as they are threads."""

from __future__ import annotations

from typing import Any

from . import _ssh_errors as errors


class Threadlike:
    """The methods of a `Transport` that it has by the name of a thread's. There is no thread for
    each."""

    _native: Any

    #: Changes nothing: no connection keeps a program from ending.
    daemon = True
    name = "paramiko connection"

    def setDaemon(self, daemon: bool) -> None:
        """Set `daemon`."""
        self.daemon = daemon

    def isDaemon(self) -> bool:
        """What `daemon` was set to."""
        return self.daemon

    def setName(self, name: str) -> None:
        """Set `name`, which nothing here looks at."""
        self.name = name

    def getName(self) -> str:
        """What `name` was set to."""
        return self.name

    def join(self, timeout: float | None = None) -> None:
        """Wait until the connection has ended, at most so many seconds. RuntimeError before
        `start_client`."""
        if self._native is None:
            raise RuntimeError("the connection was not begun")
        with errors.of_requests():
            self._native.join(None if timeout is None else max(timeout, 0))
