"""Programs made at random, whose deadlocks are known from how they are made."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import PATIENCE

#: So many programs run side by side in a process.
PROGRAMS = 100

#: Threads take what they hold, all of them, then want one more, which some give up after a while.
SOURCE = """
import json, sys, time
from manyhands import threading, watch

kind, programs = json.loads(sys.stdin.read())
make = getattr(threading, kind)
going = []

def work(program, number, locks, ready):
    holds, wanted, limited = program["threads"][number]
    for lock in holds:
        locks[lock].acquire()
    ready.wait()
    if wanted is not None and locks[wanted].acquire(timeout=0.2 if limited else -1):
        locks[wanted].release()
    for lock in holds:
        locks[lock].release()

for index, program in enumerate(programs):
    locks = [make() for _ in range(program["locks"])]
    ready = threading.Barrier(len(program["threads"]))
    for number in range(len(program["threads"])):
        name = f"{index}.{number}"
        args = (program, number, locks, ready)
        going.append(threading.Thread(target=work, args=args, name=name, daemon=True))
for thread in going:
    thread.start()
ends = set(json.loads(sys.argv[1]))
for thread in going:
    if thread.name in ends:
        thread.join()
print(watch.why())
"""


def make(dice: random.Random) -> dict[str, object]:
    """A program: what each thread holds, what it wants then, and whether it gives up."""
    threads, locks = dice.randint(1, 5), dice.randint(1, 6)
    holders = [dice.choice([None, *range(threads)]) for _ in range(locks)]
    script = []
    for number in range(threads):
        holds = [lock for lock, holder in enumerate(holders) if holder == number]
        others = [lock for lock in range(locks) if lock not in holds]
        wanted = dice.choice([None, *others]) if others else None
        script.append((holds, wanted, dice.random() < 0.1))
    return {"locks": locks, "threads": script}


def stuck(program: dict[str, object]) -> set[int]:
    """Which threads never end: found by letting those end that can, until none can."""
    script: list[tuple[list[int], int | None, bool]] = program["threads"]  # type: ignore[assignment]
    held = {lock for holds, _, _ in script for lock in holds}
    left = set(range(len(script)))
    while True:
        ends = {number for number in left if script[number][1] not in held or script[number][2]}
        if not ends:
            return left
        left -= ends
        held -= {lock for number in ends for lock in script[number][0]}


@pytest.mark.parametrize("kind", ["RLock", "Lock"])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_missed_and_nobody_wronged(tmp_path: Path, kind: str, seed: int) -> None:
    import json

    dice = random.Random(seed)
    programs = [make(dice) for _ in range(PROGRAMS)]
    expected = {f"{index}.{number}" for index, it in enumerate(programs) for number in stuck(it)}
    every = {f"{index}.{n}" for index, it in enumerate(programs) for n in range(len(it["threads"]))}  # type: ignore[arg-type]
    assert expected
    assert expected != every
    file = tmp_path / "program.py"
    file.write_text(SOURCE)
    done = subprocess.run(
        [sys.executable, str(file), json.dumps(sorted(every - expected))],
        input=json.dumps([kind, programs]),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    knots = done.stdout.split("\nprocess ")[0]
    told = re.findall(r"  thread (\d+\.\d+) of process", knots)
    assert sorted(told) == sorted(expected)
    sure = "deadlock" if kind == "RLock" else "probably a deadlock"
    assert set(re.findall(r"^manyhands: ([a-z ]+):", knots, re.MULTILINE)) == {sure}
