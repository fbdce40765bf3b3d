"""The body of a request, as an application reads it."""

__all__ = ["Input"]

#: How long a line of a request may be.
MAX_REQUEST_LINE = 8192

_HEX = frozenset(b"0123456789abcdefABCDEF")
_TORN = "unexpected end of file while parsing chunked data"
#: What names of headers are made of.
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class InvalidClientInput(OSError):
    """What the client sends as a body is none."""


class InvalidClientRequest(ValueError):
    """What the client sends as a request is none; `status` is the answer."""

    def __init__(self, message, status="400 Bad Request"):
        ValueError.__init__(self, message)
        self.formatted_message = message
        self.status = status


class Input:
    """A file-like object over the connection, which ends where the body does.

    `socket` is there if the client waits to be told to go on, which the first read does.
    """

    __slots__ = (
        "_failed",
        "_left",
        "chunked_input",
        "content_length",
        "position",
        "rfile",
        "socket",
    )

    def __init__(self, rfile, content_length, socket=None, chunked_input=False):
        self.rfile = rfile
        self.content_length = content_length
        self.socket = socket
        self.chunked_input = chunked_input
        self.position = 0
        #: What is left of the chunk; None before the first, 0 after the last.
        self._left = None
        self._failed = False

    def _discard(self):
        """Read what the application has not, so that the next request begins behind it."""
        if self._failed:
            raise InvalidClientInput("what follows in this connection cannot be told")
        self.socket = None  # what has been sent without being asked for is still to be read
        while self.read(16384):
            pass

    def _send_100_continue(self):
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read(self, length=None):
        """At most so many bytes, all if it is None or negative."""
        if length is not None and length < 0:
            length = None
        if self.chunked_input:
            return self._read_chunked(length, False)
        return self._read(length, False)

    def readline(self, size=None):
        """A line, at most so many bytes of it."""
        if size is not None and size < 0:
            size = None
        if self.chunked_input:
            return self._read_chunked(size, True)
        return self._read(size, True)

    def readlines(self, hint=None):
        """All lines; the hint is not taken."""
        return list(self)

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    def _read(self, length, by_line):
        left = (self.content_length or 0) - self.position
        length = left if length is None else min(length, left)
        if length <= 0:
            return b""
        self._send_100_continue()
        data = self.rfile.readline(length) if by_line else _read_whole(self.rfile, length)
        self.position += len(data)
        if len(data) < length and not (by_line and data.endswith(b"\n")):
            raise OSError(
                f"unexpected end of file while reading request at position {self.position}"
            )
        return data

    def _read_chunked(self, length, by_line):
        self._send_100_continue()
        parts = []
        while length is None or length > 0:
            if not self._left and not self._next_chunk():
                break
            wanted = self._left if length is None else min(length, self._left)
            part = self.rfile.readline(wanted) if by_line else _read_whole(self.rfile, wanted)
            parts.append(part)
            self._left -= len(part)
            self.position += len(part)
            ends = by_line and part.endswith(b"\n")
            if len(part) < wanted and not ends:
                self._failed = True
                raise OSError(_TORN)
            if self._left == 0:
                self._expect_line_end()
                self._left = None
            if ends:
                break
            if length is not None:
                length -= len(part)
        return b"".join(parts)

    def _next_chunk(self):
        """Go on to the next chunk; whether there is one."""
        if self._left == 0:
            return False
        try:
            self._left = self._read_size()
            if self._left == 0:
                self._skip_trailers()
        except BaseException:
            self._failed = True
            raise
        return self._left > 0

    def _read_size(self):
        # Byte by byte: a client that sends something else may wait for an answer before it goes on.
        digits = bytearray()
        while True:
            byte = self.rfile.read(1)
            if not byte:
                raise OSError(_TORN)
            if byte[0] in _HEX and len(digits) < 16:
                digits += byte
            elif byte == b"\r" and digits:
                self._expect(b"\n")
                return int(digits, 16)
            elif byte == b";" and digits:
                self._skip_line()
                return int(digits, 16)
            else:
                raise InvalidClientInput("the size of a chunk is no hexadecimal number")

    def _skip_line(self):
        line = self.rfile.readline(MAX_REQUEST_LINE)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise InvalidClientInput("a chunk's extension is too long, or does not end")

    def _skip_trailers(self):
        for _ in range(100):
            line = self.rfile.readline(MAX_REQUEST_LINE)
            if line == b"\r\n":
                return
            if not line:
                raise OSError(_TORN)
            name, colon, value = line.partition(b":")
            ends = value.endswith(b"\r\n") and b"\r" not in value[:-2]
            if not (colon and ends and name and TOKEN.issuperset(name)):
                raise InvalidClientInput("what follows the last chunk is no header")
        raise InvalidClientInput("too many headers follow the last chunk")

    def _expect(self, expected):
        got = self.rfile.read(len(expected))
        if len(got) < len(expected):
            raise OSError(_TORN)
        if got != expected:
            raise InvalidClientInput("a chunk does not end where it should")

    def _expect_line_end(self):
        try:
            self._expect(b"\r\n")
        except BaseException:
            self._failed = True
            raise


def _read_whole(file, length):
    """So many bytes, fewer at the end of the file; without memory for what does not come."""
    data = file.read(min(length, 1 << 20))
    if len(data) == length or not data:
        return data
    parts = [data]
    left = length - len(data)
    while left and data:
        data = file.read(min(left, 1 << 20))
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
