"""Signals reach the program as with `python`."""

import os
import signal
import sys

import pytest
from programs import COMMAND, finish, start
from support import until_blocked

WAITS = """
import queue, sys, threading
def stop(*_):
    sys.exit(42)
{setup}
print("ready", flush=True)
{wait}
"""

SETUPS = {
    "default": "",
    "handler": "import signal; signal.signal(signal.{name}, stop)",
    "ignored": "import signal; signal.signal(signal.{name}, signal.SIG_IGN); made.put(1)",
}
PLACES = {
    "queue": "queue.Queue().get()",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "join": "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    "threading.enumerate()[1].join()",
    "pause": "import signal; signal.pause()",
}


def ends(place, command, name):
    process = start([*command, "program.py"], cwd=place.folder)
    assert process.stdout.readline() == "ready\n"
    # Plain python does not notice a signal that comes just before a wait.
    until_blocked(process.pid, process.pid)
    process.send_signal(getattr(signal, name))
    return finish(process)


@pytest.mark.parametrize("wait", PLACES)
@pytest.mark.parametrize("setup", ["default", "handler"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_waiting_program_as_with_python(place, name, setup, wait):
    setup = SETUPS[setup].format(name=name)
    place.write("program.py", WAITS.format(setup=setup, wait=PLACES[wait]))
    plain, ours = ends(place, [sys.executable], name), ends(place, COMMAND, name)
    assert ours.returncode == plain.returncode
    assert ours.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


@pytest.mark.parametrize("wait", ["queue", "pause"])
def test_the_engine_adds_nothing_but_its_own_line_to_a_traceback(place, wait):
    place.write("program.py", WAITS.format(setup="", wait=PLACES[wait]))
    ours = ends(place, COMMAND, "SIGINT")
    assert ours.returncode == -signal.SIGINT
    assert "manyhands" not in ours.stderr
    assert ours.stderr.splitlines()[1].startswith(f'  File "{place.folder}/program.py"')


def test_signals_that_are_ignored_stay_so(place):
    place.write(
        "program.py",
        """
        import signal
        print([signal.getsignal(number) for number in sorted(signal.valid_signals())])
        """,
    )
    commands = [
        ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", *command, "program.py"]
        for command in ([sys.executable], COMMAND)
    ]
    plain, ours = map(place.call, commands)
    assert plain.stdout == ours.stdout
    assert plain.stdout.count("SIG_IGN") >= 2


def test_the_process_that_is_started_is_the_program(place):
    place.write("program.py", "import os; print(os.getpid(), os.getppid())")
    process = start([*COMMAND, "program.py"], cwd=place.folder)
    assert finish(process).stdout == f"{process.pid} {os.getpid()}\n"
