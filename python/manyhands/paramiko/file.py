"""Files over something that is read and written in pieces."""

from __future__ import annotations

import contextlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .util import ClosingContextManager, u

if TYPE_CHECKING:
    from collections.abc import Iterable


class BufferedFile(ClosingContextManager):
    """A file with a buffer; classes that inherit say what `_read` and `_write` do.

    In a mode without `b` lines are text, as `readline`, `readlines` and iteration give them; `read`
    gives bytes.
    """

    SEEK_SET, SEEK_CUR, SEEK_END = range(3)

    _DEFAULT_BUFSIZE = 8192
    # How much is asked for at a time when all is read.
    _CHUNK = 64 * 1024

    def __init__(self) -> None:
        self._closed = False
        self._readable = self._writable = self._binary = self._universal = False
        self._line_buffered = False
        self._bufsize = 0
        self._rbuffer = bytearray()
        self._wbuffer = bytearray()
        # The last line has ended with a carriage return, to which a line feed may belong.
        self._after_return = False
        self._pos = 0
        self.newlines: Any = None

    def _set_mode(self, mode: str = "r", bufsize: int = -1) -> None:
        self._readable = "r" in mode or "+" in mode or "U" in mode
        self._writable = "w" in mode or "+" in mode or "a" in mode
        self._binary = "b" in mode
        self._universal = "U" in mode
        # Without a size only lines are read ahead.
        self._bufsize = 0 if bufsize < 0 else bufsize
        self._line_buffered = bufsize == 1

    def _read(self, size: int) -> bytes:
        raise OSError("File not open for reading")

    def _write(self, data: bytes) -> int:
        raise OSError("File not open for writing")

    def __del__(self) -> None:
        # So a command whose input nobody holds any more gets the end of it.
        with contextlib.suppress(Exception):
            self.close()

    def __iter__(self) -> BufferedFile:
        if self._closed:
            raise ValueError("I/O operation on closed file")
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def close(self) -> None:
        """Write what is in the buffer, and close."""
        if not self._closed:
            try:
                self.flush()
            finally:
                self._closed = True

    def flush(self) -> None:
        """Write what is in the buffer."""
        self._write_out()

    def _write_out(self) -> None:
        data = bytes(self._wbuffer)
        self._wbuffer.clear()
        self._write_all(data)

    def readable(self) -> bool:
        """Whether it can be read."""
        return self._readable

    def writable(self) -> bool:
        """Whether it can be written."""
        return self._writable

    def seekable(self) -> bool:
        """False: what was read or written is gone."""
        return False

    def _check_read(self) -> None:
        if self._closed:
            raise OSError("File is closed")
        if not self._readable:
            raise OSError("File is not open for reading")

    def _piece(self, size: int) -> bytes:
        try:
            more = self._read(size)
        except EOFError:
            return b""
        return more if more is not None and len(more) > 0 else b""

    def _fill(self, size: int) -> bool:
        """Read at most so much into the buffer; False at the end."""
        more = self._piece(size)
        self._rbuffer += more
        return bool(more)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._rbuffer[:count])
        del self._rbuffer[:count]
        self._pos += len(taken)
        return taken

    def readinto(self, buff: Any) -> int:
        """Read into a buffer; how many bytes."""
        data = self.read(len(buff))
        buff[: len(data)] = data
        return len(data)

    def read(self, size: int | None = None) -> bytes:
        """At most so many bytes, all until the end if there is no size; fewer only at the end."""
        self._check_read()
        if size is None or size < 0:
            return self._read_all()
        while (missing := size - len(self._rbuffer)) > 0:
            # Without a buffer what is not asked for is left where it is.
            if not self._fill(max(missing, self._bufsize)):
                break
        return self._take(size)

    def _read_all(self) -> bytes:
        # Its value is not copied when it is returned, which matters if it is large.
        whole = BytesIO()
        whole.write(self._rbuffer)
        self._rbuffer.clear()
        try:
            while more := self._piece(self._CHUNK):
                whole.write(more)
        except BaseException:
            # Whoever reads on after a timeout finds it.
            self._rbuffer += whole.getvalue()
            raise
        self._pos += whole.tell()
        return whole.getvalue()

    def readline(self, size: int | None = None) -> Any:
        """The next line with its end, or at most so many bytes of it; empty at the end."""
        self._check_read()
        limit = -1 if size is None or size < 0 else size
        searched = 0
        while True:
            self._drop_line_feed()
            end = self._line_end(searched)
            if end or 0 <= limit <= len(self._rbuffer):
                break
            searched = len(self._rbuffer)
            if not self._fill(max(self._bufsize, self._DEFAULT_BUFSIZE)):
                end = len(self._rbuffer)
                break
        if limit >= 0:
            end = min(end, limit) if end else limit
        line = self._take(end)
        if self._universal:
            line = self._with_newline(line)
        return line if self._binary else u(line)

    def _line_end(self, start: int) -> int:
        """Where the first line of the buffer ends; 0 if that is not there yet."""
        feed = self._rbuffer.find(b"\n", start)
        if self._universal:
            turn = self._rbuffer.find(b"\r", start, feed if feed >= 0 else len(self._rbuffer))
            if turn >= 0:
                return turn + (2 if self._rbuffer[turn + 1 : turn + 2] == b"\n" else 1)
        return feed + 1

    def _drop_line_feed(self) -> None:
        """Drop the second half of a line's end, of which the first was returned as a whole one."""
        if self._after_return and self._rbuffer:
            self._after_return = False
            whole = self._rbuffer.startswith(b"\n")
            self._note(b"\r\n" if whole else b"\r")
            if whole:
                del self._rbuffer[:1]

    def _with_newline(self, line: bytes) -> bytes:
        for end in (b"\r\n", b"\r", b"\n"):
            if line.endswith(end):
                if end == b"\r" and not self._rbuffer:
                    self._after_return = True
                else:
                    self._note(end)
                return line[: -len(end)] + b"\n"
        return line

    def _note(self, end: bytes) -> None:
        """Keep in `newlines` which ends of lines were seen."""
        seen = self.newlines
        if seen is None:
            self.newlines = end
        elif seen != end and not (isinstance(seen, tuple) and end in seen):
            self.newlines = (*(seen if isinstance(seen, tuple) else (seen,)), end)

    def readlines(self, sizehint: int | None = None) -> list[Any]:
        """All lines that are left, or at least so many bytes of them."""
        lines = []
        count = 0
        for line in self:
            lines.append(line)
            count += len(line)
            if sizehint is not None and count >= sizehint:
                break
        return lines

    def xreadlines(self) -> BufferedFile:
        """The file itself, which gives its lines."""
        return self

    def seek(self, offset: int, whence: int = 0) -> None:
        """Raise OSError."""
        raise OSError("File does not support seeking.")

    def tell(self) -> int:
        """How many bytes were read or written."""
        return self._pos

    def write(self, data: Any) -> None:
        """Write bytes, or text as UTF-8; to the buffer first if there is one."""
        if isinstance(data, str):
            data = data.encode("utf-8")
        if self._closed:
            raise OSError("File is closed")
        if not self._writable:
            raise OSError("File not open for writing")
        self._wbuffer += data
        if self._line_buffered:
            whole = self._wbuffer.rfind(b"\n") + 1
            lines = bytes(self._wbuffer[:whole])
            del self._wbuffer[:whole]
            self._write_all(lines)
        elif len(self._wbuffer) >= self._bufsize:
            self._write_out()

    def writelines(self, sequence: Iterable[Any]) -> None:
        """Write each."""
        for line in sequence:
            self.write(line)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            count = self._write(bytes(view))
            view = view[count:]
            self._pos += count
