"""What the documents name exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
#: A word in backticks that begins with a folder of ours.
PATH = re.compile(r"`((?:crates|python|tests|ci|bench|examples|\.ci)/[^`\s]*|[\w.-]+/)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
TARGET = re.compile(r"\bmake ([a-z]+(?:-[a-z]+)*)\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_and_links_exist(document):
    text = document.read_text()
    names = PATH.findall(text) + LINK.findall(text)
    assert names, "the document names no path: is the pattern still right?"
    assert [name for name in names if not (ROOT / name).exists()] == []
    if (ROOT / ".git").exists():
        # What only a working copy has is missing from a clean one.
        command = ["git", "check-ignore", "--no-index", *names]
        ignored = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert ignored.stdout.split() == []


@pytest.mark.parametrize("document", [DOCUMENTS[0], DOCUMENTS[2]], ids=lambda path: path.name)
def test_commands_are_in_the_makefile(document):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", document.read_text(), re.DOTALL))
    commands = set(TARGET.findall(code))
    assert commands
    assert commands <= targets


def test_the_changelog_has_an_entry_to_add_to():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_one_version_everywhere():
    cargo = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'^\[workspace\.package\]\nversion = "(.+)"', cargo, re.MULTILINE)
    assert version is not None
    for dependency in re.findall(r"^manyhands-\w+ = \{.*\}", cargo, re.MULTILINE):
        assert f'version = "{version[1]}"' in dependency


def test_the_rust_version_of_the_readme_is_the_one_that_is_built_with():
    version = re.search(r'^rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"{version[1]} or newer" in (ROOT / "README.md").read_text()
