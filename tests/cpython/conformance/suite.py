"""One test module: each of its classes in a process of its own, under a watchdog."""

import time
from dataclasses import dataclass, field

#: After so many hangs, what is left of a module is given up.
_HANGS = 4


@dataclass(frozen=True)
class Outcome:
    """What became of a test: pass, skip, fail, error, timeout or crash."""

    status: str
    seconds: float = 0
    why: str = ""


@dataclass
class Evidence:
    """What test code imported, and what speaks against its having used the replacement."""

    imports: dict = field(default_factory=dict)
    objections: set = field(default_factory=set)

    def add(self, gathered):
        for importer, names in gathered["imports"].items():
            self.imports.setdefault(importer, {}).update(names)
        self.objections.update(gathered["objections"])


@dataclass
class _Attempt:
    """What one worker process told."""

    load_error: Outcome | None = None
    classes: dict = field(default_factory=dict)
    running: str | None = None  # the test, if it broke off in one
    broken_off: Outcome | None = None
    fixtures: dict = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)  # of the last event
    done: bool = False


class Suite:
    """The tests of a module against what an overlay's mapping says.

    `limit(test)` is how many seconds that test may take; `report(test, outcome)` is told of each.
    """

    #: How many seconds a worker may take for what is no test: loading, setting up, ending.
    outside_tests = 180

    def __init__(self, overlay, module, limit, report):
        self._overlay, self._limit, self._report = overlay, limit, report
        self.module = module
        self.outcomes = {}
        self.failed_fixtures = {}
        self.evidence = Evidence()
        self.altered = []  # classes that left traces in their process
        self.processes_left = 0
        self._hangs = 0
        self.classes = {}  # of each test
        self.load_error = None

    def listed(self):
        """The suite, after the module was loaded to see which tests it has."""
        listing = self._attempt("", None)
        self.classes = listing.classes
        self.load_error = listing.load_error or listing.broken_off
        return self

    def objections(self):
        """Why what came of the tests proves nothing."""
        if self.load_error is not None:
            return [f"the test module was not loaded: {self.load_error.why}"]
        objections = sorted(self.evidence.objections)
        helpers = ("test.support", "test.lock_tests")
        if not any(
            importer.startswith("test.") and not importer.startswith(helpers)
            for importer in self.evidence.imports
        ):
            objections.append("no test module imported what is replaced")
        return objections

    def run(self, tests):
        """Run those of these tests that the module has."""
        classes = {}
        for test in tests:
            if test in self.classes:
                classes.setdefault(self.classes[test], []).append(test)
        for name, members in classes.items():
            self._run_class(name, members)

    def _run_class(self, name, left):
        while left and self._hangs < _HANGS:
            attempt = self._attempt(name, left)
            left = [test for test in left if test not in self.outcomes]
            if attempt.broken_off is not None and attempt.running is not None:
                self._record(attempt.running, attempt.broken_off)
                left.remove(attempt.running)
                self._hangs += attempt.broken_off.status == "timeout"
                continue  # with what comes after it, in a new process
            if attempt.broken_off is not None:
                self.failed_fixtures[f"{name}, outside its tests"] = attempt.broken_off
                why_not = Outcome("error", 0, "the worker broke off outside its tests")
            else:
                why_not = attempt.load_error or _why_fixtures_prevented_tests(attempt.fixtures)
            for test in left:
                self._record(test, why_not)
            return
        for test in left:
            self._record(test, Outcome("timeout", 0, f"not tried: {_HANGS} tests hung before"))

    def _record(self, test, outcome):
        self.outcomes[test] = outcome
        self._report(test, outcome)

    def _attempt(self, name, tests):
        """Follow a worker through these tests, or through listing all if None."""
        attempt = _Attempt()
        with self._overlay.worker(self.module, tests) as worker:
            pause = 0.01
            while True:
                has_ended = worker.has_ended()
                events = worker.new_events()
                for event in events:
                    self._take(event, attempt, name)
                    attempt.since = time.monotonic()
                if has_ended:
                    if not attempt.done:
                        why = f"the worker died with status {worker.exit_status()}"
                        attempt.broken_off = Outcome("crash", 0, f"{why}\n{worker.last_output()}")
                    self.processes_left += worker.processes_left()
                    return attempt
                limit = self._limit(attempt.running) if attempt.running else self.outside_tests
                if time.monotonic() - attempt.since > limit:
                    worker.abort()
                    why = f"no end within {limit:.0f} s\n{worker.last_output()}"
                    attempt.broken_off = Outcome("timeout", limit, why)
                    return attempt
                pause = 0.01 if events else min(0.2, pause * 1.3)
                worker.pause(pause)

    def _take(self, event, attempt, name):
        match event.pop("event"):
            case "load" if event["status"] == "pass":
                attempt.classes = event["classes"]
                self.evidence.add(event["evidence"])
            case "load":
                attempt.load_error = Outcome(**event)
                attempt.done = True
            case "listed":
                attempt.done = True
            case "start":
                attempt.running = event["id"]
            case "end":
                self._record(event.pop("id"), Outcome(**event))
                attempt.running = None
            case "fixture":
                fixture = event.pop("id")
                attempt.fixtures[fixture] = Outcome(**event)
                if event["status"] != "skip":
                    self.failed_fixtures[fixture] = attempt.fixtures[fixture]
            case "done":
                attempt.done = True
                self.evidence.add(event["evidence"])
                if event["altered"]:
                    self.altered.append(name)


def _why_fixtures_prevented_tests(fixtures):
    for fixture, outcome in fixtures.items():
        if fixture.startswith("setUp"):
            status = "skip" if outcome.status == "skip" else "error"
            return Outcome(status, 0, f"{fixture}: {outcome.why}")
    return Outcome("error", 0, "it did not run")
