"""Lists of tests with reasons: those that are no fair measure, those expected to fail.

A line is `VERSIONS | TEST ID | TAG | REASON`. VERSIONS is `*` or some of `3.11`, `3.12+`,
`3.10-3.11`, separated by commas; the test id may have the wildcards of a file name.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_VERSION = r"(\d+)\.(\d+)"


class MalformedRule(Exception):
    """A line of a list that says nothing."""


@dataclass(frozen=True)
class Rule:
    pattern: str
    tag: str
    reason: str

    def __str__(self):
        return f"{self.tag}: {self.reason}"


class Rules:
    """The rules of a file that apply to a minor version of the interpreter."""

    def __init__(self, path, minor_version):
        self.rules = []
        version = _parsed(minor_version)
        lines = path.read_text(encoding="utf-8").splitlines() if path else []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split("|", 3)]
            try:
                versions, *rule = fields
                rule = Rule(*rule)
                applies = _includes(versions, version)
            except (TypeError, ValueError) as error:
                message = f"{path}:{number}: want VERSIONS | TEST ID | TAG | REASON"
                raise MalformedRule(message) from error
            if applies:
                self.rules.append(rule)

    def find(self, test):
        """The first rule about that test, or None."""
        return next((rule for rule in self.rules if fnmatchcase(test, rule.pattern)), None)

    def of_no_test(self, tests, modules, all_ran):
        """The rules about these test modules that name none of their tests.

        A rule with a wildcard may be about more modules than one: it has to name a test of any of
        them, and `all_ran` says whether those that are not among `modules` are out of question.
        """
        named = set(filter(None, map(self.find, tests)))
        for rule in self.rules:
            plain = re.split(r"[*?[]", rule.pattern)[0]
            in_one = plain.startswith(tuple(modules))
            in_some = all_ran and any(module.startswith(plain) for module in modules)
            if (in_one or in_some) and rule not in named:
                yield rule


def _parsed(version):
    match = re.fullmatch(_VERSION, version)
    if match is None:
        raise ValueError(f"{version!r} is no version")
    return tuple(map(int, match.groups()))


def _includes(versions, version):
    if versions == "*":
        return True
    for span in versions.split(","):
        first, dash, last = span.strip().partition("-")
        if first.endswith("+") and not dash:
            first, last = first[:-1], f"{version[0]}.{version[1]}"
        if _parsed(first) <= version <= _parsed(last or first):
            return True
    return False
