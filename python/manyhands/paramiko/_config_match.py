"""Whether a section of a configuration holds for a host."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, NamedTuple

from .ssh_exception import ConfigParseError

if TYPE_CHECKING:
    from .config import SSHConfig, SSHConfigDict

_WITHOUT_PARAMETER = ("all", "canonical", "final")
# OpenSSH knows them; here they match nothing, and a `Match` that has them says so.
_NOT_OFFERED = ("localnetwork", "command", "sessiontype", "version")
_PATTERNS = ("host", "originalhost", "user", "localuser", "tagged")
_KEYWORDS = (*_WITHOUT_PARAMETER, *_PATTERNS, *_NOT_OFFERED, "exec")


class Outcome(NamedTuple):
    """What has become of a command."""

    ok: bool


class Commands:
    """Runs commands in a shell."""

    @staticmethod
    def run(command: str, hide: str = "stdout", warn: bool = True) -> Outcome:
        """Whether a command ends with status 0; what it writes to stdout is dropped.

        That is all that `hide` and `warn` may ask for.
        """
        if hide != "stdout" or not warn:
            raise ValueError("commands of Match exec run with hide='stdout' and warn=True")
        import subprocess

        done = subprocess.run(command, shell=True, stdout=subprocess.DEVNULL, check=False)
        return Outcome(done.returncode == 0)


def parse(words: list[str]) -> list[dict[str, Any]]:
    """The conditions of a `Match`, as words.

    Raises `ConfigParseError` if a keyword is unknown or lacks its parameter, or `all` has company.
    """
    conditions = []
    words = words[::-1]
    while words:
        word = words.pop()
        keyword = word.removeprefix("!").lower()
        if keyword not in _KEYWORDS:
            raise ConfigParseError(f"Match does not know '{keyword}'")
        param = None
        if keyword not in _WITHOUT_PARAMETER:
            if not words:
                raise ConfigParseError(f"Missing parameter to Match '{keyword}' keyword")
            param = words.pop()
        conditions.append({"type": keyword, "param": param, "negate": word.startswith("!")})
    keywords = [condition["type"] for condition in conditions]
    if "all" in keywords:
        if set(keywords) - {"all", "canonical"}:
            raise ConfigParseError("Match allows nothing but 'canonical' beside 'all'")
        if "canonical" in keywords[keywords.index("all") :]:
            raise ConfigParseError("Match does not allow 'all' before 'canonical'")
    return conditions


class Target:
    """One pass over the sections, for one host.

    What has been found so far decides what later sections match, so each condition is looked at
    once, where it stands.
    """

    def __init__(
        self,
        config: SSHConfig,
        hostname: str,
        options: SSHConfigDict,
        canonical: bool,
        final: bool,
    ) -> None:
        self.config = config
        self.hostname = hostname
        self.options = options
        self.canonical = canonical
        self.final = final
        self.user = getpass.getuser()
        self.decided: dict[int, bool] = {}

    def applies(self, section: dict[str, Any]) -> bool:
        """Whether a section holds, and those that it was included from."""
        while "goes_on" in section:
            section = section["goes_on"]
        decided = self.decided.get(id(section))
        if decided is None:
            decided = all(map(self.applies, section.get("within", ()))) and self._holds(section)
            self.decided[id(section)] = decided
        return decided

    def _holds(self, section: dict[str, Any]) -> bool:
        if "host" in section:
            return self.config._pattern_matches(section["host"], self.hostname)
        conditions = section["matches"]
        return bool(conditions) and all(
            self._is_true(condition) is not condition["negate"] for condition in conditions
        )

    def _is_true(self, condition: dict[str, Any]) -> bool:
        keyword, param = condition["type"], condition["param"]
        if keyword == "all":
            return True
        if keyword in ("canonical", "final"):
            return bool(getattr(self, keyword))
        if keyword == "exec":
            return self._succeeds(param)
        if keyword in _NOT_OFFERED:
            from .util import get_logger

            get_logger("paramiko.config").warning("Match %s is not offered: no match", keyword)
            # Neither it nor its opposite.
            return bool(condition["negate"])
        return self.config._pattern_matches(param, self._subject(keyword))

    def _subject(self, keyword: str) -> str:
        if keyword == "host":
            name = self.options.get("hostname", self.hostname)
            return self.config._tokenize(self.options, self.hostname, "hostname", name)
        if keyword == "user":
            return str(self.options.get("user", self.user))
        if keyword == "tagged":
            return str(self.options.get("tag", ""))
        return self.user if keyword == "localuser" else self.hostname

    def _succeeds(self, command: str) -> bool:
        from . import config

        if config.invoke is None:
            raise config.invoke_import_error
        command = self.config._tokenize(self.options, self.hostname, "match-exec", command)
        return bool(config.invoke.run(command, hide="stdout", warn=True).ok)
