"""Run gevent's own tests, out of its wheel, against what stands in its place.

    python tests/gevent/run.py --python VENV/bin/python --wheel FOLDER

FOLDER is where `pip install --target FOLDER gevent` has put it. The last line is `N passed, M
failed, ...`. Exit status: 0 all fair tests passed, 1 some did not, 2 it could not be run, 3 it is
refused: the tests cannot be shown to have used the replacement.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(1, str(HERE.parent))

from cpython.conformance.overlay import Interpreter  # noqa: E402
from cpython.conformance.processes import GIVEN_UP  # noqa: E402
from cpython.conformance.rules import MalformedRule, Rules  # noqa: E402
from cpython.conformance.scoring import Baseline, score  # noqa: E402
from served import Module, Served  # noqa: E402

#: CPython's tests that are run after patch_all(); those that an interpreter lacks are left out.
PATCHED = (
    "test.test_queue",
    "test.test_threading_local",
    "test.test_urllib2_localnet",
    "test.test_smtplib",
    "test.test_poplib",
    "test.test_imaplib",
    "test.test_telnetlib",
    "test.test_xmlrpc",
    "test.test_httpservers",
    "test.test_sched",
    "test.test_contextlib",
    "test.test_select",
    "test.test_selectors",
)

PACKAGES = {"stock": "gevent", "manyhands": "manyhands.gevent"}


class CannotRun(Exception):
    """Something is missing that the run needs."""


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--python", default=sys.executable, help="interpreter that has Manyhands installed")
    add("--wheel", type=Path, required=True, metavar="FOLDER", help="where gevent is")
    add("--implementation", choices=PACKAGES, default="manyhands", help="what is tested")
    add("--package", help="what is served as gevent, if not that")
    add("--tests", nargs="+", metavar="MODULE", help="only these, with or without gevent.tests.")
    add("--patched", action="store_true", help="CPython's tests under patch_all() instead")
    add("--exclude", type=Path, default=HERE / "exclude.txt", help="tests that are no fair measure")
    add("--xfail", type=Path, default=HERE / "xfail.txt", help="tests that must fail")
    add("-j", "--jobs", type=int, default=1, help="how many test modules run side by side")
    add("--timeout", type=float, default=60, help="seconds that any test may take")
    add("--out", type=Path, help="write everything, as JSON")
    add("--verbose", action="store_true", help="show each test")
    add("--make-baseline", action="store_true", help="run gevent itself, and store its results")
    options = parser.parse_args(argv)
    if options.make_baseline:
        options.implementation = "stock"
    options.package = options.package or PACKAGES[options.implementation]
    return options


class Run:
    """The tests of one interpreter, against one implementation."""

    def __init__(self, options, root):
        self.options = options
        self.interpreter = Interpreter(options.python)
        version = self.interpreter.minor_version
        self.baseline_file = HERE / "baselines" / f"{version}.json"
        self.baseline = Baseline.load(self.baseline_file)
        self.excluded = Rules(options.exclude, version)
        self.expected = Rules(options.xfail, version)
        self.ours = Served(self.interpreter, Path(root, "o"), options.wheel, options.package)
        self.stock = Served(self.interpreter, Path(root, "s"), options.wheel, "gevent")

    def modules(self):
        """Those to run, the longest first."""
        stdlib = [m for m in PATCHED if (self.interpreter.tests / f"{m[5:]}.py").exists()]
        there = [*self.stock.modules(), *stdlib]
        if self.options.tests:
            names = [n if "." in n else f"gevent.tests.{n}" for n in self.options.tests]
            if unknown := [name for name in names if name not in there]:
                raise CannotRun(f"there is no {', '.join(unknown)}")
        else:
            names = stdlib if self.options.patched else self.stock.modules()

        def seconds(module):
            return sum(seconds for _, seconds in self.baseline.of(module).values())

        return sorted(names, key=seconds, reverse=True)

    def suite(self, served, module):
        """A suite whose tests may take ten times as long as gevent took."""

        def limit(test):
            _, seconds = self.baseline.of(module).get(test, ("", 0))
            return max(self.options.timeout, 10 * seconds)

        def report(test, outcome):
            if self.options.verbose:
                print(f"  {outcome.status:8} {outcome.seconds:6.2f} s  {test}", flush=True)

        return Module(served, module, limit, report)

    def known(self, module):
        """What gevent does with a module's tests; asked on the spot if that is not stored."""
        if not self.baseline.of(module):
            suite = self.suite(self.stock, module)
            suite.run_all()
            self.baseline.add(module, suite.outcomes)
        return self.baseline.of(module)

    def judge(self, module):
        """Run a test module; returns its suite, its score, and the seconds that it took."""
        began = time.monotonic()
        known = self.known(module)
        suite = self.suite(self.ours, module)

        def fair(test):
            return known.get(test, ("", 0))[0] == "pass" and self.excluded.find(test) is None

        suite.run_all(fair)
        verdict = score(suite, list(known), known, self.excluded, self.expected)
        if not any(map(fair, known)):
            # No test counts, so that it proves nothing if they cannot be loaded.
            verdict.refused.clear()
        return suite, verdict, time.monotonic() - began

    def side_by_side(self, function, modules):
        with ThreadPoolExecutor(self.options.jobs) as pool:
            running = [pool.submit(function, module) for module in modules]
            try:
                for done in as_completed(running):
                    yield done.result()
            except BaseException:
                GIVEN_UP.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def make_baseline(self):
        """Run gevent itself; its results are printed and stored."""
        made = Baseline(self.interpreter.version)
        if self.baseline.python == made.python:
            made.modules = self.baseline.modules
        before = {module: dict(self.baseline.of(module)) for module in self.modules()}

        def run(module):
            suite = self.suite(self.stock, module)
            suite.run_all()
            return suite

        passed = total = with_tests = 0
        for suite in self.side_by_side(run, self.modules()):
            made.modules[suite.module] = {}
            made.add(suite.module, suite.outcomes)
            good = sum(outcome.status == "pass" for outcome in suite.outcomes.values())
            print(f"{suite.module}: gevent passes {good} of {len(suite.outcomes)}", flush=True)
            for objection in suite.objections():
                print(f"  {objection.partition(chr(10))[0]}")
            for test, outcome in suite.outcomes.items():
                if outcome.status not in ("pass", "skip"):
                    print(f"  {outcome.status} {test}\n    {outcome.why.partition(chr(10))[0]}")
                if before.get(suite.module, {}).get(test, [""])[0] not in ("", outcome.status):
                    print(f"  was {before[suite.module][test][0]}: {test}")
            passed, total, with_tests = (
                passed + good,
                total + len(suite.outcomes),
                with_tests + bool(good),
            )
        made.modules = dict(sorted(made.modules.items()))
        made.save(self.baseline_file)
        print(f"{passed} of {total} tests pass, in {with_tests} modules", flush=True)


