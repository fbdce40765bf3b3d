"""The lists of tests that are excluded or expected to fail."""

from pathlib import Path

import pytest
from cpython.conformance.rules import MalformedRule, Rules

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("versions", "applying"),
    [
        ("*", "3.9 3.10 3.13"),
        ("3.10", "3.10"),
        ("3.10+", "3.10 3.13"),
        ("3.9-3.10", "3.9 3.10"),
        ("3.9, 3.13+", "3.9 3.13"),
    ],
)
def test_a_rule_is_for_the_versions_that_it_names(tmp_path, versions, applying):
    path = tmp_path / "rules.txt"
    path.write_text(f"# comment\n\n{versions} | test.test_a.*.test_b | tag | it | is so\n")
    for version in ("3.9", "3.10", "3.13"):
        found = Rules(path, version).find("test.test_a.C.test_b")
        assert (found is not None) == (version in applying.split())
        assert found is None or str(found) == "tag: it | is so"
    assert Rules(path, "3.10").find("test.test_a.C.test_c") is None


def test_a_rule_about_no_test_is_found_out(tmp_path):
    path = tmp_path / "rules.txt"
    patterns = ["test.test_a.C.test_x", "test.test_[ab].C.test_?", "test.test_*.C.gone", "test.z.*"]
    path.write_text("".join(f"* | {pattern} | tag | why\n" for pattern in patterns))
    rules = Rules(path, "3.11")

    def found(*tests, all_ran=True):
        return [rule.pattern for rule in rules.of_no_test(tests, ["test.test_a"], all_ran)]

    assert found("test.test_a.C.test_x") == patterns[1:3]
    assert found("test.test_a.C.test_y") == [patterns[0], patterns[2]]
    assert found("test.test_a.C.test_x", all_ran=False) == []


@pytest.mark.parametrize("line", ["3.10 | a | b", "three | a | b | c", "3.10-x | a | b | c"])
def test_a_malformed_rule_is_an_error(tmp_path, line):
    path = tmp_path / "rules.txt"
    path.write_text(line)
    with pytest.raises(MalformedRule, match=r"rules.txt:1"):
        Rules(path, "3.11")


def test_every_exclusion_has_a_known_tag_and_a_reason():
    for minor in range(10, 15):
        for rule in Rules(HERE / "exclude.txt", f"3.{minor}").rules:
            assert rule.tag in {"name", "private", "subinterp", "vacuous", "flaky"}
            assert rule.reason
