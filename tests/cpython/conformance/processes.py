"""A worker process, and whatever the tests in it start: watched, and ended without remains."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

_MARKER = "CONFORMANCE_WORKER"
# What could change the meaning of tests, in the environment of whoever runs us.
_FOREIGN_VARIABLES = ("PYTHON", "VIRTUAL_ENV", "MANYHANDS", "GEVENT", _MARKER)

#: Set when the run ends early: who follows a worker then gives up, in whatever thread.
GIVEN_UP = threading.Event()


class GivenUp(Exception):
    """The run ends early."""


class Worker:
    """One worker process in a session and a scratch directory of its own.

    It runs the module `main`, with these environment variables beside the usual ones.
    """

    _numbers = itertools.count(1)

    def __init__(self, python, scratch, job, main="conformance_worker", variables=None):
        number = next(Worker._numbers)
        self._marker = f"{os.getpid()}-{number}"
        self._directory = Path(scratch, str(number))
        self._events = self._directory / "events"
        self._output = self._directory / "output"
        self._read = 0
        for name in ("cwd", "t"):
            (self._directory / name).mkdir(parents=True)
        job_file = self._directory / "job.json"
        job_file.write_text(json.dumps({**job, "events": str(self._events)}), encoding="utf-8")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_FOREIGN_VARIABLES)
        }
        environment |= {"TMPDIR": str(self._directory / "t"), _MARKER: self._marker}
        environment |= variables or {}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [python, "-u", "-m", main, job_file],
                cwd=self._directory / "cwd",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._kill_all()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def has_ended(self):
        return self._process.poll() is not None

    def pause(self, seconds):
        if GIVEN_UP.wait(seconds):
            raise GivenUp

    def exit_status(self):
        return self._process.returncode

    def new_events(self):
        """What the worker wrote since the last call."""
        try:
            with self._events.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return []
        complete = text[: text.rfind(b"\n") + 1]
        self._read += len(complete)
        return [json.loads(line) for line in complete.splitlines()]

    def last_output(self, size=6000):
        with self._output.open("rb") as file:
            file.seek(max(0, self._output.stat().st_size - size))
            return file.read().decode("utf-8", "replace")

    def abort(self, grace=5):
        """End a worker that hangs; first let it write where its threads are."""
        self._process.send_signal(signal.SIGABRT)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._kill_all()
            self._process.wait()

    def processes_left(self, grace=3):
        """How many processes a worker that has ended leaves behind, with some time to go."""
        deadline = time.monotonic() + grace
        while True:
            left = self._members()
            if not left or time.monotonic() >= deadline:
                return len(left)
            time.sleep(0.05)

    def _kill_all(self):
        """Kill what there is until there is nothing (it may fork meanwhile)."""
        for _ in range(50):
            members = self._members()
            if not members:
                return
            for process in members:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    def _members(self):
        """Live processes of the worker's session, and those that bear its mark elsewhere."""
        mark = f"{_MARKER}={self._marker}".encode()
        found = []
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                state = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()
                if state[0] == "Z":
                    continue
                if int(state[3]) != self._process.pid:
                    variables = Path("/proc", process, "environ").read_bytes().split(b"\0")
                    if mark not in variables:
                        continue
            except OSError:  # it has ended, or is somebody else's
                continue
            found.append(int(process))
        return found
