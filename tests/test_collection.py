"""The garbage collector may run while an object of ours is being made."""

from __future__ import annotations

import subprocess
import sys

import pytest

ARGUMENTS = {
    "threading.Condition": "",
    "threading.Barrier": "1",
    "queue.Queue": "",
    "queue.LifoQueue": "",
    "queue.PriorityQueue": "",
    "queue.SimpleQueue": "",
    "synchronize.Condition": "ctx=multiprocessing",
    "synchronize.Lock": "ctx=multiprocessing",
    "queues.SimpleQueue": "ctx=multiprocessing",
    "sharedctypes.Synchronized": "multiprocessing.RawValue('i')",
}

PROGRAM = """
import gc
from manyhands import multiprocessing, queue, threading
from manyhands.multiprocessing import queues, sharedctypes, synchronize

class Subclass({name}):
    pass

gc.set_threshold(1, 1, 1)
for _ in range(200):
    made = Subclass({arguments})
    made.attribute = [made]
print("done")
"""


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_object_of_a_subclass_can_be_made_while_the_collector_runs(name: str) -> None:
    source = PROGRAM.format(name=name, arguments=ARGUMENTS[name])
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr
