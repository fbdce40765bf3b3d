"""The command `manyhands top`."""

import signal
import sys

from manyhands._why import choose
from manyhands.cli import fail

USAGE = "usage: manyhands top [--json] [--once] [--interval SECONDS] [PID]"

HELP = f"""\
{USAGE}

Show what a running program does: its processes and threads with the processors and memory that they
use and what they wait for, pools with what they have done and have to do, queues with their items,
locks with their holders and those who wait. The program goes on meanwhile.

PID is any process of a program on Manyhands, of this user; it can be left out if there is only one.
Only processes answer of which somebody has waited for a second at least, or that were started with
`manyhands run`. Without a terminal, or with TERM=dumb, it prints tables.

options:
  -h, --help          show this text
  --json              print an object of JSON a line for each look
  --once              look once
  --interval SECONDS  how long from one look to the next; 1 by default

keys: 1 2 3 4 or Tab for another view, arrows and Enter for the stack of a thread, s to sort, r for
the other way round, / for rows with a text, ? for help, q to end
"""

#: Shorter intervals would make the program do more for this than for itself.
SHORTEST = 0.1


def top(arguments: list[str]) -> None:
    """Show it until the user has enough; end with 1 if nothing can be shown."""
    as_json = once = False
    interval = 1.0
    numbers = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        name, equals, value = argument.partition("=")
        if argument in ("-h", "--help"):
            print(HELP, end="")
            return
        if argument == "--json":
            as_json = True
        elif argument == "--once":
            once = True
        elif name == "--interval":
            if not equals:
                value = left.pop(0) if left else ""
            interval = _interval(value)
        elif argument.isdecimal():
            numbers.append(int(argument))
        else:
            fail(f"{argument!r} is no number of a process", usage=USAGE)
    pid = choose(numbers, USAGE)
    if sys.stdout is None:
        print("manyhands: there is no standard output to show it on", file=sys.stderr)
        raise SystemExit(1)
    from manyhands import _native

    for number in (signal.SIGTERM, signal.SIGHUP):
        # The terminal is left as it was found.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        _native.top(pid, as_json, interval, once)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except OSError as error:
        print(f"manyhands: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _interval(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds < 1e6:
        fail(f"--interval takes a number of seconds from {SHORTEST} on, not {value!r}", usage=USAGE)
    return seconds
