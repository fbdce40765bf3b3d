"""The command `manyhands why`."""

import sys

from manyhands.cli import fail

USAGE = "usage: manyhands why [--json] [PID]"

HELP = f"""\
{USAGE}

Tell why a program does not go on: all threads of all its processes, what each waits for, since when
and where, and who holds that. Those who wait for each other come first.

PID is any process of a program on Manyhands, of this user; it can be left out if there is only one.
Only processes answer of which somebody has waited for a second at least, or that were started with
`manyhands run`.

options:
  -h, --help  show this text
  --json      print what the processes tell of themselves, as JSON
"""


def why(arguments: list[str]) -> None:
    """Print the report; end with 1 if there is none to be had."""
    as_json = False
    numbers = []
    for argument in arguments:
        if argument in ("-h", "--help"):
            print(HELP, end="")
            return
        if argument == "--json":
            as_json = True
        elif argument.isdecimal():
            numbers.append(int(argument))
        else:
            fail(f"{argument!r} is no number of a process", usage=USAGE)
    pid = choose(numbers, USAGE)
    from manyhands import _native

    try:
        text = _native.why_json(pid) + "\n" if as_json else _native.why(pid)
    except OSError as error:
        print(f"manyhands: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    sys.stdout.write(text)
    sys.stdout.flush()


def choose(numbers: list[int], usage: str) -> int:
    """The process that was given, or else that of the only program; fails, with a list, if there
    is another number of them."""
    if len(numbers) > 1:
        fail("there can be only one process", usage=usage)
    if numbers:
        return numbers[0]
    from manyhands import _native

    programs = _native.programs()
    if len(programs) == 1:
        return programs[0][0]
    if not programs:
        print("manyhands: no program that runs on Manyhands can be asked", file=sys.stderr)
    else:
        print("manyhands: which program is meant? There are:", file=sys.stderr)
        for pid, command in programs:
            print(f"  {pid}  {command}", file=sys.stderr)
    raise SystemExit(1)
