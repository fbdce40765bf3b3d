"""A server that does with sessions and numbers what ours does, and what a test tells it besides."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from manyhands.multiprocessing import connection, managers
from support import PATIENCE

KEY = b"a key"

Thing = managers.MakeProxyType("Thing", ("get", "put", "acquire"))


class Manager(managers.BaseManager):
    """Makes things."""


Manager.register("thing", proxytype=Thing)
Manager.register("dict", proxytype=managers.DictProxy)


class Raw(tuple[Any, ...]):
    """An answer that is sent as it is."""


class Server:
    """Answers each method's call with `answer(method, *args)`, once for each number."""

    def __init__(self, address: Any = ("127.0.0.1", 0)) -> None:
        self.listener = connection.Listener(address, authkey=KEY, backlog=16)
        self.address = self.listener.address
        self.answer: Callable[..., Any] = lambda method, *args: None
        #: What clients said of themselves, and all their requests.
        self.hellos: list[dict[str, Any]] = []
        self.requests: list[tuple[Any, ...]] = []
        #: Before, or after, the next call of which method the connection is cut.
        self.cut_before = self.cut_after = ""
        #: The answers of each session, by their numbers.
        self._kept: dict[int, dict[int, Any]] = {}
        self._count = count(1)
        self._open: list[Any] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def manager(self) -> Any:
        connected = Manager(self.address, authkey=KEY)
        connected.connect()
        return connected

    def methods(self) -> list[str]:
        return [request[1] for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                end = self.listener.accept()
            except (OSError, EOFError):
                return
            self._open.append(end)
            self._threads.append(threading.Thread(target=self._serve, args=(end,), daemon=True))
            self._threads[-1].start()

    def _serve(self, end: Any) -> None:
        with contextlib.suppress(OSError, EOFError), end:
            _, method, args, said = end.recv()
            assert (method, args) == ("accept_connection", ())
            self.hellos.append(said)
            session = said.get("session")
            if session not in self._kept:
                session = next(self._count)
                self._kept[session] = {}
            end.send(("#RETURN", {"manyhands": 1, "session": session}))
            while True:
                request = end.recv()
                self.requests.append(request)
                if request[1] != "#decref":
                    end.send(self._answer(self._kept[session], *request))

    def _answer(
        self, kept: dict[int, Any], ident: Any, method: str, args: Any, kwds: Any, number: int
    ) -> Any:
        if method == self.cut_before:
            self.cut_before = ""
            raise EOFError
        if number not in kept:
            kept[number] = self._made(method, args)
        if method == self.cut_after:
            self.cut_after = ""
            raise EOFError
        return kept[number]

    def _made(self, method: str, args: Any) -> tuple[Any, ...]:
        if method == "create":
            return "#RETURN", ("x", Thing._exposed_)
        if method in ("incref", "dummy", "number_of_objects"):
            return "#RETURN", None
        result = self.answer(method, *args)
        return tuple(result) if isinstance(result, Raw) else ("#RETURN", result)

    def forget(self) -> None:
        """It is another server now."""
        self._kept.clear()

    def cut(self) -> None:
        """All connections are cut."""
        while self._open:
            with contextlib.suppress(OSError):
                number = os.dup(self._open.pop().fileno())
                with socket.socket(fileno=number) as end:
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self.listener._listener is None:
            return
        self.listener._listener._socket.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self.listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()
