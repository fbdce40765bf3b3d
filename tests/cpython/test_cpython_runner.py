"""The runner of CPython's tests: what it must refuse, fail, survive and tidy up."""

import os
import signal
from pathlib import Path

import pytest
from cpython.sample import FAITHFUL, USES_QUEUE, WATCHDOG, Sample

pytestmark = pytest.mark.patience(WATCHDOG + 60)

WRONG = FAITHFUL + "\nQueue.get = lambda self, block=True, timeout=None: None"
EXPECTED = "* | test.test_sample.Tests.test_get | bug | it is wrong"


@pytest.fixture
def sample(tmp_path):
    return Sample(tmp_path)


def test_a_faithful_replacement_passes(sample):
    status, output, _ = sample.run()
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
def test_a_replacement_that_is_not_its_own_is_refused(sample, replacement):
    sample.replacement(replacement)
    status, output, _ = sample.run()
    assert "REFUSED" in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"
    assert status == 3


@pytest.mark.parametrize(
    "way_around",
    ["", "import sys; queue = sys.modules['queue']", "from logging.handlers import queue"],
    ids=["no-import", "sys.modules", "another-module"],
)
def test_tests_that_do_not_use_the_replacement_are_refused(sample, way_around):
    sample.test_module("import logging.handlers\n" + USES_QUEUE + f"\ndel queue\n{way_around}\n")
    if not way_around:
        sample.test_module("import unittest\nclass T(unittest.TestCase):\n def test(self): pass\n")
    status, output, _ = sample.run()
    assert "REFUSED" in output
    assert status == 3


def test_a_wrong_replacement_fails(sample):
    sample.replacement(WRONG)
    status, output, verdict = sample.run()
    assert "FAILED test.test_sample.Tests.test_get" in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"
    assert verdict["failed"]["test.test_sample.Tests.test_get"].startswith("fail: AssertionError")
    assert status == 1


def test_an_expected_failure_is_no_failure(sample):
    sample.replacement(WRONG)
    status, output, _ = sample.run(xfail=[EXPECTED])
    assert "expected failure test.test_sample.Tests.test_get (bug: it is wrong)" in output
    assert output.splitlines()[-1] == "0 passed, 0 failed"
    assert status == 0


def test_an_expected_failure_that_passes_fails_the_run(sample):
    status, output, _ = sample.run(xfail=[EXPECTED])
    assert "passed, but is expected to fail (bug: it is wrong)" in output
    assert output.splitlines()[-1] == "0 passed, 1 failed"
    assert status == 1


def test_an_expected_failure_of_no_test_fails_the_run(sample):
    status, output, _ = sample.run(xfail=["* | test.test_sample.Tests.test_gone | bug | forgotten"])
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
    sample = Sample(tmp_path_factory.mktemp("all_sorts"))
    sample.test_module(HAS_ALL_SORTS)
    exclude = ["* | test.test_sample.*.test_excluded | vacuous | it does nothing"]
    status, output, verdict = sample.run("--timeout", "5", exclude=exclude)
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


def test_after_some_hanging_tests_the_rest_of_the_module_has_failed(sample):
    sample.test_module("""
        import queue, unittest

        class Tests(unittest.TestCase):
            def test_hang(self):
                if queue.__name__ != "queue":
                    queue.Queue().get()

            test_1 = test_2 = test_3 = test_4 = test_5 = test_hang

        class UnreachedTests(unittest.TestCase):
            def test(self):
                pass
    """)
    status, _, verdict = sample.run("--timeout", "1")
    reasons = [why.splitlines()[0] for why in verdict["failed"].values()]
    assert reasons.count("timeout: no end within 1 s") == 4
    assert reasons.count("timeout: not tried: 4 tests hung before") == 3
    assert status == 1


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


def test_only_test_code_gets_the_replacement_and_so_do_children(sample):
    sample.test_module(LOOKS_AROUND)

    in_the_background = ("sh", "-c", 'trap "" INT TERM; exec "$@"', "sh")
    status, output, verdict = sample.run(prefix=in_the_background)
    assert verdict["failed"] == {}
    assert output.splitlines()[-1] == "4 passed, 0 failed"
    assert status == 0


def test_a_module_of_a_package_can_be_replaced(sample):
    package = sample.package / "futures"
    package.mkdir()
    (package / "__init__.py").write_text("from concurrent.futures import *\n")
    (package / "thread.py").touch()
    sample.test_module("""
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
    status, output, verdict = sample.run("--map", "concurrent.futures=standin.futures")
    assert status == 0, output
    assert verdict["imports"]["test.test_sample"]["concurrent.futures"] == "standin.futures"


LEAVES_A_CHILD = """
import queue, subprocess, sys, unittest

class Tests(unittest.TestCase):
    def test_leave(self):
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"],
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


def assert_nothing_is_left(sample, processes):
    assert list(sample.scratch.iterdir()) == []
    assert processes
    assert [process for process in processes if is_alive(process)] == []


def test_a_run_leaves_no_process_and_no_file(sample):
    file = sample.directory / "children"
    sample.test_module(LEAVES_A_CHILD.format(file=str(file), waits=False))
    status, output, _ = sample.run()
    assert status == 0, output
    assert_nothing_is_left(sample, file.read_text().split())


def test_a_run_that_is_ended_early_leaves_no_process_and_no_file(sample):
    fifo = sample.directory / "children"
    os.mkfifo(fifo)
    sample.test_module(LEAVES_A_CHILD.format(file=str(fifo), waits=True))
    with sample.started() as process:
        with fifo.open() as children:
            processes = children.readline().split()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WATCHDOG)
    assert process.returncode == 128 + signal.SIGTERM
    assert_nothing_is_left(sample, processes)


MEETS_ANOTHER = """
import queue, unittest

class Tests(unittest.TestCase):
    def test_meet(self):
        open({fifo!r}, {mode!r}).close()
"""


def test_modules_can_run_side_by_side(sample):
    fifo = sample.directory / "fifo"
    os.mkfifo(fifo)
    sample.test_module(MEETS_ANOTHER.format(fifo=str(fifo), mode="r"))
    other = MEETS_ANOTHER.format(fifo=str(fifo), mode="w")
    (sample.tests / "test_other.py").write_text(other)
    status, output, _ = sample.run("--jobs", "2", "--tests", "test.test_sample", "test.test_other")
    assert output.splitlines()[-1] == "2 passed, 0 failed"
    assert status == 0


def test_what_cannot_be_run_is_told_apart(sample):
    assert sample.run("--tests", "test.test_not_there")[0] == 2
    assert sample.run("--match", "no_such_test")[0] == 2
    assert sample.run(exclude=["a line that says nothing"])[0] == 2
