"""pytest --manyhands-why: what a test waits for that takes too long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import PATIENCE

HANGS = """
import threading

def test_of_an_event():
    print("captured")
    never = threading.Event()
    threading.Timer(1, never.set).start()
    never.wait()

def test_that_is_quick():
    pass
"""


def run(path: Path, *options: str, program: str = HANGS) -> subprocess.CompletedProcess[str]:
    (path / "test_it.py").write_text(program)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    # Where the package is installed as a whole, pytest finds the plugin itself.
    if not installed():
        command += ["-p", "manyhands.pytest_plugin"]
    return subprocess.run(command, cwd=path, capture_output=True, text=True, timeout=PATIENCE)


def installed() -> bool:
    from importlib.metadata import entry_points

    return any(entry.value == "manyhands.pytest_plugin" for entry in entry_points(group="pytest11"))


def test_the_report_is_seen_and_the_test_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, "--manyhands-why=0.2")
    assert done.returncode == 0
    assert "2 passed" in done.stdout
    assert done.stderr.count("takes long") == 1
    assert "manyhands: test_it.py::test_of_an_event takes long:\n" in done.stderr
    assert "in test_of_an_event\n      never.wait()" in done.stderr
    assert "captured" not in done.stderr


def test_the_limit_may_be_a_word_of_its_own(tmp_path: Path) -> None:
    assert "test_of_an_event takes long" in run(tmp_path, "--manyhands-why", "0.2").stderr


def test_nothing_is_told_unless_asked(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


LIMIT = """
import pytest

def limit(request):
    return request.config.pluginmanager.get_plugin("manyhands-watch").limit(request.node)

def test_of_all(request):
    assert limit(request) == WANTED

@pytest.mark.timeout(30)
def test_of_its_own(request):
    assert limit(request) == 27
"""


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--manyhands-why"], 60),
        (["--manyhands-why", "-o", "faulthandler_timeout=20"], 18),
    ],
)
def test_the_limit_of_others_less_a_tenth(
    tmp_path: Path, options: list[str], wanted: float
) -> None:
    program = LIMIT.replace("WANTED", str(wanted))
    done = run(tmp_path, *options, "-W", "ignore::pytest.PytestUnknownMarkWarning", program=program)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_no_number(tmp_path: Path) -> None:
    done = run(tmp_path, "--manyhands-why=soon")
    assert done.returncode == 4
    assert "--manyhands-why takes a number of seconds, not 'soon'" in done.stderr
