"""The runner of CPython's tests: what it must refuse, fail, survive and tidy up."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from conformance.rules import MalformedRule, Rules  # noqa: E402

WATCHDOG = 300

# The stdlib's source, run again under another name: classes of its own that work as they should.
FAITHFUL = """\
import queue
exec(compile(open(queue.__file__).read(), queue.__file__, "exec"))
SimpleQueue = _PySimpleQueue
"""

USES_QUEUE = """
import queue, unittest

class Tests(unittest.TestCase):
    def test_get(self):
        q = queue.Queue()
        q.put("bun")
        self.assertEqual(q.get(timeout=10), "bun")
"""


class Bench:
    """A replacement of `queue` and a test module about it, written for one test of the runner."""

    def __init__(self, directory):
        self.directory = directory
        self.scratch = directory / "tmp"
        self.tests = directory / "tests"
        self.package = directory / "lib" / "standin"
        for path in (self.scratch, self.tests, self.package):
            path.mkdir(parents=True)
        (self.package / "__init__.py").touch()
        self.replacement(FAITHFUL)
        self.test_module(USES_QUEUE)

    def replacement(self, source):
        (self.package / "queue.py").write_text(dedent(source))

    def test_module(self, source):
        (self.tests / "test_sample.py").write_text(dedent(source))

    def rules(self, name, *lines):
        path = self.directory / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def start(self, *options, exclude=(), xfail=(), **popen):
        self.out = self.directory / "out.json"
        command = [sys.executable, HERE / "run.py", "--map", "queue=standin.queue"]
        command += ["--tests", "test.test_sample", "--path", self.package.parent]
        command += ["--extra-tests", self.tests, "--out", self.out]
        command += ["--exclude", self.rules("exclude.txt", *exclude)]
        command += ["--xfail", self.rules("xfail.txt", *xfail), *options]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(self.scratch)},
            **popen,
        )

    def run(self, *options, **more):
        """The exit status, the output, and what --out says about the test module."""
        with self.start(*options, **more) as process:
            output, _ = process.communicate(timeout=WATCHDOG)
        verdict = None
        if self.out.exists():
            verdict = json.loads(self.out.read_text())["modules"]["test.test_sample"]
        return process.returncode, output, verdict


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_faithful_replacement_passes(bench):
    status, output, _ = bench.run()
    assert output.splitlines()[-1] == "1 passed, 0 failed"
    assert status == 0


@pytest.mark.parametrize(
    "replacement",
    [
        "from queue import *",
        "import sys, queue; sys.modules[__name__] = queue",
        FAITHFUL + "\nclass Queue(queue.Queue): pass",
        FAITHFUL + "\nSimpleQueue = queue.SimpleQueue",
        "import a_module_that_is_not_there",
    ],
    ids=["reexports", "is-the-original", "inherits", "borrows-one", "cannot-be-imported"],
)
def test_a_replacement_that_is_not_its_own_is_refused(bench, replacement):
    bench.replacement(replacement)
    status, output, _ = bench.run()
    assert "REFUSED" in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"
    assert status == 3


@pytest.mark.parametrize(
    "way_around",
    ["", "import sys; queue = sys.modules['queue']", "from logging.handlers import queue"],
    ids=["no-import", "sys.modules", "another-module"],
)
def test_tests_that_do_not_use_the_replacement_are_refused(bench, way_around):
    bench.test_module("import logging.handlers\n" + USES_QUEUE + f"\ndel queue\n{way_around}\n")
    if not way_around:
        bench.test_module("import unittest\nclass T(unittest.TestCase):\n def test(self): pass\n")
    status, output, _ = bench.run()
    assert "REFUSED" in output
    assert status == 3


def test_a_wrong_replacement_fails(bench):
    bench.replacement(FAITHFUL + "\nQueue.get = lambda self, block=True, timeout=None: None")
    status, output, verdict = bench.run()
    assert "FAILED test.test_sample.Tests.test_get" in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"
    assert verdict["failed"]["test.test_sample.Tests.test_get"].startswith("fail: AssertionError")
    assert status == 1


def test_an_expected_failure_is_no_failure(bench):
    bench.replacement(FAITHFUL + "\nQueue.get = lambda self, block=True, timeout=None: None")
    status, output, _ = bench.run(xfail=["* | test.test_sample.Tests.test_get | bug | it is wrong"])
    assert "expected failure test.test_sample.Tests.test_get (bug: it is wrong)" in output
    assert status == 2  # nothing is left that counts


def test_an_expected_failure_that_passes_fails_the_run(bench):
    status, output, _ = bench.run(xfail=["* | test.test_sample.Tests.test_get | bug | it is wrong"])
    assert "passed, but is expected to fail (bug: it is wrong)" in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"
    assert status == 1


def test_an_expected_failure_of_no_test_fails_the_run(bench):
    status, output, _ = bench.run(xfail=["* | test.test_sample.Tests.test_gone | bug | forgotten"])
    assert "there is no test test.test_sample.Tests.test_gone" in output
    assert output.splitlines()[-1] == "1 passed, 1 failed"
    assert status == 1


HAS_ALL_SORTS = """
import queue, os, sys, threading, unittest

