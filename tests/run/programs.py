"""Runs programs with `manyhands run` and with plain `python`, from an empty directory."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

TIMEOUT = 120  # a watchdog, never a measure

SITE = Path(sysconfig.get_path("platlib"))
COMMAND = [sys.executable, "-m", "manyhands", "run"]


def environment(**changes):
    """This process's environment without the switch, and with changes; None removes."""
    found = {**os.environ, "MANYHANDS_RUN": None, "PYTHONPATH": None, **changes}
    return {name: value for name, value in found.items() if value is not None}


def _notice_hangups():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(command, **options):
    """A process that talks by pipes, in a group of its own; `nohup` does not reach it."""
    options.setdefault("env", environment())
    options.setdefault("stdin", subprocess.PIPE)
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
        preexec_fn=_notice_hangups,
        **options,
    )


def finish(process, text=None):
    """Wait for a process, but not for ever; its children of the same session end with it."""
    try:
        out, err = process.communicate(text, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        pytest.fail(f"hangs: {process.args}\n{out}\n{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class Place:
    """An empty directory, with programs in it and ways to run them."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def call(self, command, *, stdin=None, **options):
        options.setdefault("cwd", self.folder)
        return finish(start([*map(os.fspath, command)], **options), stdin)

    def run(self, *arguments, **options):
        """What `manyhands run ARGUMENTS` does."""
        return self.call([*COMMAND, *arguments], **options)

    def plain(self, *arguments, **options):
        """What `python ARGUMENTS` does."""
        return self.call([sys.executable, *arguments], **options)

    def code(self, text, *arguments, **options):
        """What a program on the engine prints; it must not fail, nor say anything on stderr."""
        self.write("program.py", text)
        done = self.run("program.py", *arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def same(self, *arguments, **options):
        """Both ways must print the same and end the same; returns what they did."""
        plain, ours = self.plain(*arguments, **options), self.run(*arguments, **options)
        assert (ours.returncode, ours.stdout, ours.stderr) == (
            plain.returncode,
            plain.stdout,
            plain.stderr,
        )
        return ours


class Clone(Place):
    """A virtual environment of its own, with a copy of the installed package if asked for."""

    def __init__(self, folder, package=True):
        super().__init__(folder)
        home = folder / "venv"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=TIMEOUT
        )
        self.python = home / "bin" / "python"
        (self.site,) = home.glob("lib/python3*/site-packages")
        if package:
            shutil.copytree(SITE / "manyhands", self.site / "manyhands")
            shutil.copy(SITE / "00-manyhands.pth", self.site)
            (metadata,) = SITE.glob("manyhands-*.dist-info")
            shutil.copytree(metadata, self.site / metadata.name)

    def run(self, *arguments, **options):
        return self.call([self.python, "-m", "manyhands", "run", *arguments], **options)

    def plain(self, *arguments, **options):
        return self.call([self.python, *arguments], **options)


#: Prints on which engine a process is: what a child in the tests is asked to run.
WHICH = "import queue; print(queue.Queue.__module__)"
ON, OFF = "manyhands.queue\n", "queue\n"
