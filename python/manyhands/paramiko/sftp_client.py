"""Files on a server."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, cast

from manyhands._native import sftp as _native

from .channel import Channel
from .sftp import (
    SFTP_FLAG_APPEND,
    SFTP_FLAG_CREATE,
    SFTP_FLAG_EXCL,
    SFTP_FLAG_READ,
    SFTP_FLAG_TRUNC,
    SFTP_FLAG_WRITE,
    NativeError,
    SFTPError,
    of_native,
    strings,
)
from .sftp_attr import SFTPAttributes
from .sftp_file import SFTPFile
from .util import ClosingContextManager

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .transport import Transport

__all__ = ["SFTP", "SFTPClient", "SFTPError"]

_Path = str | bytes | os.PathLike[Any]
_Progress = Callable[[int, int], object]

#: How many files `get_many` and `put_many` have under way.
_AT_ONCE = 64


def _bytes_of(path: _Path) -> bytes:
    path = os.fspath(path)
    return path.encode("utf-8", "surrogateescape") if isinstance(path, str) else bytes(path)


def _text(name: bytes) -> str:
    """Bytes that are no UTF-8 come as lone surrogates, as from `os.listdir`, and go back as they
    were."""
    return name.decode("utf-8", "surrogateescape")


def _flags(mode: str) -> int:
    flags = 0
    if "r" in mode or "+" in mode:
        flags |= SFTP_FLAG_READ
    if "w" in mode or "+" in mode or "a" in mode:
        flags |= SFTP_FLAG_WRITE
    if "w" in mode:
        flags |= SFTP_FLAG_CREATE | SFTP_FLAG_TRUNC
    if "a" in mode:
        flags |= SFTP_FLAG_CREATE | SFTP_FLAG_APPEND
    if "x" in mode:
        flags |= SFTP_FLAG_CREATE | SFTP_FLAG_EXCL
    return flags


class SFTPClient(ClosingContextManager):
    """A session for files, over a channel on which the subsystem "sftp" runs.

    Any number of threads and greenlets may use it at once: their requests are under way together.
    Paths are text, in UTF-8, or bytes. Names that are no UTF-8 come as `os.listdir` gives them. The
    timeout of the channel (`get_channel().settimeout`) is how long a call waits for an answer.

    What the server refuses is an `OSError`, with `errno` if it is ENOENT or EACCES. When the
    connection ends, all calls raise `SSHException`.
    """

    def __init__(self, sock: Channel) -> None:
        if not isinstance(sock, Channel):
            raise TypeError(f"SFTPClient needs a Channel, not {type(sock).__name__}")
        self.sock = sock
        self._cwd: bytes | None = None
        try:
            self._native = _native.Client.begin(sock._native, self._limit())
        except NativeError as error:
            raise of_native(error) from None

    @classmethod
    def from_transport(
        cls, t: Transport, window_size: int | None = None, max_packet_size: int | None = None
    ) -> SFTPClient | None:
        """A session over a new channel of the connection. The sizes are ignored: the window is as
        large as is of use."""
        channel = t.open_session(window_size=window_size, max_packet_size=max_packet_size)
        if channel is None:
            return None
        try:
            channel.invoke_subsystem("sftp")
            return cls(channel)
        except BaseException:
            channel.close()
            raise

    def _limit(self) -> float | None:
        limit = self.sock.gettimeout()
        return limit if limit is None else max(limit, 1e-6)

    def _call(self, method: str, *args: Any) -> Any:
        try:
            return getattr(self._native, method)(*args, self._limit())
        except NativeError as error:
            raise of_native(error) from None

    def close(self) -> None:
        """End the session, and close its channel."""
        self._native.close()
        self.sock.close()

    def get_channel(self) -> Channel:
        """The channel."""
        return self.sock

    def _path(self, path: _Path) -> bytes:
        """As the server is to be told it."""
        given = _bytes_of(path)
        if self._cwd is None or given.startswith(b"/"):
            return given
        return self._cwd.rstrip(b"/") + b"/" + given

    # Directories.

    def listdir(self, path: _Path = ".") -> list[str]:
        """The names in a directory, without "." and "..", in no order."""
        return [_text(name) for name, _, _ in self._call("list", self._path(path))]

    def listdir_attr(self, path: _Path = ".") -> list[SFTPAttributes]:
        """As `listdir`, with attributes: each has `filename` and `longname`, too."""
        return [_entry(*listed) for listed in self._call("list", self._path(path))]

    def listdir_iter(self, path: _Path = b".", read_aheads: int = 50) -> Iterator[SFTPAttributes]:
        """As `listdir_attr`, as they come. How many requests are under way is the session's own
        affair, whatever `read_aheads` is."""
        entries = self._call("entries", self._path(path))
        return self._each(entries)

    def _each(self, entries: Any) -> Iterator[SFTPAttributes]:
        while True:
            try:
                listed = entries.next(self._limit())
            except NativeError as error:
                raise of_native(error) from None
            if listed is None:
                return
            yield _entry(*listed)

    def mkdir(self, path: _Path, mode: int = 0o777) -> None:
        """Make a directory."""
        self._call("mkdir", self._path(path), mode)

    def rmdir(self, path: _Path) -> None:
        """Remove an empty directory."""
        self._call("rmdir", self._path(path))

    def chdir(self, path: _Path | None = None) -> None:
        """Have paths be relative to this directory from now on; to the server's own one if it is
        None. SFTPError if it is no directory."""
        if path is None:
            self._cwd = None
            return
        mode = self.stat(path).st_mode
        if mode is None or not stat.S_ISDIR(mode):
            code = errno.ENOTDIR
            raise SFTPError(code, f"{os.strerror(code)}: {path!r}")
        self._cwd = cast("bytes", self._call("realpath", self._path(path)))

    def getcwd(self) -> str | None:
        """What was last given to `chdir`, without links and dots."""
        return None if self._cwd is None else _text(self._cwd)

    def normalize(self, path: _Path) -> str:
        """The absolute path, without links and dots."""
        return _text(self._call("realpath", self._path(path)))

    # Names and attributes.

    def remove(self, path: _Path) -> None:
        """Remove a file."""
        self._call("remove", self._path(path))

    unlink = remove

    def rename(self, oldpath: _Path, newpath: _Path) -> None:
        """Rename; OSError if the new name is there already."""
        self._call("rename", self._path(oldpath), self._path(newpath))

    def posix_rename(self, oldpath: _Path, newpath: _Path) -> None:
        """Rename; what has the new name is replaced. OSError if the server cannot do that."""
        # Some servers know it and do not say so.
        paths = (self._path(oldpath), self._path(newpath))
        self._call("extended", b"posix-rename@openssh.com", strings(*paths))

    def stat(self, path: _Path) -> SFTPAttributes:
        """The attributes of a file, or of what a link leads to."""
        return SFTPAttributes._from_fields(self._call("stat", self._path(path)))

    def lstat(self, path: _Path) -> SFTPAttributes:
        """The attributes of a file, or of a link itself."""
        return SFTPAttributes._from_fields(self._call("lstat", self._path(path)))

    def symlink(self, source: _Path, dest: _Path) -> None:
        """Make a link `dest` that leads to `source`."""
        self._call("symlink", _bytes_of(source), self._path(dest))

    def readlink(self, path: _Path) -> str | None:
        """What a link leads to."""
        return _text(self._call("readlink", self._path(path)))

    def chmod(self, path: _Path, mode: int) -> None:
        """Set the permissions."""
        self._call("set_stat", self._path(path), (None, None, mode, None, []))

    def chown(self, path: _Path, uid: int, gid: int) -> None:
        """Set the numbers of user and group."""
        self._call("set_stat", self._path(path), (None, (uid, gid), None, None, []))

    def utime(self, path: _Path, times: tuple[float, float] | None) -> None:
        """Set the times of access and change, in seconds since 1970; None is now."""
        self._call("set_stat", self._path(path), (None, None, None, _seconds(times), []))

    def truncate(self, path: _Path, size: int) -> None:
        """Set the size of a file."""
        self._call("set_stat", self._path(path), (size, None, None, None, []))

    # Files.

    def open(self, filename: _Path, mode: str = "r", bufsize: int = -1) -> SFTPFile:
        """Open a file. `mode` is as of Python's `open`, with "x" for one that must not exist.

        Who reads on and on is read ahead for, and writes are not waited for: see `SFTPFile`.
        """
        native = self._call("open", self._path(filename), _flags(mode))
        return SFTPFile(self, native, mode, bufsize)

    file = open

    def get(
        self,
        remotepath: _Path,
        localpath: _Path,
        callback: _Progress | None = None,
        prefetch: bool = True,
        max_concurrent_prefetch_requests: int | None = None,
    ) -> None:
        """Copy a file from the server.

        `callback(bytes so far, all bytes)` is called now and then. When it raises, or anything
        fails, what has been copied stays in the local file. OSError if that has another size.
        """
        with open(localpath, "wb", buffering=0) as local:
            size = self._get(
                remotepath, local.fileno(), callback, prefetch, max_concurrent_prefetch_requests
            )
            actual = os.fstat(local.fileno()).st_size
        if stat.S_ISREG(os.stat(localpath).st_mode) and actual != size:
            raise OSError(f"size mismatch in get!  {actual} != {size}")

    def getfo(
        self,
        remotepath: _Path,
        fl: IO[bytes],
        callback: _Progress | None = None,
        prefetch: bool = True,
        max_concurrent_prefetch_requests: int | None = None,
    ) -> int:
        """Copy a file from the server to what has `write(bytes)`; the number of bytes."""
        return self._get(remotepath, fl, callback, prefetch, max_concurrent_prefetch_requests)

    def _get(
        self, path: _Path, target: Any, callback: Any, prefetch: bool, most: int | None
    ) -> int:
        most = most if prefetch else 1
        return cast("int", self._call("get", self._path(path), target, most, callback))

    def put(
        self,
        localpath: _Path,
        remotepath: _Path,
        callback: _Progress | None = None,
        confirm: bool = True,
    ) -> SFTPAttributes:
        """Copy a file to the server; its attributes there.

        With `confirm` the size is compared afterwards, and OSError raised if it is another.
        """
        with open(localpath, "rb", buffering=0) as local:
            size = os.fstat(local.fileno()).st_size
            return self._put(local.fileno(), remotepath, size, callback, confirm)

    def putfo(
        self,
        fl: IO[bytes],
        remotepath: _Path,
        file_size: int = 0,
        callback: _Progress | None = None,
        confirm: bool = True,
    ) -> SFTPAttributes:
        """As `put`, from what has `read(count)`. `file_size` is only for the callback."""
        return self._put(fl, remotepath, file_size, callback, confirm)

    def _put(
        self, source: Any, path: _Path, size: int, callback: Any, confirm: bool
    ) -> SFTPAttributes:
        fields = self._call("put", source, self._path(path), size, confirm, callback)
        return SFTPAttributes._from_fields(fields)

    def get_many(
        self,
        pairs: Iterable[tuple[_Path, _Path]],
        *,
        at_once: int = _AT_ONCE,
        callback: _Progress | None = None,
    ) -> list[int | Exception]:
        """Copy files from the server, each a remote and a local path, many at once.

        Of each, in their order, the number of bytes, or the exception why it failed: the others are
        copied all the same. `callback(files done, all files)` is called after each.
        """
        files = [(self._path(remote), os.fspath(local)) for remote, local in pairs]
        return self._many(False, files, at_once, callback)

    def put_many(
        self,
        pairs: Iterable[tuple[_Path, _Path]],
        *,
        at_once: int = _AT_ONCE,
        callback: _Progress | None = None,
    ) -> list[int | Exception]:
        """As `get_many`, to the server: each pair is a local and a remote path."""
        files = [(self._path(remote), os.fspath(local)) for local, remote in pairs]
        return self._many(True, files, at_once, callback)

    def _many(
        self, puts: bool, files: list[tuple[bytes, Any]], at_once: int, callback: Any
    ) -> list[int | Exception]:
        if at_once < 1:
            raise ValueError(f"at_once is to be at least 1, not {at_once}")
        outcomes = self._call("transfer_many", puts, files, at_once, callback)
        return [of_native(it) if isinstance(it, NativeError) else it for it in outcomes]


class SFTP(SFTPClient):
    """An older name of `SFTPClient`."""


def _entry(name: bytes, long_name: bytes, fields: Any) -> SFTPAttributes:
    return SFTPAttributes._from_fields(fields, _text(name), _text(long_name))


def _seconds(times: tuple[float, float] | None) -> tuple[int, int]:
    if times is None:
        now = int(time.time())
        return now, now
    access, change = times
    return int(access), int(change)