OURS = queue.__name__ != "queue"

class HangTests(unittest.TestCase):
    def test_1_hangs(self):
        if OURS:
            threading.Lock().acquire() or self.fail()
            self.deadlock()

    def deadlock(self):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

    def test_2_comes_after_it(self):
        pass

class CrashTests(unittest.TestCase):
    def test_1_crashes(self):
        if OURS:
            print("the last words", flush=True)
            os._exit(7)

    def test_2_comes_after_it(self):
        pass

class SkipTests(unittest.TestCase):
    def test_skipped_everywhere(self):
        self.skipTest("not on this machine")

    def test_skipped_with_ours(self):
        if OURS:
            self.skipTest("it cannot do that")

class FixtureTests(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        if OURS:
            raise OSError("it cannot be torn down")

    def test_in_it(self):
        pass

class SubTests(unittest.TestCase):
    def test_excluded(self):
        pass

    def test_with_parts(self):
        for part in range(3):
            with self.subTest(part):
                self.assertFalse(OURS and part == 1)

if not OURS:
    class LostTests(unittest.TestCase):
        def test_lost(self):
            pass
"""


@pytest.fixture(scope="module")
def all_sorts(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("all_sorts"))
    bench.test_module(HAS_ALL_SORTS)
    exclude = ["* | test.test_sample.*.test_excluded | vacuous | it does nothing"]
    status, output, verdict = bench.run("--timeout", "5", exclude=exclude)
    assert status == 1, output
    verdict["output"] = output
    return verdict


def failure(verdict, test):
    return verdict["failed"][f"test.test_sample.{test}"]


def test_a_hanging_test_is_a_failure_that_shows_its_stack(all_sorts):
    why = failure(all_sorts, "HangTests.test_1_hangs")
    assert why.startswith("timeout: no end within 5 s")
    assert "in deadlock" in why
    assert "test.test_sample.HangTests.test_2_comes_after_it" in all_sorts["passed"]


def test_a_crash_is_a_failure_that_shows_the_last_output(all_sorts):
    why = failure(all_sorts, "CrashTests.test_1_crashes")
    assert why.startswith("crash: the worker died with status 7")
    assert "the last words" in why
    assert "test.test_sample.CrashTests.test_2_comes_after_it" in all_sorts["passed"]


def test_a_skip_is_a_failure_where_the_stdlib_does_not_skip(all_sorts):
    assert failure(all_sorts, "SkipTests.test_skipped_with_ours") == "skip: it cannot do that"
    assert all_sorts["not_counted"] == ["test.test_sample.SkipTests.test_skipped_everywhere"]


def test_a_failing_fixture_is_a_failure_of_its_own(all_sorts):
    assert "test.test_sample.FixtureTests.test_in_it" in all_sorts["passed"]
    why = all_sorts["failed"]["tearDownClass (test.test_sample.FixtureTests)"]
    assert why.startswith("error: OSError: it cannot be torn down")


def test_a_failing_part_of_a_test_fails_it(all_sorts):
    assert failure(all_sorts, "SubTests.test_with_parts").startswith("fail: AssertionError")


def test_a_test_that_the_replacement_makes_vanish_is_a_failure(all_sorts):
    assert failure(all_sorts, "LostTests.test_lost").startswith("lost")


def test_an_excluded_test_that_passes_is_reported(all_sorts):
    assert all_sorts["bonus"] == {
        "test.test_sample.SubTests.test_excluded": "vacuous: it does nothing"
    }
    assert "1 excluded (1 of them pass)" in all_sorts["output"]


LOOKS_AROUND = """
import importlib, queue, os, signal, subprocess, sys, unittest
import logging.handlers
from importlib import import_module
from queue import Queue
from test.support import import_helper
from unittest import mock

def child(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout

NAMES = "import queue, logging.handlers as h; print(queue.__name__, h.queue.__name__)"

class Tests(unittest.TestCase):
    def test_who_gets_what_here(self):
        name = queue.__name__
        self.assertIs(Queue, queue.Queue)
        self.assertIs(import_module("queue"), queue)
        self.assertIs(__import__("queue"), queue)
        fresh = import_helper.import_fresh_module("queue", blocked=["_queue"])
        self.assertEqual(fresh is queue, name != "queue")
        with mock.patch("queue.Empty") as patched:
            self.assertIs(queue.Empty, patched)
        self.assertEqual(logging.handlers.queue.__name__, "queue")
        self.assertEqual(sys.modules["queue"].__name__, "queue")

    def test_who_gets_what_in_children(self):
        wanted = f"{queue.__name__} queue\\n"
        for flags in ([], ["-I"], ["-E"], ["-s"]):
            self.assertEqual(child(sys.executable, *flags, "-c", NAMES), wanted)
        self.assertEqual(child(sys.executable, "-c", NAMES, env={}), wanted)
        with open("script.py", "w") as script:
            script.write("import a_module_of_the_test")
        with open("a_module_of_the_test.py", "w") as module:
            module.write(NAMES)
        self.assertEqual(child(sys.executable, "script.py"), wanted)

    def test_interrupts_are_not_ignored(self):
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def test_foreign_settings_are_unknown(self):
        self.assertNotIn("PYTHONOPTIMIZE", os.environ)
"""


def test_only_test_code_gets_the_replacement_and_so_do_children(bench):
    bench.test_module(LOOKS_AROUND)

    def as_a_background_job_in_a_shell():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    status, output, verdict = bench.run(preexec_fn=as_a_background_job_in_a_shell)
    assert verdict["failed"] == {}
    assert output.splitlines()[-1] == "4 passed, 0 failed"
    assert status == 0


def test_a_module_of_a_package_can_be_replaced(bench):
    package = bench.package / "futures"
    package.mkdir()
    (package / "__init__.py").write_text("from concurrent.futures import *\n")
    (package / "thread.py").touch()
    bench.test_module("""
        import concurrent.futures
        import concurrent.futures as futures
        import concurrent.futures.thread as thread
        from concurrent import futures as again
        from concurrent.futures import thread as thread_again
        import unittest

        class Tests(unittest.TestCase):
            def test_names(self):
                self.assertIs(futures, concurrent.futures)
                self.assertIs(futures, again)
                self.assertIs(thread, futures.thread)
                self.assertIs(thread, thread_again)
    """)
    status, output, verdict = bench.run("--map", "concurrent.futures=standin.futures")
    assert status == 0, output
    assert verdict["imports"]["test.test_sample"]["concurrent.futures"] == "standin.futures"


LEAVES_A_CHILD = """
import queue, subprocess, sys, unittest

class Tests(unittest.TestCase):
    def test_leave(self):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"],
                                 start_new_session=True)
        with open({file!r}, "a") as file:
            print(child.pid, file=file, flush=True)
        if {waits}:
            child.wait()
"""


def is_alive(process):
    """Whether it runs; what was killed may stay a zombie until its new parent looks."""
    try:
        stat = Path("/proc", process, "stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def assert_nothing_is_left(bench, processes):
    assert list(bench.scratch.iterdir()) == []
    assert processes
    assert [process for process in processes if is_alive(process)] == []


def test_a_run_leaves_no_process_and_no_file(bench):
    file = bench.directory / "children"
    bench.test_module(LEAVES_A_CHILD.format(file=str(file), waits=False))
    status, output, _ = bench.run()
    assert status == 0, output
    assert_nothing_is_left(bench, file.read_text().split())


def test_a_run_that_is_ended_early_leaves_no_process_and_no_file(bench):
    fifo = bench.directory / "children"
    os.mkfifo(fifo)
    bench.test_module(LEAVES_A_CHILD.format(file=str(fifo), waits=True))
    with bench.start() as process:
        with fifo.open() as children:
            processes = children.readline().split()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WATCHDOG)
    assert process.returncode == 128 + signal.SIGTERM
    assert_nothing_is_left(bench, processes)


def test_what_cannot_be_run_is_told_apart(bench):
    assert bench.run("--tests", "test.test_not_there")[0] == 2
    assert bench.run("--match", "no_such_test")[0] == 2
    assert bench.run(exclude=["a line that says nothing"])[0] == 2


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


@pytest.mark.parametrize("line", ["3.10 | a | b", "three | a | b | c", "3.10-x | a | b | c"])
def test_a_malformed_rule_is_an_error(tmp_path, line):
    path = tmp_path / "rules.txt"
    path.write_text(line)
    with pytest.raises(MalformedRule, match=r"rules.txt:1"):
        Rules(path, "3.11")


def test_every_exclusion_has_a_known_tag_and_a_reason():
    for name, tags in (("exclude.txt", {"name", "private", "subinterp", "vacuous"}),):
        for minor in range(10, 15):
            for rule in Rules(HERE / name, f"3.{minor}").rules:
                assert rule.tag in tags
                assert rule.reason
