"""Runs one test module of gevent as `python -m` does, and writes down what happens.

`python -m gevent_worker JOB.json`. What the module gives to unittest's runner is run here: each
event is a line of JSON at the end of the job's file. A module that has no tests for unittest is a
script, and itself a test. Modules of the standard library are run under patch_all(), by gevent's
own program for that.

Little is imported, as gevent has tests of what is there before it patches; and what gevent patches
is taken before.
"""

import json
import os
import runpy
import signal
import sys
import traceback
import unittest
from collections import Counter
from os import _exit, getpid, write
from time import perf_counter

from gevent_redirect import evidence

_WORST_LAST = ("pass", "skip", "fail", "error")
_LEAVES_A_FORK = 99


class Events:
    def __init__(self, path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._pid = getpid()

    def write(self, kind, **fields):
        if getpid() != self._pid:
            _exit(_LEAVES_A_FORK)  # a child that a test forked has run on, into the next test
        write(self._descriptor, (json.dumps({"event": kind, **fields}) + "\n").encode())


class Result(unittest.TestResult):
    """Reports the worst outcome of each test as an event."""

    def __init__(self, events, names):
        super().__init__()
        self._events, self._names = events, names
        self._running = None

    def startTest(self, test):
        super().startTest(test)
        self._running, self._status, self._why = self._names[test], None, ""
        self._events.write("start", id=self._running)
        self._began = perf_counter()

    def stopTest(self, test):
        if self._running is None:
            return
        seconds = round(perf_counter() - self._began, 3)
        status, why = self._status, self._why
        if status is None:
            status, why = "error", "no outcome was reported"
        self._events.write("end", id=self._running, status=status, why=why, seconds=seconds)
        self._running = None
        super().stopTest(test)

    def _outcome(self, test, status, why=""):
        if type(test).__name__ == "_ErrorHolder":  # stands for setUpClass and the like
            self._events.write("fixture", id=test.id(), status=status, why=why)
        elif self._running is None:  # 3.12.1 skips tests without starting them
            self._events.write("end", id=self._names[test], status=status, why=why, seconds=0)
        elif self._status is None or _WORST_LAST.index(status) > _WORST_LAST.index(self._status):
            self._status, self._why = status, why

    def addSuccess(self, test):
        self._outcome(test, "pass")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._outcome(getattr(test, "test_case", test), "skip", str(reason))

    def addFailure(self, test, err):
        self._outcome(test, "fail", described(err))

    def addError(self, test, err):
        self._outcome(test, "error", described(err))

    def addExpectedFailure(self, test, err):
        self._outcome(test, "pass")

    def addUnexpectedSuccess(self, test):
        self._outcome(test, "fail", "unexpected success")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            status = "fail" if issubclass(err[0], test.failureException) else "error"
            self._outcome(test, status, f"{described(err)}\n{subtest}")


def described(err):
    """The error in one line, and below it where it came from."""
    last = "".join(traceback.format_exception_only(err[0], err[1])).strip()
    return f"{last[-1500:]}\n{''.join(traceback.format_exception(*err))[-4000:]}"


def tests_in(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_in(item)
        else:
            yield item


class Runner:
    """In the place of unittest's: runs the tests of the job."""

    job = events = None
    original = unittest.TextTestRunner
    was_run = False

    def __new__(cls, *args, **kwargs):
        # Tests that use a runner themselves get unittest's.
        return cls.original(*args, **kwargs) if cls.was_run else super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def run(self, suite):
        Runner.was_run = True
        names, times = {}, Counter()
        for test in tests_in(suite):
            if type(test).__name__ == "_FailedTest":
                raise test._exception
            name = test.id().replace("__main__", self.job["module"], 1)
            times[name] += 1
            names[test] = name if times[name] == 1 else f"{name}#{times[name]}"
        classes = dict.fromkeys(names.values(), self.job["module"])
        self.events.write("load", status="pass", classes=classes, evidence=evidence())
        result = Result(self.events, names)
        wanted = self.job["tests"]
        chosen = [test for test, name in names.items() if wanted is None or name in wanted]
        unittest.TestSuite(chosen).run(result)
        self.events.write("done", altered=False, evidence=evidence())
        return result


def run_script(job, events):
    """A module without tests is one, which fails by what it raises or exits with."""
    tell_of_script(job, events)
    sys.argv = [job["module"]]
    began, status, why = perf_counter(), "pass", ""
    try:
        runpy._run_module_as_main(job["module"])
    except unittest.SkipTest as error:
        status, why = "skip", str(error)
    except SystemExit as error:
        if error.code:
            status, why = "fail", f"it exits with {error.code!r}"
    except BaseException:
        status, why = "error", described(sys.exc_info())
    tell_of_script(job, events, status, why, round(perf_counter() - began, 3))


def tell_of_script(job, events, status=None, why="", seconds=0):
    """That it starts, or how it has ended."""
    name, nothing = f"{job['module']}.(script)", {"imports": {}, "objections": []}
    found = nothing if status is None else evidence()
    events.write("load", status="pass", classes={name: job["module"]}, evidence=found)
    if status is None:
        events.write("start", id=name)
        return
    events.write("end", id=name, status=status, why=why, seconds=seconds)
    events.write("done", altered=False, evidence=found)


def run_tests(job, events):
    unittest.TextTestRunner = unittest.runner.TextTestRunner = Runner
    Runner.job, Runner.events = job, events
    try:
        if "patched" in job:
            sys.argv = ["monkey_test", job["patched"]]
            runpy._run_module_as_main("gevent.testing.monkey_test", alter_argv=True)
            if not Runner.was_run:  # nothing at the module's end says so
                unittest.main(module="__main__", argv=sys.argv[:1])
        else:
            sys.argv = [job["module"]]
            runpy._run_module_as_main(job["module"])
    except unittest.SkipTest as error:
        if not Runner.was_run:
            events.write("load", status="skip", why=str(error))
    except SystemExit as error:
        if not Runner.was_run:
            events.write("load", status="error", why=f"it exits with {error.code!r}")
    except BaseException:
        if Runner.was_run:
            raise
        events.write("load", status="error", why=described(sys.exc_info()))
    else:
        if not Runner.was_run:
            tell_of_script(job, events, "pass", "", 0)


def forget_ignored_signals():
    """A background job of a shell ignores SIGINT, and its children inherit that."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        if number != signal.SIGXFSZ and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    events = Events(job["events"])
    forget_ignored_signals()
    if job["script"]:
        run_script(job, events)
    else:
        run_tests(job, events)
