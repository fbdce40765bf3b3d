"""A WSGI server of ours in this process, and what it says to its logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rawhttp

Application = Callable[..., Any]


class Log(list):  # type: ignore[type-arg]
    """A log that keeps its lines."""

    def write(self, line: str) -> None:
        self.append(line)

    writelines = list.extend


class Serving:
    """Serves an application until the block ends; `errors` are those that the hub was told of."""

    def __init__(self, application: Application, **options: Any) -> None:
        from manyhands import gevent
        from manyhands.gevent import pool, pywsgi

        self._hub = gevent.get_hub()
        self.log, self.error_log = Log(), Log()
        self.errors: list[BaseException] = []
        self.server = pywsgi.WSGIServer(
            options.pop("listener", ("127.0.0.1", 0)),
            application,
            log=self.log,
            error_log=self.error_log,
            spawn=pool.Pool(5000),
            **options,
        )

    def __enter__(self) -> Serving:
        self._hub.handle_error = lambda _where, _kind, error, _trace: self.errors.append(error)
        self.server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.stop()
        del self._hub.handle_error

    def quiet(self) -> None:
        """Wait until all connections have ended, and forget what was said."""
        assert self.server.pool.join(timeout=rawhttp.LIMIT), "a connection does not end"
        for said in (self.log, self.error_log, self.errors):
            said.clear()

    def client(self) -> rawhttp.Client:
        """A new connection to it."""
        from manyhands.gevent import socket

        return rawhttp.Client(socket.create_connection(self.server.address))
