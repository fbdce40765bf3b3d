"""The keys that hosts are known to have: files in the form of OpenSSH's `known_hosts`."""

from __future__ import annotations

import fnmatch
import os
import re
from base64 import b64decode, b64encode
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from .pkey import PKey, UnknownKeyType
from .ssh_exception import SSHException
from .util import constant_time_bytes_eq, get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_CERT_AUTHORITY = "@cert-authority"
_REVOKED = "@revoked"
_MARKERS = (_CERT_AUTHORITY, _REVOKED)
_HASHED = "|1|"
_BLANKS = " \t\r\n"


class HostKeys(MutableMapping[str, Any]):
    """Keys by host: `keys["example.com"]["ssh-ed25519"]`.

    Unlike paramiko's, patterns (`*.example.com`, `!bad.example.com`) and lines with a marker are
    understood: a key that is `@revoked` for a host is not its key, and those of `@cert-authority`
    are in `authorities`. Comments and lines that cannot be understood are written back by `save`.
    """

    def __init__(self, filename: str | None = None) -> None:
        """No keys, or those of a file."""
        self._entries: list[HostKeyEntry] = []
        # Everything that was read, so that it is there when it is written: lines, and the entries
        # they became.
        self._read: list[str | HostKeyEntry] = []
        if filename is not None:
            self.load(filename)

    def add(self, hostname: str, keytype: str, key: PKey) -> None:
        """Let a host have this key instead of any other of its type."""
        for entry in self._entries:
            if not entry.marker and hostname in entry.hostnames and entry.is_of(keytype):
                entry.key = key
                return
        self._entries.append(HostKeyEntry([hostname], key))

    def load(self, filename: str) -> None:
        """Add the keys of a file. OSError if it cannot be read."""
        known = {
            (name, entry.key.asbytes())
            for entry in self._entries
            if not entry.marker and entry.key is not None
            for name in entry.hostnames
        }
        with open(filename, errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                self._read.append(self._understood(line.strip(_BLANKS), number, known) or line)

    def _understood(
        self, line: str, number: int, known: set[tuple[str, bytes]]
    ) -> HostKeyEntry | None:
        """The entry that a line is, if it is one; `known` are names and their keys."""
        if not line or line.startswith("#"):
            return None
        try:
            entry = HostKeyEntry.from_line(line, number)
        except (SSHException, InvalidHostKey) as error:
            get_logger("paramiko.hostkeys").info("Line %d is no host key: %s", number, error)
            return None
        if entry is None or entry.key is None:
            return None
        if not entry.marker:
            # Those that are there already add nothing.
            key = entry.key.asbytes()
            new = [name for name in entry.hostnames if (name, key) not in known]
            if not new:
                return entry
            entry.hostnames = new
            known.update((name, key) for name in new)
        self._entries.append(entry)
        return entry

    def save(self, filename: str) -> None:
        """Write all keys to a file, in the order in which they came, with the lines that are no
        keys."""
        kept = {id(entry) for entry in self._entries}
        lines: list[str | None] = []
        for item in self._read:
            if isinstance(item, str):
                lines.append(item if item.endswith("\n") else item + "\n")
            elif id(item) in kept:
                kept.discard(id(item))
                lines.append(item.to_line())
        lines += [entry.to_line() for entry in self._entries if id(entry) in kept]
        with open(filename, "w", errors="surrogateescape") as file:
            file.writelines(line for line in lines if line)

    def lookup(self, hostname: str) -> MutableMapping[str, Any] | None:
        """The host's keys by their type; None if there are none."""
        entries = [entry for entry in self._entries if self._hostname_matches(hostname, entry)]
        return _KeysOfHost(hostname, entries, self) if entries else None

    def _hostname_matches(self, hostname: str, entry: HostKeyEntry) -> bool:
        return not entry.marker and entry.matches(hostname)

    def check(self, hostname: str, key: PKey) -> bool:
        """Whether this is a key of the host, and not revoked."""
        return any(
            entry.key is not None
            and entry.is_of(key.get_name())
            and entry.key.asbytes() == key.asbytes()
            for entry in self._entries
            if self._hostname_matches(hostname, entry)
        ) and not self.is_revoked(hostname, key)

    def is_revoked(self, hostname: str, key: PKey) -> bool:
        """Whether a `@revoked` line for the host has this key."""
        return any(
            entry.key is not None and entry.key.asbytes() == key.asbytes()
            for entry in self._entries
            if entry.marker == _REVOKED and entry.matches(hostname)
        )

    def authorities(self, hostname: str) -> list[PKey]:
        """The keys whose certificates hold for the host, of `@cert-authority` lines."""
        return [
            entry.key
            for entry in self._entries
            if entry.marker == _CERT_AUTHORITY and entry.key and entry.matches(hostname)
        ]

    def clear(self) -> None:
        """Forget everything."""
        self._entries = []
        self._read = []

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __getitem__(self, key: str) -> MutableMapping[str, Any]:
        found = self.lookup(key)
        if found is None:
            raise KeyError(key)
        return found

    def __delitem__(self, key: str) -> None:
        for entry in self._entries:
            if self._hostname_matches(key, entry):
                self._entries.remove(entry)
                return
        raise KeyError(key)

    def __setitem__(self, hostname: str, entry: Mapping[str, PKey]) -> None:
        if not entry:
            self._entries.append(HostKeyEntry([hostname], None))
        for keytype, key in entry.items():
            self.add(hostname, keytype, key)

    def keys(self) -> list[str]:  # type: ignore[override]  # A list, as in paramiko.
        """The names, as they are written: patterns and hashes, too, but not what is excluded."""
        named = (
            name
            for entry in self._entries
            if not entry.marker
            for name in entry.hostnames
            if not name.startswith("!") and entry.matches(name)
        )
        return list(dict.fromkeys(named))

    def values(self) -> list[Any]:  # type: ignore[override]  # A list, as in paramiko.
        """What each of the names has."""
        return [self.lookup(name) for name in self.keys()]

    @staticmethod
    def hash_host(hostname: str, salt: str | None = None) -> str:
        """A name as `|1|salt|hash`, so that the file does not tell which hosts are known.

        `salt` is 20 bytes in base64, or a hashed name whose salt is taken; a random one if None.
        """
        import hmac
        from hashlib import sha1

        if salt is None:
            raw = os.urandom(sha1().digest_size)
        else:
            raw = b64decode(salt.split("|")[2] if salt.startswith(_HASHED) else salt)
        assert len(raw) == sha1().digest_size
        digest = hmac.new(raw, hostname.encode("utf-8", "surrogateescape"), sha1).digest()
        return f"{_HASHED}{b64encode(raw).decode()}|{b64encode(digest).decode()}"


class _KeysOfHost(MutableMapping[str, Any]):
    """The keys of one host by type; what is set here is set in the `HostKeys`."""

    def __init__(self, hostname: str, entries: list[HostKeyEntry], hostkeys: HostKeys) -> None:
        self._hostname = hostname
        self._entries = entries
        self._hostkeys = hostkeys

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def _entry(self, keytype: str) -> HostKeyEntry | None:
        return next((entry for entry in self._entries if entry.is_of(keytype)), None)

    def __getitem__(self, keytype: str) -> PKey:
        entry = self._entry(keytype)
        if entry is None or entry.key is None:
            raise KeyError(keytype)
        return entry.key

    def __setitem__(self, keytype: str, key: PKey) -> None:
        entry = self._entry(keytype)
        if entry is not None:
            entry.key = key
            return
        entry = HostKeyEntry([self._hostname], key)
        self._entries.append(entry)
        self._hostkeys._entries.append(entry)

    def __delitem__(self, keytype: str) -> None:
        entry = self._entry(keytype)
        if entry is None:
            raise KeyError(keytype)
        self._entries.remove(entry)

    def keys(self) -> list[str]:  # type: ignore[override]  # A list, as in paramiko.
        """The types, in the order of the file; None for a name without a key is left out."""
        return [entry.key.get_name() for entry in self._entries if entry.key is not None]


class InvalidHostKey(Exception):
    """A line's key is not base64."""

    def __init__(self, line: str, exc: Exception) -> None:
        super().__init__(line, exc)
        self.line = line
        self.exc = exc


class HostKeyEntry:
    """A line: names or patterns, and the key that they have."""

    def __init__(self, hostnames: Iterable[str] | None = None, key: PKey | None = None) -> None:
        """An entry; `valid` is False, and nothing is written, unless it has both."""
        self.valid = hostnames is not None and key is not None
        self.hostnames = list(hostnames or ())
        self.key = key
        self.marker = ""
        self.comment = ""

    @classmethod
    def from_line(cls, line: str, lineno: int | None = None) -> HostKeyEntry | None:
        """What a line without white space around it says; None if it has too few fields or an
        unknown type of key.

        Raises `InvalidHostKey` if the key is not base64, `SSHException` if it is no key of its
        type.
        """
        log = get_logger("paramiko.hostkeys")
        first, *rest = re.split("[ \t]+", line, maxsplit=1)
        marker, line = (first, "".join(rest)) if first in _MARKERS else ("", line)
        fields = re.split("[ \t]+", line, maxsplit=3)
        hostnames = [name for name in fields[0].split(",") if name]
        # What would be a marker or a comment at the beginning of a line is no name.
        if len(fields) < 3 or not hostnames or any(name[0] in "@#" for name in hostnames):
            log.info("Not enough fields found in known_hosts in line %s (%r)", lineno, line)
            return None
        key_type, encoded = fields[1:3]
        try:
            blob = b64decode(encoded)
        except ValueError as error:
            raise InvalidHostKey(line, error) from error
        try:
            entry = cls(hostnames, PKey.from_type_string(key_type, blob))
        except UnknownKeyType:
            log.info("Unable to handle key of type %s", key_type)
            return None
        entry.marker = marker
        entry.comment = fields[3] if len(fields) > 3 else ""
        return entry

    def is_of(self, keytype: str) -> bool:
        """Whether the key has this type."""
        return self.key is not None and self.key.get_name() == keytype

    def matches(self, hostname: str) -> bool:
        """Whether the line is about that host (`[host]:port` if the port is not 22)."""
        matched = False
        for name in self.hostnames:
            if name.startswith("!"):
                if _matches(name[1:], hostname):
                    return False
            elif not matched:
                matched = _matches(name, hostname)
        return matched

    def to_line(self) -> str | None:
        """The line, with its end; None if there is no key."""
        if not self.valid or self.key is None:
            return None
        fields = [
            self.marker,
            ",".join(self.hostnames),
            self.key.get_name(),
            self.key.get_base64(),
            self.comment,
        ]
        return " ".join(filter(None, fields)) + "\n"

    def __repr__(self) -> str:
        return f"<HostKeyEntry {self.hostnames!r}: {self.key!r}>"


def _matches(name: str, hostname: str) -> bool:
    if name == hostname:
        return True
    if name.startswith(_HASHED):
        return not hostname.startswith(_HASHED) and _is_hash_of(name, hostname)
    if "*" not in name and "?" not in name:
        return name.lower() == hostname.lower()
    # Brackets mean themselves: they are around a name that has a port.
    return fnmatch.fnmatchcase(hostname.lower(), name.lower().replace("[", "[[]"))


def _is_hash_of(name: str, hostname: str) -> bool:
    try:
        return constant_time_bytes_eq(HostKeys.hash_host(hostname, name), name)
    except (AssertionError, IndexError, ValueError):
        return False
