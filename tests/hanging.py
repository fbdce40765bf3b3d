"""Programs that hang, for tests of what observers are told of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEAD = """
import os, signal, sys, time
from manyhands import multiprocessing, queue, threading, watch
from manyhands.concurrent.futures import Future, ThreadPoolExecutor

def start(function, *args):
    thread = threading.Thread(target=function, args=args, name=function.__name__, daemon=True)
    thread.start()
    return thread

def until_waited(seconds):
    # Somebody has waited so long, and observers are answered.
    def waited():
        return [each["waited"] for seen in watch.snapshot() for each in seen["waiters"]]
    while max(waited(), default=0) < seconds:
        time.sleep(0.01)
    watch.why()

def until_told(*words):
    # The line that calls this is told as well: so in pieces.
    words = " ".join(words)
    while words not in watch.why():
        time.sleep(0.01)
"""


def write(path: Path, program: str) -> Path:
    file = path / "program.py"
    file.write_text(HEAD + textwrap.dedent(program))
    return file


@contextmanager
def hanging(path: Path, program: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A program that says when it is there, and is killed in the end, with its children."""
    process = subprocess.Popen(
        [sys.executable, str(write(path, program)), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
