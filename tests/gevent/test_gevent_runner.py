"""The runner of gevent's own tests is not deceived."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from greenprograms import WHEEL

WHEEL = Path(os.environ.get("MANYHANDS_TEST_GEVENT", WHEEL))
RUNNER = Path(__file__).parent / "run.py"
WATCHDOG = 50

pytestmark = pytest.mark.skipif(
    not (WHEEL / "gevent" / "hub.py").is_file(), reason="gevent is not at hand: ci/test-gevent.sh"
)


@pytest.fixture
def python(tmp_path):
    """An interpreter for which packages can be made up."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def stand_in(python, source):
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (site / "standin").mkdir()
    (site / "standin" / "__init__.py").write_text(source)
    return ["--package", "standin"]


def run(python, *options):
    command = [sys.executable, RUNNER, "--python", python, "--wheel", WHEEL, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=WATCHDOG)
    return done.returncode, done.stdout


def test_gevent_passes_its_own_tests(python):
    status, output = run(python, "--implementation", "stock", "--tests", "test__issue_728")
    assert status == 0, output
    assert output.splitlines()[-1].startswith("1 passed, 0 failed")


def test_gevent_in_disguise_is_refused(python):
    gevent = WHEEL / "gevent"
    source = f"__path__ = [{str(gevent)!r}]\nexec(open({str(gevent / '__init__.py')!r}).read())\n"
    options = stand_in(python, source)
    status, output = run(python, *options, "--tests", "test__GreenletExit")
    assert "is the original's" in output
    assert status == 3


def test_a_package_that_cannot_be_imported_is_refused(python):
    status, output = run(python, *stand_in(python, "1 / 0\n"), "--tests", "test__queue")
    assert "REFUSED: the test module was not loaded: ZeroDivisionError" in output
    assert status == 3


def test_a_package_that_does_nothing_fails(python):
    options = stand_in(python, "")
    status, output = run(python, *options, "--tests", "test__monkey_multiple_imports")
    assert "FAILED" in output or "REFUSED" in output
    assert status in (1, 3)
    assert "\n0 passed, 1 failed" in output
