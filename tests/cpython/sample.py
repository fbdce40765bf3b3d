"""A replacement of `queue` and tests of it, for the runner's own tests to get wrong on purpose."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

HERE = Path(__file__).parent

#: Seconds after which a run of the runner will not end any more.
WATCHDOG = 240


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


class Sample:
    """A replacement of `queue` and a test module about it, written for the runner to run."""

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

    @contextmanager
    def started(self, *options, exclude=(), xfail=(), prefix=()):
        self.out = self.directory / "out.json"
        command = [*prefix, sys.executable, HERE / "run.py", "--map", "queue=standin.queue"]
        command += ["--tests", "test.test_sample", "--path", self.package.parent]
        command += ["--extra-tests", self.tests, "--out", self.out]
        command += ["--exclude", self.rules("exclude.txt", *exclude)]
        command += ["--xfail", self.rules("xfail.txt", *xfail), *options]
        environment = {**os.environ, "TMPDIR": str(self.scratch)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as process:
            try:
                yield process
            finally:
                process.terminate()

    def run(self, *options, **more):
        """The exit status, the output, and what --out says about the test module."""
        with self.started(*options, **more) as process:
            output, _ = process.communicate(timeout=WATCHDOG)
        verdict = None
        if self.out.exists():
            verdict = json.loads(self.out.read_text())["modules"]["test.test_sample"]
        return process.returncode, output, verdict
