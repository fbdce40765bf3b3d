"""What gevent's tests are run in: an environment in which `gevent` is what is to be tested."""

import re
import shutil
import subprocess
from pathlib import Path

from cpython.conformance.processes import Worker
from cpython.conformance.suite import Outcome, Suite

INSIDE = Path(__file__).parent / "inside"

#: What gevent's own runner gives its tests. Its debug mode of the interpreter checks memory, too.
VARIABLES = {
    "PYTHONWARNINGS": ",".join(
        (
            "default",
            "default::DeprecationWarning",
            "default::ResourceWarning",
            "ignore:::site:",
            "ignore:::importlib._bootstrap:",
            "ignore:::importlib._bootstrap_external:",
        )
    ),
    "PYTHONFAULTHANDLER": "true",
    "PYTHONDEVMODE": "1",
    "GEVENTTEST_QUIET": "True",
    "GEVENTTEST_USE_RESOURCES": "all",
}
#: And those that it gives CPython's tests beside.
VARIABLES_PATCHED = {"GEVENT_DEBUG": "error", "PYTHONWARNINGS": "ignore"}

#: A module of these uses unittest; others are scripts.
USES_UNITTEST = re.compile(r"\bmain\(|^from gevent\.tests\.\S+ import \*", re.MULTILINE)


class Served:
    """A throw-away environment; `package` is served as gevent, "gevent" meaning itself."""

    def __init__(self, interpreter, root, wheel, package):
        self.package = package
        self.tests = Path(wheel, "gevent", "tests")
        self.stdlib_tests = interpreter.tests
        if not self.tests.is_dir():
            raise FileNotFoundError(f"{wheel}: gevent is not installed there, or without its tests")
        self._scratch = Path(root, "w")
        environment = Path(root, "venv")
        subprocess.run(
            [interpreter.base, "-I", "-m", "venv", "--without-pip", environment], check=True
        )
        self._python = environment / "bin" / "python"
        (site,) = environment.glob("lib/python*/site-packages")
        for module in INSIDE.glob("*.py"):
            shutil.copy(module, site)
        wheel = str(Path(wheel).resolve())
        config = f"PACKAGE = {package!r}\nWHEEL = {wheel!r}\n"
        (site / "gevent_redirect_config.py").write_text(config, encoding="utf-8")
        start_up = ["import gevent_redirect"]
        if package != "gevent":
            start_up += [f"import site; site.addsitedir({path!r})" for path in interpreter.site]
        start_up += [wheel]  # what the tests need besides
        (site / "gevent_redirect.pth").write_text("\n".join(start_up) + "\n", encoding="utf-8")

    def modules(self):
        """The names of gevent's test modules."""
        return [f"gevent.tests.{path.stem}" for path in sorted(self.tests.glob("test_*.py"))]

    def worker(self, module, tests):
        """A worker that runs these tests of a module, or all if None."""
        job = {"module": module, "tests": tests, "script": False}
        variables = VARIABLES | {"PYTHONPATH": str(self.tests)}
        name = module.rpartition(".")[2]
        if module.startswith("test."):
            job["patched"] = str(self.stdlib_tests / f"{name}.py")
            variables |= VARIABLES_PATCHED
        else:
            text = (self.tests / f"{name}.py").read_text(encoding="utf-8")
            job["script"] = USES_UNITTEST.search(text) is None
        return Worker(self._python, self._scratch, job, "gevent_worker", variables)


class Module(Suite):
    """A test module that is loaded and run as `python -m` does, all of it in one process.

    Tests that fail get a second chance in a process of their own, since many of them compare times.
    """

    outside_tests = 60
    #: No second chance if so many fail: then it is not for the time.
    many = 12

    def __init__(self, *args):
        super().__init__(*args)
        self.second_chances = {}

    def objections(self):
        if self.load_error is not None and self.load_error.status != "skip":
            return [f"the test module was not loaded: {self.load_error.why}"]
        return sorted(self.evidence.objections)

    def _record(self, test, outcome):
        before = self.outcomes.get(test)
        super()._record(test, outcome)
        if before is not None and outcome.status == "pass":
            self.second_chances[test] = before.why

    def run_all(self, wanted=lambda test: True):
        """Run the tests that are wanted, of all that the module turns out to have."""
        attempt = self._attempt(self.module, None)
        self.classes = attempt.classes
        self.load_error = attempt.load_error
        if not self.classes and self.load_error is None:
            self.load_error = attempt.broken_off or Outcome("error", 0, "it has no tests")
        if self._after(attempt):
            left = [test for test in self.classes if test not in self.outcomes]
            self._run_class(self.module, left)
        failed = [t for t, o in self.outcomes.items() if o.status not in ("pass", "skip")]
        failed = [test for test in failed if wanted(test)]
        if len(failed) < self.many:
            for test in failed:
                self._again(test)

    def _after(self, attempt):
        """Write down why an attempt broke off; whether others are to follow it."""
        if attempt.broken_off is None or not self.classes:
            return False
        if attempt.running is not None:
            self._record(attempt.running, attempt.broken_off)
            self._hangs += attempt.broken_off.status == "timeout"
            return True
        self.failed_fixtures[f"{self.module}, outside its tests"] = attempt.broken_off
        return False

    def _again(self, test):
        fixtures, self.failed_fixtures = self.failed_fixtures, {}
        attempt = self._attempt(self.module, [test])
        if attempt.running == test and attempt.broken_off is not None:
            self._record(test, attempt.broken_off)
        self.failed_fixtures = fixtures