def show(suite, verdict, seconds):
    counted = len(verdict.passed) + len(verdict.failed) + len(verdict.expected_failures)
    print(f"{suite.module}: {len(verdict.passed)} of {counted} passed in {seconds:.0f} s", end="")
    print(f", {len(verdict.excluded)} excluded" if verdict.excluded else "", flush=True)
    for objection in verdict.refused:
        print(f"  REFUSED: {objection.partition(chr(10))[0]}")
    for test, why in {} if verdict.refused else verdict.failed.items():
        print(f"  FAILED {test}\n    {why.partition(chr(10))[0]}")
    for test, rule in verdict.expected_failures.items():
        print(f"  expected failure {test} ({rule})")
    for test, why in suite.second_chances.items():
        print(f"  only at the second attempt: {test}\n    {why.partition(chr(10))[0]}")
    if suite.processes_left:
        print(f"  {suite.processes_left} processes were left behind")


def judge_all(run, options):
    """Judge each module, print and store the results; returns the exit status."""
    stored, tests, total = (
        {},
        [],
        dict.fromkeys(
            ("passed", "failed", "expected_failures", "excluded", "not_counted", "second_chances"),
            0,
        ),
    )
    refused = False
    with closing(run.side_by_side(run.judge, run.modules())) as judgements:
        for suite, verdict, seconds in judgements:
            show(suite, verdict, seconds)
            for what in total:
                of = suite if what == "second_chances" else verdict
                total[what] += len(getattr(of, what))
            stored[suite.module] = asdict(verdict) | {
                "imports": suite.evidence.imports,
                "outcomes": {test: asdict(outcome) for test, outcome in suite.outcomes.items()},
                "second_chances": suite.second_chances,
                "seconds": round(seconds, 1),
            }
            refused = refused or bool(verdict.refused)
            tests += [*run.baseline.of(suite.module), *suite.failed_fixtures]
    if not total["passed"] + total["failed"] + total["expected_failures"]:
        raise CannotRun("no test is counted")
    for rule in run.expected.of_no_test(tests, stored, all_ran=options.tests is None):
        print(f"FAILED {options.xfail.name}: there is no test {rule.pattern}")
        total["failed"] += 1
    if options.out:
        result = {"python": run.interpreter.version, "package": options.package, **total}
        text = json.dumps({**result, "modules": stored}, indent=1)
        options.out.write_text(text + "\n", encoding="utf-8")
    what = "CPython's tests under patch_all()" if options.patched else "gevent's tests"
    print(f"{what} on {options.package}, CPython {run.interpreter.version}:")
    print(
        f"{total['passed']} passed, {total['failed']} failed, "
        f"{total['expected_failures']} failed as expected, {total['excluded']} excluded, "
        f"{total['not_counted']} that gevent does not pass here; "
        f"{total['second_chances']} passed only at the second attempt",
        flush=True,
    )
    return 3 if refused else min(total["failed"], 1)


def end_as_an_exception(number, frame):
    """So that worker processes and scratch files go, as at the end of the program."""
    sys.exit(128 + number)


def main(argv=None):
    options = arguments(argv)
    signal.signal(signal.SIGTERM, end_as_an_exception)
    root = tempfile.mkdtemp(prefix="mh-")  # short, since sockets' paths below it are limited
    try:
        run = Run(options, root)
        if options.make_baseline:
            run.make_baseline()
            return 0
        return judge_all(run, options)
    except (CannotRun, MalformedRule, OSError, subprocess.CalledProcessError) as error:
        print(f"cannot run: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
