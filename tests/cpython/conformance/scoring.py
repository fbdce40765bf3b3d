"""The stdlib's own results, and what a replacement's are worth beside them."""

import json
from dataclasses import dataclass, field


class Baseline:
    """What the standard library's own modules do with these tests: status and seconds of each.

    One file for each minor version of the interpreter. What a file does not know, as the tests
    that another patch version has, is taken on the spot by whoever asks.
    """

    def __init__(self, python="", modules=None):
        self.python = python  # the version that it was made with
        self.modules = modules or {}

    @classmethod
    def load(cls, path):
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(stored["python"], stored["modules"])

    def save(self, path):
        modules = ",\n".join(
            f"{json.dumps(module)}: {{\n"
            + ",\n".join(f"  {json.dumps(t)}: {json.dumps(r)}" for t, r in results.items())
            + "\n}"
            for module, results in self.modules.items()
            if results
        )
        text = f'{{"python": {json.dumps(self.python)}, "modules": {{\n{modules}\n}}}}\n'
        path.write_text(text, encoding="utf-8")

    def of(self, module):
        return self.modules.setdefault(module, {})

    def add(self, module, outcomes):
        self.of(module).update({t: [o.status, o.seconds] for t, o in sorted(outcomes.items())})


@dataclass
class Score:
    """The verdict about a test module; keys are test ids."""

    passed: list = field(default_factory=list)
    failed: dict = field(default_factory=dict)  # and why
    expected_failures: dict = field(default_factory=dict)  # and their rule
    excluded: dict = field(default_factory=dict)  # and their rule
    bonus: dict = field(default_factory=dict)  # excluded, but passed all the same
    not_counted: list = field(default_factory=list)  # the stdlib does not pass them here
    refused: list = field(default_factory=list)  # why the run proves nothing


def score(suite, tests, results, excluded, expected):
    """Judge a suite that was run; `results` are the stdlib's for `tests`, all that it has."""
    verdict = Score(refused=suite.objections())
    for test in tests:
        outcome = suite.outcomes.get(test)
        exclusion, expectation = excluded.find(test), expected.find(test)
        if exclusion is not None:
            verdict.excluded[test] = str(exclusion)
            if outcome is not None and outcome.status == "pass":
                verdict.bonus[test] = str(exclusion)
        elif results[test][0] != "pass":
            verdict.not_counted.append(test)
        elif verdict.refused:
            verdict.failed[test] = "refused"
        elif outcome is None:
            verdict.failed[test] = "lost: with the replacement there is no such test"
        elif outcome.status == "pass" and expectation is None:
            verdict.passed.append(test)
        elif outcome.status == "pass":
            verdict.failed[test] = f"passed, but is expected to fail ({expectation})"
        elif expectation is not None:
            verdict.expected_failures[test] = str(expectation)
        else:
            verdict.failed[test] = f"{outcome.status}: {outcome.why}"
    for fixture, outcome in suite.failed_fixtures.items():
        if (expectation := expected.find(fixture)) is not None:
            verdict.expected_failures[fixture] = str(expectation)
        else:
            verdict.failed[fixture] = f"{outcome.status}: {outcome.why}"
    return verdict
