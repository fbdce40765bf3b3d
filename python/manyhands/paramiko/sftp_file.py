"""An open file on a server."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Any

from manyhands.threading import Lock

from .file import BufferedFile
from .sftp import NativeError, SFTPError, of_native, strings
from .sftp_attr import SFTPAttributes
from .util import asbytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .sftp_client import SFTPClient

__all__ = ["SFTPFile"]


class SFTPFile(BufferedFile):
    """A file as `SFTPClient.open` gives it.

    * What follows is read ahead while somebody reads on and on: more of it the longer that goes on.
    * A write is sent at once and not waited for. What the server has against it is raised by a
      later write, `flush`, `stat`, `seek` from the end or `close`.
    * It is binary whatever the mode, but for lines, which are text unless that has a "b".

    Any number of threads may use it; each call is whole.
    """

    #: The most that other clients ask for at a time; this one asks for what the server offers.
    MAX_REQUEST_SIZE = 32768

    def __init__(self, sftp: SFTPClient, handle: Any, mode: str = "r", bufsize: int = -1) -> None:
        super().__init__()
        self.sftp = sftp
        self._native = handle
        self._lock = Lock()
        self.pipelined = True
        self._set_mode(mode, bufsize)
        if "a" in mode:
            self._pos = self._call("position", limited=False)

    def __del__(self) -> None:
        # The server is told without waiting, when the native file goes.
        with contextlib.suppress(Exception):
            if not self._closed and self._wbuffer:
                self._call("write", bytes(self._wbuffer))

    def _call(self, method: str, *args: Any, limited: bool = True) -> Any:
        limit = (self.sftp._limit(),) if limited else ()
        try:
            with self._lock:
                return getattr(self._native, method)(*args, *limit)
        except NativeError as error:
            raise of_native(error) from None

    def _check_open(self) -> None:
        if self._closed:
            raise OSError("File is closed")

    def close(self) -> None:
        """Write what is in the buffer and close; raise what the server has against any write."""
        if self._closed:
            return
        try:
            super().close()
        finally:
            self._call("close")

    # Reading and writing.

    def _read(self, size: int) -> bytes:
        return bytes(self._call("read", size))

    def _write(self, data: bytes) -> int:
        self._call("write", data)
        return len(data)

    def _check_read(self) -> None:
        super()._check_read()
        if self._wbuffer:
            self._write_out()

    def read(self, size: int | None = None) -> bytes:
        """At most so many bytes, all until the end if there is no size; fewer only at the end."""
        if size is not None and size >= 0:
            return super().read(size)
        self._check_read()
        ahead = bytes(self._rbuffer)
        self._rbuffer.clear()
        data = ahead + bytes(self._call("read_rest"))
        self._pos += len(data)
        return data

    def write(self, data: Any) -> None:
        """Write bytes, or text as UTF-8, at the position."""
        self._to_position()
        data = asbytes(data)
        if self._bufsize or not isinstance(data, bytes) or self._closed or not self._writable:
            super().write(data)
        else:
            self._call("write", data)
            self._pos += len(data)

    def _to_position(self) -> None:
        """Forget what was read for lines that nobody has taken yet."""
        if self._rbuffer:
            self._rbuffer.clear()
            self._call("seek", self._pos)

    def flush(self) -> None:
        """Write what is in the buffer, and wait until the server has all that was written."""
        super().flush()
        if self._writable and not self._closed:
            self._call("settle")

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = 0) -> None:
        """Go to a position: from the begin (0), from here (1) or from the end (2)."""
        self._check_open()
        self._write_out()
        if whence == self.SEEK_CUR:
            offset += self._pos
        elif whence == self.SEEK_END:
            offset += self._size()
        if offset < 0:
            raise OSError(22, "a position before the file's begin")
        self._rbuffer.clear()
        self._after_return = False
        self._call("seek", offset)
        self._pos = offset

    SEEK_SET, SEEK_CUR, SEEK_END = range(3)

    def tell(self) -> int:
        """The position."""
        return self._pos

    def _size(self) -> int:
        return self.stat().st_size or 0

    def prefetch(
        self, file_size: int | None = None, max_concurrent_requests: int | None = None
    ) -> None:
        """Begin to read all from here on, up to `file_size`; at most so many requests at once."""
        self._check_read()
        self._to_position()
        self._call("prefetch", file_size, max_concurrent_requests)

    def readv(
        self,
        chunks: Sequence[tuple[int, int]],
        max_concurrent_prefetch_requests: int | None = None,
    ) -> Iterator[bytes]:
        """Read these stretches, each an offset and a length, many at once; their data in order,
        shorter where the file ends. How many are under way is the session's own affair."""
        self._check_read()
        return self._stretches(self._call("ranges", list(chunks)))

    def _stretches(self, ranges: Any) -> Iterator[bytes]:
        while True:
            try:
                data = ranges.next(self.sftp._limit())
            except NativeError as error:
                raise of_native(error) from None
            if data is None:
                return
            yield data

    def set_pipelined(self, pipelined: bool = True) -> None:
        """Keep what is said in `pipelined`. Writes are never waited for one by one."""
        self.pipelined = pipelined

    # Attributes.

    def stat(self) -> SFTPAttributes:
        """The attributes, after all writes."""
        self._check_open()
        self._write_out()
        return SFTPAttributes._from_fields(self._call("stat"))

    def _set(self, fields: tuple[Any, ...]) -> None:
        self._check_open()
        self._write_out()
        self._call("set_stat", fields)

    def chmod(self, mode: int) -> None:
        """Set the permissions."""
        self._set((None, None, mode, None, []))

    def chown(self, uid: int, gid: int) -> None:
        """Set the numbers of user and group."""
        self._set((None, (uid, gid), None, None, []))

    def utime(self, times: tuple[float, float] | None) -> None:
        """Set the times of access and change, in seconds since 1970; None is now."""
        from .sftp_client import _seconds

        self._set((None, None, None, _seconds(times), []))

    def truncate(self, size: int) -> None:
        """Set the size."""
        self._set((size, None, None, None, []))

    def check(
        self, hash_algorithm: str, offset: int = 0, length: int = 0, block_size: int = 0
    ) -> bytes:
        """Hashes that the server makes of `length` bytes (0: all) from `offset` on, one for each
        block of `block_size` bytes (0: one). OSError if it cannot; OpenSSH's cannot."""
        self._check_open()
        handle, name = self._call("handle", limited=False), hash_algorithm.encode()
        fields = strings(handle, name) + struct.pack(">QQI", offset, length, block_size)
        answer = self.sftp._call("extended", b"check-file", fields)
        for _ in range(2):
            size = int.from_bytes(answer[:4], "big")
            if len(answer) < 4 + size:
                raise SFTPError("the answer to check-file is too short")
            answer = answer[4 + size :]
        return bytes(answer)

    # Time limits: those of the channel, for all files of the session.

    def settimeout(self, timeout: float | None) -> None:
        """How long calls wait for an answer, in seconds; of all of the session."""
        self.sftp.sock.settimeout(timeout)

    def gettimeout(self) -> float | None:
        """How long that is."""
        return self.sftp.sock.gettimeout()

    def setblocking(self, blocking: bool) -> None:
        """`settimeout(None)` or `settimeout(0)`."""
        self.sftp.sock.setblocking(blocking)
