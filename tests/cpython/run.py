"""Run the interpreter's own tests against a replacement for modules of its standard library.

    python tests/cpython/run.py --python VENV/bin/python

The last line is `N passed, N failed`. Exit status: 0 all fair tests passed, 1 some did not,
2 it could not be run, 3 it is refused: the tests cannot be shown to have used the replacement.
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

from conformance.overlay import Interpreter, Overlay
from conformance.processes import GIVEN_UP
from conformance.rules import MalformedRule, Rules
from conformance.scoring import Baseline, score
from conformance.suite import Suite

HERE = Path(__file__).parent

MAPPING = {
    "queue": "manyhands.queue",
    "threading": "manyhands.threading",
    "multiprocessing": "manyhands.multiprocessing",
    "concurrent.futures": "manyhands.concurrent.futures",
}

#: Test modules that some installed interpreters lack: they are run where they are.
OPTIONAL = ("test.test_concurrent_futures",)

#: The test modules that concern a mapped module.
SUITES = {
    "queue": ["test.test_queue"],
    "threading": ["test.test_threading", "test.test_threading_local"],
    "concurrent.futures": ["test.test_concurrent_futures"],
    "multiprocessing": [
        "test.test_multiprocessing_main_handling",
        "test.test_multiprocessing_fork",
        "test.test_multiprocessing_forkserver",
        "test.test_multiprocessing_spawn",
    ],
}


class CannotRun(Exception):
    """Something is missing that the run needs."""


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--python", default=sys.executable, help="interpreter that has the replacement installed")
    add("--map", nargs="+", metavar="MODULE=REPLACEMENT", help="what replaces what")
    add("--tests", nargs="+", metavar="MODULE", help="test modules; else those of what is mapped")
    add("--match", metavar="TEXT", help="only tests whose id has this in it")
    add("--exclude", type=Path, default=HERE / "exclude.txt", help="tests that are no fair measure")
    add("--xfail", type=Path, default=HERE / "xfail.txt", help="tests that must fail")
    add("-j", "--jobs", type=int, default=1, help="how many test modules run side by side")
    add("--timeout", type=float, default=90, help="seconds that any test may take")
    add("--path", action="append", default=[], help="directory to append to sys.path")
    add("--extra-tests", action="append", default=[], help="directory of further test modules")
    add("--out", type=Path, help="write everything, as JSON")
    add("--verbose", action="store_true", help="show each test")
    add("--make-baseline", action="store_true", help="run the originals, and store their results")
    options = parser.parse_args(argv)
    options.mapping = MAPPING
    if options.map:
        if not all(item.partition("=")[2] for item in options.map):
            parser.error("--map wants MODULE=REPLACEMENT")
        options.mapping = dict(item.split("=", 1) for item in options.map)
    return options


class Run:
    """The tests of one interpreter, with the replacement and with the stdlib itself."""

    def __init__(self, options, root):
        self.options = options
        self.interpreter = Interpreter(options.python)
        version = self.interpreter.minor_version
        self.baseline_file = HERE / "baselines" / f"{version}.json"
        self.baseline = Baseline.load(self.baseline_file)
        self.excluded = Rules(options.exclude, version)
        self.expected = Rules(options.xfail, version)
        more = (options.path, options.extra_tests)
        originals = {source: source for source in options.mapping}
        self.stdlib = Overlay(self.interpreter, Path(root, "stdlib"), originals, *more)
        self.ours = Overlay(self.interpreter, Path(root, "ours"), options.mapping, *more)

    def modules(self):
        wanted = self.options.tests or [
            module for source in self.options.mapping for module in SUITES.get(source, ())
        ]
        for name in wanted:
            parts = self.stdlib.expanded(name)
            if not parts and name in OPTIONAL and not self.options.tests:
                print(f"{name}: this interpreter is installed without it")
            elif not parts:
                raise CannotRun(f"{self.options.python} is installed without {name}")
            yield from parts

    def suite(self, overlay, module):
        """A suite whose tests may take ten times as long as the stdlib took."""

        def limit(test):
            _, seconds = self.baseline.of(module).get(test, ("", 0))
            return max(self.options.timeout, 10 * seconds)

        def report(test, outcome):
            if self.options.verbose:
                print(f"  {outcome.status:8} {outcome.seconds:6.2f} s  {test}", flush=True)

        return Suite(overlay, module, limit, report).listed()

    def stdlib_suite(self, module):
        suite = self.suite(self.stdlib, module)
        if suite.load_error is not None:
            raise CannotRun(f"the stdlib's own {module} cannot be loaded: {suite.load_error.why}")
        return suite

    def make_baseline(self):
        made = Baseline(self.interpreter.version)
        if self.baseline.python == made.python:
            made.modules = self.baseline.modules  # those of other modules remain
        for module in self.modules():
            suite = self.stdlib_suite(module)
            suite.run(suite.classes)
            made.add(module, suite.outcomes)
            passed = sum(outcome.status == "pass" for outcome in suite.outcomes.values())
            print(f"{module}: the stdlib passes {passed} of {len(suite.outcomes)}", flush=True)
        made.save(self.baseline_file)

    def is_flaky(self, test):
        """Whether what comes of that test says nothing, so that it may as well be left out."""
        exclusion = self.excluded.find(test)
        return exclusion is not None and exclusion.tag == "flaky"

    def judge(self, module):
        """Run a test module with the replacement; returns its suite and its score."""
        reference = self.stdlib_suite(module)
        tests = [test for test in reference.classes if (self.options.match or "") in test]
        suite = self.suite(self.ours, module)
        suite.run(test for test in tests if not self.is_flaky(test))
        # The stdlib is asked about tests that its stored results lack (they may come from another
        # patch version), and about those that were skipped (this machine may be the reason).
        known = self.baseline.of(module)
        skipped = {test for test, outcome in suite.outcomes.items() if outcome.status == "skip"}
        reference.run(
            test
            for test in tests
            if self.excluded.find(test) is None and (test in skipped or test not in known)
        )
        self.baseline.add(module, reference.outcomes)
        return suite, score(suite, tests, self.baseline.of(module), self.excluded, self.expected)

    def judged(self, modules):
        """Judge modules, some at a time, the longest first: each with its suite, score, seconds."""

        def judge(module):
            began = time.monotonic()
            return *self.judge(module), time.monotonic() - began

        def known_seconds(module):
            return sum(seconds for _, seconds in self.baseline.of(module).values())

        if self.options.jobs > 1:
            modules = sorted(modules, key=known_seconds, reverse=True)
        with ThreadPoolExecutor(self.options.jobs) as pool:
            running = [pool.submit(judge, module) for module in modules]
            try:
                for judgement in as_completed(running) if self.options.jobs > 1 else running:
                    yield judgement.result()
            except BaseException:
                GIVEN_UP.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def show(suite, verdict, seconds):
    counted = len(verdict.passed) + len(verdict.failed) + len(verdict.expected_failures)
    print(f"{suite.module}: {len(verdict.passed)} of {counted} passed in {seconds:.0f} s", end="")
    print(f", {len(verdict.excluded)} excluded ({len(verdict.bonus)} of them pass)", flush=True)
    for objection in verdict.refused:
        print(f"  REFUSED: {objection}")
    for test, why in {} if verdict.refused else verdict.failed.items():
        print(f"  FAILED {test}\n    {why.partition(chr(10))[0]}")
    for test, rule in verdict.expected_failures.items():
        print(f"  expected failure {test} ({rule})")
    for name in suite.altered:
        print(f"  {name} left traces in its process")
    if suite.processes_left:
        print(f"  {suite.processes_left} processes were left behind")


def judge_all(run, options):
    """Judge each module, print and store the results; returns the exit status."""
    stored, passed, failed, expected, refused, tests = {}, 0, 0, 0, False, []
    with closing(run.judged(list(run.modules()))) as judgements:
        for suite, verdict, seconds in judgements:
            show(suite, verdict, seconds)
            outcomes = {test: asdict(outcome) for test, outcome in suite.outcomes.items()}
            stored[suite.module] = asdict(verdict) | {
                "imports": suite.evidence.imports,
                "outcomes": outcomes,
                "seconds": round(seconds, 1),
            }
            passed += len(verdict.passed)
            failed += len(verdict.failed)
            expected += len(verdict.expected_failures)
            refused = refused or bool(verdict.refused)
            tests += suite.outcomes
    if not passed + failed + expected:
        raise CannotRun("no test is counted")
    if not options.match:
        for rule in run.expected.of_no_test(tests, stored, all_ran=options.tests is None):
            print(f"FAILED {options.xfail.name}: there is no test {rule.pattern}")
            failed += 1
    if options.out:
        result = {
            "python": run.interpreter.version,
            "baseline": run.baseline.python,
            "mapping": options.mapping,
            "passed": passed,
            "failed": failed,
            "modules": stored,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    replacements = ", ".join(options.mapping.values())
    print(f"CPython {run.interpreter.version}'s tests of {', '.join(options.mapping)}", end=" ")
    print(f"on {replacements}:\n{passed} passed, {failed} failed", flush=True)
    return 3 if refused else min(failed, 1)


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
