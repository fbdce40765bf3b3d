"""Tools that nobody here wrote, with pools in them, do the same on the engine as without it."""

import json
import logging
import re
import shutil
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

#: Packages of the standard library that the tools are let loose on.
PACKAGES = (json, logging)

PAGES = 8

REQUIREMENTS = Path(__file__).parents[2] / "ci" / "requirements-trials.txt"

TOOLS = {
    "black": ["--workers", "2", "--check", "--diff", "--line-length", "60", "tree"],
    "compileall": ["-q", "-f", "-j", "2", "tree"],
    "flake8": ["-j", "2", "tree"],
    "pylint": ["-j", "2", "--disable=all", "--enable=E,W", "--score=n", "tree/json"],
    "sphinx": ["-j", "2", "-E", "-b", "text", "tree/pages", "built"],
}


@pytest.fixture
def tree(place):
    """Sources, and pages of a manual."""
    for package in PACKAGES:
        source = Path(package.__file__).parent
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, place.folder / "tree" / source.name, ignore=ignored)
    place.write("tree/pages/conf.py", "project = 'Cook book'\n")
    names = [f"page{number}" for number in range(PAGES)]
    contents = "\n".join(f"   {name}" for name in names)
    place.write("tree/pages/index.rst", f"Cook book\n=========\n\n.. toctree::\n\n{contents}\n")
    for name in names:
        place.write(f"tree/pages/{name}.rst", f"{name}\n{'-' * len(name)}\n\nSee :doc:`index`.\n")
    return place


def told(text):
    """What is said, in any order, as workers say it when they have it; without times of files."""
    return sorted(re.sub(r"\d{4}-\d\d-\d\d [\d:.+ ]+", "(time)", text).splitlines())


def made(folder):
    """The files of a folder, and what is in those of text."""
    kept = [path for path in folder.rglob("*") if path.suffix in (".txt", ".py", ".pyc")]
    # What is compiled may be written down in more ways than one.
    return {
        path.relative_to(folder): b"" if path.suffix == ".pyc" else path.read_bytes()
        for path in kept
    }


@pytest.mark.patience(300)
@pytest.mark.parametrize("tool", TOOLS)
def test_it_does_the_same_as_without_us(tree, tool):
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    command = ["-m", tool, *TOOLS[tool]]
    plain = tree.plain(*command)
    expected = made(tree.folder)
    shutil.rmtree(tree.folder / "built", ignore_errors=True)
    for cache in tree.folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    ours = tree.run("--engine", *command)
    table, _, error = ours.stderr.partition("paramiko")
    for module in ("multiprocessing", "concurrent.futures"):
        assert re.search(rf"^  {re.escape(module)} +manyhands ", table, re.MULTILINE)
    assert ours.returncode == plain.returncode
    assert told(ours.stdout) == told(plain.stdout)
    assert told(error.partition("\n")[2]) == told(plain.stderr)
    assert made(tree.folder) == expected
    compiled = any(path.suffix == ".pyc" for path in expected)
    assert plain.stdout or plain.stderr or compiled, "it has done nothing"


def test_the_tools_are_those_that_are_pinned():
    pinned = dict(re.findall(r"^([\w-]+)==([^;\s]+)", REQUIREMENTS.read_text(), re.MULTILINE))
    assert pinned.keys() | {"compileall"} == TOOLS.keys()
    # ci/lib.sh leaves this where it has installed them; nobody else needs them.
    if not Path(sys.prefix, f".tools-{REQUIREMENTS.name}").exists():
        return
    if sys.version_info < (3, 11):
        # The pinned one does not know this version, of which the file says so.
        del pinned["sphinx"]
    assert {tool: version(tool) for tool in pinned} == pinned
