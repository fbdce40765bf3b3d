"""Descriptors that are passed to a child arrive there, whatever numbers they have."""

from __future__ import annotations

from pathlib import Path

import children
import pytest
from support import run_script

#: A program whose descriptors from 3 on are files of its own. Children come from a zygote, or, as
#: if there were none, are interpreters of their own.
PROGRAM = f"""
import os, random, resource, sys
sys.path.insert(0, {str(Path(children.__file__).parent)!r})
import children
from manyhands.multiprocessing import get_context, popen_spawn_posix
method, source = sys.argv[1:]
if source == 'interpreter':
    popen_spawn_posix.order = lambda *ignored: None
context = get_context(method)
def is_open(number): return os.path.exists(f'/proc/self/fd/{{number}}')
def fill(numbers):
    for number in numbers:
        fd = os.memfd_create('a file')
        if fd != number:
            os.dup2(fd, number)
            os.close(fd)
    return numbers
def check(numbers, same=True):
    passed = [children.Passed(number) for number in numbers]
    same = same and method == 'spawn'
    process = context.Process(target=children.check, args=(passed, same))
    process.start()
    process.join()
    assert process.exitcode == 0, numbers
    process.close()
numbers = fill([number for number in range(3, 24) if not is_open(number)])
assert len(numbers) > 15
"""

pytestmark = [
    pytest.mark.patience(180),
    pytest.mark.parametrize("source", ["zygote", "interpreter"]),
    pytest.mark.parametrize("method", ["spawn", "forkserver"]),
]


def test_they_arrive_at_the_first_child(method: str, source: str) -> None:
    run_script(PROGRAM + "check(numbers)\ncheck(numbers)", method, source)


def test_they_arrive_one_by_one(method: str, source: str) -> None:
    run_script(PROGRAM + "for number in numbers: check([number])", method, source)


def test_they_arrive_in_any_order(method: str, source: str) -> None:
    script = PROGRAM + (
        "check(numbers[::-1])\n"
        "chance = random.Random(4)\n"
        "for _ in range(12):\n"
        "    check(chance.sample(numbers, chance.randrange(1, len(numbers))))\n"
    )
    run_script(script, method, source)


def test_the_standard_ones_can_be_passed_too(method: str, source: str) -> None:
    # As themselves: what a child does with its stdin is another matter.
    script = PROGRAM + "check([1, 2]); check([2, 5, 1, 4, 3])"
    run_script(script, method, source)


def test_there_may_be_many(method: str, source: str) -> None:
    # More than the system passes at a time, too.
    script = PROGRAM + "numbers = fill(range(300, 900)); check(numbers[:200]); check(numbers)"
    run_script(script, method, source)


def test_numbers_may_be_up_to_the_limit_and_beyond(method: str, source: str) -> None:
    script = PROGRAM + (
        "_, most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))\n"
        "high = fill([253, 254, 255])\n"
        "check([*numbers, *high]); check(high)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (512, most))\n"
        "higher = fill([510, 511])\n"
        "check([*numbers, *high, *higher])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (400, most))\n"
        "check([*numbers, *high])\n"
        "check([*numbers, *high, *higher])\n"
    )
    run_script(script, method, source)


def test_a_socket_in_the_place_of_a_closed_stdin_is_no_stdin(method: str, source: str) -> None:
    script = PROGRAM + (
        "os.close(0); sys.stdin = None\n"
        "check(numbers)\n"
        "kind = os.readlink('/proc/self/fd/0') if os.path.exists('/proc/self/fd/0') else ''\n"
        "assert not kind.startswith('socket'), kind\n"
    )
    run_script(script, method, source)
