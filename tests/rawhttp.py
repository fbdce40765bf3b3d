"""A client of HTTP that sends the bytes that it is given, and reads answers strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LIMIT = 20  # seconds: a watchdog, never a measure


@dataclass
class Answer:
    """What came back. `chunks` is None if the body did not come in chunks."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    chunks: list[bytes] | None = None
    lines: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = {name.lower(): value for name, value in self.headers}
        assert len(self.lines) == len(self.headers), f"a header came twice: {self.headers}"

    @property
    def code(self) -> int:
        return int(self.status.split(" ")[0])


class Client:
    """A connection, made of a socket of gevent's or of another that looks the same."""

    def __init__(self, connected: Any) -> None:
        self.socket = connected
        self.socket.settimeout(LIMIT)
        self._came = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes | str) -> None:
        self.socket.sendall(b"".join(it if isinstance(it, bytes) else it.encode() for it in parts))

    def finish(self) -> None:
        """Say that no more will be sent."""
        self.socket.shutdown(1)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer."""
        version, status = self._line().split(" ", 1)
        assert version == "HTTP/1.1"
        headers = []
        while line := self._line():
            name, colon, value = line.partition(": ")
            assert colon, line
            headers.append((name, value))
        answer = Answer(status, headers)
        if method != "HEAD" and answer.code >= 200 and answer.code not in (204, 304):
            self._read_body(answer)
        return answer

    def _read_body(self, answer: Answer) -> None:
        if answer.lines.get("transfer-encoding") == "chunked":
            assert "content-length" not in answer.lines
            answer.chunks = []
            while size := int(self._line(), 16):
                answer.chunks.append(self._exactly(size))
                assert self._exactly(2) == b"\r\n"
            assert self._exactly(2) == b"\r\n"
            answer.body = b"".join(answer.chunks)
        elif "content-length" in answer.lines:
            answer.body = self._exactly(int(answer.lines["content-length"]))
        else:
            answer.body = self.rest()

    def rest(self) -> bytes:
        """All that comes until the connection ends. A reset is an error."""
        while more := self.socket.recv(65536):
            self._came += more
        rest, self._came = self._came, b""
        return rest

    def answers(self) -> list[Answer]:
        """All that come until the connection ends, which is where one of them does."""
        self._came = self.rest()
        found = []
        while self._came:
            found.append(self.answer())
        return found

    def _more(self) -> None:
        more = self.socket.recv(65536)
        assert more, f"the connection ended after {self._came!r}"
        self._came += more

    def _exactly(self, count: int) -> bytes:
        while len(self._came) < count:
            self._more()
        found, self._came = self._came[:count], self._came[count:]
        return found

    def _line(self) -> str:
        while b"\r\n" not in self._came:
            self._more()
        line, self._came = self._came.split(b"\r\n", 1)
        return line.decode("latin-1")
