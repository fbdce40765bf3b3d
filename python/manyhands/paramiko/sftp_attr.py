"""What is known of a file on a server: fields as of ``os.stat_result``, None where not known."""

from __future__ import annotations

import stat
import time
from typing import Any

__all__ = ["SFTPAttributes"]

_KINDS = {
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFDIR: "d",
    stat.S_IFBLK: "b",
    stat.S_IFREG: "-",
    stat.S_IFLNK: "l",
    stat.S_IFSOCK: "s",
}

# Servers send this for a time that they do not know.
_UNKNOWN_TIME = 0xFFFFFFFF

_HALF_A_YEAR = 180 * 24 * 60 * 60


class SFTPAttributes:
    """The attributes of a file.

    They are ``st_size`` (bytes), ``st_uid``, ``st_gid``, ``st_mode``, ``st_atime`` and ``st_mtime``
    (seconds). What is None is not known or, where attributes are to be changed, stays as it is.
    ``attr`` has what only some servers know, by name. Entries of a directory have ``filename``,
    and ``longname``, the server's own line for it, too.
    """

    FLAG_SIZE = 1
    FLAG_UIDGID = 2
    FLAG_PERMISSIONS = 4
    FLAG_AMTIME = 8
    FLAG_EXTENDED = 0x80000000

    filename: str
    longname: str

    def __init__(self) -> None:
        self._flags = 0
        self.st_size: int | None = None
        self.st_uid: int | None = None
        self.st_gid: int | None = None
        self.st_mode: int | None = None
        self.st_atime: float | None = None
        self.st_mtime: float | None = None
        self.attr: dict[Any, Any] = {}

    @classmethod
    def from_stat(cls, obj: Any, filename: str | None = None) -> SFTPAttributes:
        """The attributes that *obj*, the result of ``os.stat``, has."""
        attr = cls()
        for name in ("st_size", "st_uid", "st_gid", "st_mode", "st_atime", "st_mtime"):
            setattr(attr, name, getattr(obj, name))
        if filename is not None:
            attr.filename = filename
        return attr

    @classmethod
    def _from_fields(
        cls,
        fields: tuple[
            int | None,
            tuple[int, int] | None,
            int | None,
            tuple[int, int] | None,
            list[tuple[bytes, bytes]],
        ],
        filename: str | None = None,
        longname: str | None = None,
    ) -> SFTPAttributes:
        """From size, owner, mode, times and extensions, as a server told them."""
        attr = cls()
        size, owner, mode, times, extended = fields
        attr.st_size, attr.st_mode = size, mode
        if owner is not None:
            attr.st_uid, attr.st_gid = owner
        if times is not None:
            attr.st_atime, attr.st_mtime = times
        attr.attr = dict(extended)
        attr._flags = attr._known()
        if filename is not None:
            attr.filename = filename
        if longname is not None:
            attr.longname = longname
        return attr

    def _known(self) -> int:
        """The flags of what is known. Owner and group, and the two times, only go together."""
        flags = 0
        if self.st_size is not None:
            flags |= self.FLAG_SIZE
        if self.st_uid is not None and self.st_gid is not None:
            flags |= self.FLAG_UIDGID
        if self.st_mode is not None:
            flags |= self.FLAG_PERMISSIONS
        if self.st_atime is not None and self.st_mtime is not None:
            flags |= self.FLAG_AMTIME
        if self.attr:
            flags |= self.FLAG_EXTENDED
        return flags

    def __repr__(self) -> str:
        return f"<SFTPAttributes: {self._debug_str()}>"

    def _debug_str(self) -> str:
        words = ["["]
        if self.st_size is not None:
            words.append(f"size={self.st_size}")
        if self.st_uid is not None and self.st_gid is not None:
            words.append(f"uid={self.st_uid} gid={self.st_gid}")
        if self.st_mode is not None:
            words.append(f"mode={oct(self.st_mode)}")
        if self.st_atime is not None and self.st_mtime is not None:
            words.append(f"atime={self.st_atime} mtime={self.st_mtime}")
        words.extend(f'"{name}"={value!r}' for name, value in self.attr.items())
        words.append("]")
        return " ".join(words)

    def __str__(self) -> str:
        """A line as of ``ls -l``; the number of links, which servers do not tell, is 1."""
        return "%s   1 %-8d %-8d %8d %-12s %s" % (  # noqa: UP031 - None of these is a string's width
            _mode_string(self.st_mode),
            self.st_uid or 0,
            self.st_gid or 0,
            self.st_size or 0,
            _date_string(self.st_mtime),
            getattr(self, "filename", "?"),
        )

    def asbytes(self) -> bytes:
        """``str()`` in UTF-8."""
        return str(self).encode()


def _mode_string(mode: int | None) -> str:
    if mode is None:
        return "?---------"
    kind = _KINDS.get(stat.S_IFMT(mode), "?")
    user = _rwx(mode >> 6, bool(mode & stat.S_ISUID), "sS")
    group = _rwx(mode >> 3, bool(mode & stat.S_ISGID), "sS")
    return kind + user + group + _rwx(mode, bool(mode & stat.S_ISVTX), "tT")


def _rwx(bits: int, special: bool, letters: str) -> str:
    """Three letters of a mode; *letters*: a special bit with and without that of execution."""
    executes = bool(bits & 1)
    last = letters[not executes] if special else "-x"[executes]
    return "-r"[bits >> 2 & 1] + "-w"[bits >> 1 & 1] + last


def _date_string(moment: float | None) -> str:
    if moment is None or moment == _UNKNOWN_TIME:
        return "(unknown date)"
    is_near = abs(time.time() - moment) <= _HALF_A_YEAR
    return time.strftime("%d %b %H:%M" if is_near else "%d %b %Y", time.localtime(moment))
