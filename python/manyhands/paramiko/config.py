"""The configuration of OpenSSH's client: `Host`, `Match`, `Include`, tokens, canonical names."""

from __future__ import annotations

import fnmatch
import getpass
import glob
import hashlib
import os
import re
import shlex
import socket
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar

from . import _config_match
from .ssh_exception import ConfigParseError, CouldNotCanonicalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Self

SSH_PORT = 22

# As many as OpenSSH follows.
_DEEPEST_INCLUDE = 16
_LISTS = ("identityfile", "localforward", "remoteforward")
_ALL_TOKENS = ["%%", "%C", "%d", "%h", "%i", "%j", "%k", "%L", "%l", "%n", "%p", "%r", "%u"]
_TILDE = "~"
# What stands for the home directory begins a word and ends a part of a path.
_TOKEN = re.compile(r"""%.|(?<![^\s=:"'])~(?![^/\s"'])""")

# Runs the commands of `Match exec`. A program may set another here, with invoke's way to be
# called; None forbids them.
invoke: Any = _config_match.Commands
invoke_import_error: ImportError = ImportError("Match exec is switched off: config.invoke is None")


class SSHConfig:
    """Sections of options, from which `lookup` takes those that hold for a host.

    `Include` is followed where a configuration comes from a file or says the whole path; a
    relative path is one in
    `~/.ssh`, as for OpenSSH.
    """

    SETTINGS_REGEX = re.compile(r"(\w+)(?:\s*=\s*|\s+)(.+)")

    TOKENS_BY_CONFIG_KEY: ClassVar[dict[str, list[str]]] = {
        "certificatefile": [_TILDE, *_ALL_TOKENS],
        "controlpath": [_TILDE, *_ALL_TOKENS],
        "hostname": ["%%", "%h"],
        "identityagent": [_TILDE, *_ALL_TOKENS],
        "identityfile": [_TILDE, *_ALL_TOKENS],
        "localcommand": _ALL_TOKENS,
        "match-exec": _ALL_TOKENS,
        "proxycommand": [_TILDE, "%%", "%h", "%n", "%p", "%r"],
        "proxyjump": ["%%", "%h", "%n", "%p", "%r"],
        "remotecommand": _ALL_TOKENS,
        "userknownhostsfile": [_TILDE, *_ALL_TOKENS],
    }

    def __init__(self) -> None:
        """An empty configuration, for `parse`; `from_path`, `from_file` and `from_text` are
        shorter."""
        self._config: list[dict[str, Any]] = []

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The configuration that a text is."""
        return cls.from_file(StringIO(text))

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> Self:
        """The configuration of the file there."""
        with open(path, errors="surrogateescape") as file:
            return cls.from_file(file)

    @classmethod
    def from_file(cls, flo: Iterable[str]) -> Self:
        """The configuration of an open file."""
        config = cls()
        config.parse(flo)
        return config

    def parse(self, file_obj: Iterable[str]) -> None:
        """Add the sections of an open file.

        Raises `ConfigParseError` for a line that is no option, or a `Match` that cannot be; OSError
        if a file that is included cannot be read.
        """
        self._parse(file_obj, [], 0)

    def _parse(self, lines: Iterable[str], within: list[dict[str, Any]], depth: int) -> None:
        section = _section({"host": ["*"]}, within)
        for line in lines:
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            match = self.SETTINGS_REGEX.match(line)
            if match is None:
                raise ConfigParseError(f"Unparsable line {line}")
            key, value = match[1].lower(), match[2]
            if key == "host":
                self._config.append(section)
                section = _section({"host": self._get_hosts(value)}, within)
            elif key == "match":
                self._config.append(section)
                section = _section({"matches": self._get_matches(value)}, within)
            elif key == "include":
                self._config.append(section)
                self._include(value, [*within, section], depth)
                # What follows holds where the section does, after what was included.
                section = {**section, "config": {}, "goes_on": section}
            else:
                _set(section["config"], key, value)
        self._config.append(section)

    def _include(self, value: str, within: list[dict[str, Any]], depth: int) -> None:
        if depth >= _DEEPEST_INCLUDE:
            raise ConfigParseError(f"Include {value}: files include each other too deeply")
        for pattern in _split(value, "include"):
            if "\0" in pattern:
                raise ConfigParseError(f"Include {value!r}: no name of a file")
            path = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(pattern))
            for name in sorted(glob.glob(path)):
                if os.path.isdir(name):
                    continue
                with open(name, errors="surrogateescape") as file:
                    self._parse(file, within, depth + 1)

    def lookup(self, hostname: str) -> SSHConfigDict:
        """What the configuration says of a host, keys in lower case; the first value of an option
        is the one that counts.

        `hostname` is in there in any case. Raises `CouldNotCanonicalize` if the name has to be
        found in a domain and is in none, `ConfigParseError` if `CanonicalizeMaxDots` is no number.
        """
        options = self._lookup(hostname, SSHConfigDict(), canonical=False, final=False)
        options.setdefault("hostname", hostname)
        canonical = options.get("canonicalizehostname") in ("yes", "always")
        if canonical and hostname.count(".") <= _most_dots(options):
            domains = options.get("canonicaldomains", "").split()
            hostname = self.canonicalize(hostname, options, domains)
            options["hostname"] = hostname
        else:
            canonical = False
        return self._lookup(hostname, options, canonical=canonical, final=True)

    def _lookup(
        self, hostname: str, options: SSHConfigDict, canonical: bool, final: bool
    ) -> SSHConfigDict:
        target = _config_match.Target(self, hostname, options, canonical, final)
        for section in self._config:
            if not target.applies(section):
                continue
            for key, value in section["config"].items():
                if key not in options:
                    options[key] = value[:] if value is not None else None
                elif key == "identityfile":
                    options[key].extend(one for one in value if one not in options[key])
        return self._expand_variables(options, hostname) if final else options

    def canonicalize(self, hostname: str, options: SSHConfigDict, domains: Iterable[str]) -> str:
        """The host's name in the first of the domains that has it.

        In none: the name as it is, or `CouldNotCanonicalize` if `CanonicalizeFallbackLocal` is not
        `yes`.
        """
        for domain in domains:
            candidate = f"{hostname}.{domain}"
            if _resolve(candidate, options):
                return candidate
        if options.get("canonicalizefallbacklocal", "yes") != "yes":
            raise CouldNotCanonicalize(hostname)
        return hostname

    def get_hostnames(self) -> set[str]:
        """The names and patterns behind all `Host`."""
        return {host for section in self._config for host in section.get("host", ())}

    def _pattern_matches(self, patterns: str | Iterable[str], target: str) -> bool:
        if isinstance(patterns, str):
            patterns = patterns.split(",")
        matched = False
        for pattern in patterns:
            if pattern.startswith("!"):
                if fnmatch.fnmatch(target, pattern[1:]):
                    return False
            elif fnmatch.fnmatch(target, pattern):
                matched = True
        return matched

    def _get_hosts(self, host: str) -> list[str]:
        return _split(host, "host")

    def _get_matches(self, match: str) -> list[dict[str, Any]]:
        return _config_match.parse(_split(match, "match"))

    def _allowed_tokens(self, key: str) -> list[str]:
        return self.TOKENS_BY_CONFIG_KEY.get(key, [])

    def _tokenize(self, config: SSHConfigDict, target_hostname: str, key: str, value: str) -> str:
        allowed = self._allowed_tokens(key)
        if not allowed:
            return value
        tokens = _tokens(config, target_hostname, key)

        def expand(found: re.Match[str]) -> str:
            token = found[0]
            return tokens[token]() if token in allowed and token in tokens else token

        return _TOKEN.sub(expand, value)

    def _expand_variables(self, config: SSHConfigDict, target_hostname: str) -> SSHConfigDict:
        for key, value in config.items():
            if isinstance(value, list):
                config[key] = [self._tokenize(config, target_hostname, key, one) for one in value]
            elif value is not None:
                config[key] = self._tokenize(config, target_hostname, key, value)
        return config


class SSHConfigDict(dict[Any, Any]):
    """Options of a host: text, or a list of texts for those that may be given several times."""

    def as_bool(self, key: str) -> bool:
        """Whether the option is `yes`."""
        value = self[key]
        return value if isinstance(value, bool) else value.lower() == "yes"

    def as_int(self, key: str) -> int:
        """The option as a number; ValueError or TypeError as from `int()`."""
        return int(self[key])


def _section(condition: dict[str, Any], within: list[dict[str, Any]]) -> dict[str, Any]:
    section = {**condition, "config": {}}
    if within:
        section["within"] = within
    return section


def _set(options: dict[str, Any], key: str, value: str) -> None:
    if key == "proxycommand" and value.lower() == "none":
        options[key] = None
        return
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        value = value[1:-1]
    if key in _LISTS:
        options.setdefault(key, []).append(value)
    else:
        options.setdefault(key, value)


def _most_dots(options: SSHConfigDict) -> int:
    dots = options.get("canonicalizemaxdots", 1)
    try:
        return int(dots)
    except ValueError:
        raise ConfigParseError(f"CanonicalizeMaxDots {dots}: no number") from None


def _split(value: str, keyword: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ConfigParseError(f"Unparsable {keyword} {value}: {error}") from None


def _tokens(config: SSHConfigDict, target: str, key: str) -> dict[str, Callable[[], str]]:
    """How to find what each token stands for; some of that takes a while."""
    # The option that is being looked at does not stand for itself.
    host = config.get("hostname", target) if key != "hostname" else target
    port = str(config.get("port", SSH_PORT))
    user = getpass.getuser()
    remote_user = config.get("user", user)
    local = socket.gethostname().split(".")[0]
    return {
        "%%": lambda: "%",
        "%C": lambda: _digest(f"{local}{target}{port}{remote_user}"),
        "%d": lambda: os.path.expanduser("~"),
        "%h": lambda: host,
        "%i": lambda: str(os.getuid()),
        "%j": lambda: config.get("proxyjump", ""),
        "%k": lambda: config.get("hostkeyalias", target),
        "%L": lambda: local,
        "%l": lambda: _full_name(config, local),
        "%n": lambda: target,
        "%p": lambda: port,
        "%r": lambda: remote_user,
        "%u": lambda: user,
        _TILDE: lambda: os.path.expanduser("~"),
    }


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest()


def _full_name(config: SSHConfigDict, local: str) -> str:
    """This machine's name with its domain."""
    for *_, canonical, _address in _addresses(local, config):
        if canonical and "." in canonical:
            return str(canonical)
    return socket.getfqdn()


def _addresses(hostname: str, options: SSHConfigDict) -> list[Any]:
    """The host's addresses of the `AddressFamily` that is asked for; none if it is any or there
    are none."""
    family = options.get("addressfamily", "any").lower()
    if family == "any":
        return []
    try:
        return socket.getaddrinfo(
            hostname,
            None,
            socket.AF_INET if family == "inet" else socket.AF_INET6,
            socket.SOCK_DGRAM,
            socket.IPPROTO_IP,
            socket.AI_CANONNAME,
        )
    except (socket.gaierror, ValueError):
        return []


def _resolve(hostname: str, options: SSHConfigDict) -> bool:
    if _addresses(hostname, options):
        return True
    try:
        return bool(socket.gethostbyname(hostname))
    except (socket.gaierror, ValueError):
        # The latter for what cannot be a name at all.
        return False
