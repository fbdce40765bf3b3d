"""Runs `manyhands serve`, `manyhands worker`, and programs that use their queues."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from programs import Place, finish, start
from support import until

MANYHANDS = [sys.executable, "-m", "manyhands"]

KEY = "a key of these tests"

#: What a program of the standard library alone does that uses the queues.
CLIENT = """
    import queue, sys
    from multiprocessing.managers import BaseManager

    class Queues(BaseManager):
        pass

    address, key, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
    kind, _, rest = address.partition("://")
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        rest = host, int(port)
    for name in names:
        Queues.register(name)
    manager = Queues(rest, key.encode())
    manager.connect()
    globals().update((name, getattr(manager, name)()) for name in names)
"""


def key_file(folder, text, mode=0o600):
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return path


#: What the workers of these tests call.
TASKS = """
    import os, pathlib, signal, sys

    def square(number):
        return number * number

    def careful(number):
        if number == 13:
            raise ValueError("thirteen is not for me")
        if number == 14:
            sys.exit("nor is fourteen")
        if number == 15:
            return lambda: None
        return number

    def once(folder):
        # Who comes first is killed in the middle of it.
        path = pathlib.Path(folder)
        try:
            (path / "first").touch(exist_ok=False)
        except FileExistsError:
            return "done by another"
        os.kill(os.getpid(), signal.SIGKILL)

    def slow(path):
        pathlib.Path(path).touch()
        signal.pause()
"""

#: Ends workers once they have done all that was put.
SHUT_DOWN = "\ntasks._callmethod('shutdown')\n"


class Running:
    """A command that runs, and what it writes to stderr."""

    def __init__(self, process):
        self.process = process
        self.said = ""
        os.set_blocking(process.stderr.fileno(), False)

    def says(self, pattern):
        """Wait until it says something."""

        def look():
            with suppress(BlockingIOError):
                self.said += os.read(self.process.stderr.fileno(), 1 << 16).decode()
            return re.search(pattern, self.said)

        def look_or_fail():
            found = look()
            if not found and self.process.poll() is not None:
                found = look()
                assert found, f"it ended with {self.process.returncode}: {self.said}"
            return found

        return until(look_or_fail, f"{pattern!r} in what the command says")

    def end(self, number=None):
        """Its status, once it has ended; all that it has said is in `said`."""
        if number is not None:
            self.process.send_signal(number)
        os.set_blocking(self.process.stderr.fileno(), True)
        done = finish(self.process)
        self.said += done.stderr
        return done.returncode


@contextmanager
def running(folder, *arguments, on=()) -> Iterator[Running]:
    process = start([*on, *MANYHANDS, *map(os.fspath, arguments)], cwd=folder)
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@contextmanager
def serving(folder, *arguments, bind="tcp://127.0.0.1:0", on=()):
    """A server, and its address."""
    with running(folder, "serve", "--bind", bind, *arguments, on=on) as server:
        yield server, server.says(r"serving .* at (\S+)\n")[1]


def worker(place, key, address, function, *more, take="tasks", on=()):
    """Workers that call one of the functions in TASKS."""
    return running(
        place.folder,
        *("worker", address, f"tasks_of_tests:{function}", "--take", take),
        *("--authkey-file", key, *more),
        on=on,
    )


def client(place, text, address, names, **options):
    """Run a program that uses the queues; returns what it prints."""
    done = start_client(place, text, address, names, **options)
    done = finish(done)
    assert done.returncode == 0, done
    return done.stdout


def start_client(place, text, address, names, on=(), **options):
    path = place.folder / f"client{len(list(place.folder.glob('client*')))}.py"
    Place(place.folder).write(path.name, CLIENT)
    with path.open("a") as file:
        file.write(text)
    return start([*on, sys.executable, path.name, address, KEY, names], cwd=place.folder, **options)


def refused(place, *arguments):
    """Why a command is refused."""
    done = place.call([*MANYHANDS, *map(os.fspath, arguments)])
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def in_one_line(done, words):
    """A command has ended with an error of one line."""
    assert (done.returncode, done.stdout) == (1, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("manyhands: ")
    assert re.search(words, line), line
