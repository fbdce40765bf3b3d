"""Loads one test module, lists or runs tests of it, and writes down what happens.

`python -m conformance_worker JOB.json`, in the overlay environment. Each event is a line of JSON
at the end of the job's file `events`.
"""

import sys

if __name__ == "__main__":
    import conformance_redirect

    conformance_redirect.main_is_test_code = False

import json
import os
import signal
import time
import traceback
import unittest

_WORST_LAST = ("pass", "skip", "fail", "error")


class Events:
    def __init__(self, path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._pid = os.getpid()

    def write(self, kind, **fields):
        if os.getpid() != self._pid:
            os._exit(99)  # a child that a test forked has run on, into the next test
        os.write(self._descriptor, (json.dumps({"event": kind, **fields}) + "\n").encode())


class Result(unittest.TestResult):
    """Reports the worst outcome of each test as an event."""

    def __init__(self, events):
        super().__init__()
        self._events = events
        self._running = None

    def startTest(self, test):
        super().startTest(test)
        self._running, self._status, self._why = test.id(), None, ""
        self._events.write("start", id=self._running)
        self._began = time.perf_counter()

    def stopTest(self, test):
        if self._running is None:
            return
        seconds = round(time.perf_counter() - self._began, 3)
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
            self._events.write("end", id=test.id(), status=status, why=why, seconds=0)
        elif self._status is None or _WORST_LAST.index(status) > _WORST_LAST.index(self._status):
            self._status, self._why = status, why

    def addSuccess(self, test):
        self._outcome(test, "pass")

    def addSkip(self, test, reason):
        self._outcome(getattr(test, "test_case", test), "skip", str(reason))

    def addFailure(self, test, err):
        self._outcome(test, "fail", _described(err))

    def addError(self, test, err):
        self._outcome(test, "error", _described(err))

    def addExpectedFailure(self, test, err):
        self._outcome(test, "pass")

    def addUnexpectedSuccess(self, test):
        self._outcome(test, "fail", "unexpected success")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            status = "fail" if issubclass(err[0], test.failureException) else "error"
            self._outcome(test, status, f"{_described(err)}\n{subtest}")


def _described(err):
    """The error in one line, and below it where it came from."""
    last = "".join(traceback.format_exception_only(err[0], err[1])).strip()
    return f"{last[-1500:]}\n{''.join(traceback.format_exception(*err))[-4000:]}"


def _tests_in(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _tests_in(item)
        else:
            yield item


def _load(module):
    """The tests of that module by id, after all replacements are loaded."""
    import conformance_redirect as redirect

    for target in redirect.MAPPING.values():
        redirect.original_module(target)
    from test.support import import_helper

    redirect.keep_the_replacement_when_fresh_ones_are_wanted(import_helper)
    __import__(module)
    tests = {}
    for test in _tests_in(unittest.defaultTestLoader.loadTestsFromName(module)):
        if type(test).__name__ == "_FailedTest":
            raise test._exception
        tests.setdefault(test.id(), test)
    return tests


def _forget_ignored_signals():
    """A background job of a shell ignores SIGINT, and its children inherit that; the tests of
    Ctrl-C would wait for ever."""
    python_ignores = (signal.SIGPIPE, signal.SIGXFSZ)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *python_ignores}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    events = Events(job["events"])
    _forget_ignored_signals()
    import faulthandler

    faulthandler.enable()
    import warnings

    warnings.simplefilter("default")  # as unittest's own runner does
    import conformance_evidence as evidence

    try:
        tests = _load(job["module"])
    except unittest.SkipTest as error:
        events.write("load", status="skip", why=str(error))
        return
    except BaseException:
        events.write("load", status="error", why=_described(sys.exc_info()))
        return
    classes = {id: f"{type(t).__module__}.{type(t).__qualname__}" for id, t in tests.items()}
    events.write("load", status="pass", classes=classes, evidence=evidence.gather())
    if job["tests"] is None:
        events.write("listed")
        return
    from test import support

    support.environment_altered = False
    result = Result(events)
    unittest.TestSuite(tests[id] for id in job["tests"] if id in tests).run(result)
    events.write("done", altered=support.environment_altered, evidence=evidence.gather())


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
