"""The command `manyhands`.

`manyhands run` hands over to `python` itself, with the switch in the environment that makes
`manyhands._start` start the engine: so all that a program can see of how it was started, from
`sys.argv` to its exit status, is as with `python`, because it is `python`. What is left to do
here is to find out where python's options end, and to refuse what could not work. This happens
in an interpreter of its own, before the program's, so it imports next to nothing.
"""

import os
import sys

from manyhands._start import ANSWERS, PROGRESS, SWITCH, WITH_REPORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: What makes an interpreter ask at its start whether it is to run on the engine.
START_FILE = "00-manyhands.pth"

#: The long options of python; those that are missing here would be taken for ours.
PYTHON_LONG_OPTIONS = ("--version", "--help-env", "--help-xoptions", "--help-all")

USAGE = "usage: manyhands [--help] [--version] COMMAND ..."

HELP = f"""\
{USAGE}

Python's concurrency toolbox on one Rust engine.

commands:
  run         run an unmodified Python program on the engine
  serve       keep queues for programs and workers on this machine and others
  worker      take tasks from such a queue and call a function with each
  why         tell why a running program does not go on
  top         show what a running program does

options:
  -h, --help  show this text, or that of a command: manyhands run --help
  --version   show the version
"""

#: The variable that `manyhands.multiprocessing.context` asks for the default start method.
START_METHOD = "MANYHANDS_START_METHOD"
START_METHODS = ("fork", "forkserver", "spawn")

#: The variable by which locks are noted.
LOCK_ORDER = "MANYHANDS_LOCK_ORDER"

#: The variable that the engine asks for what is to be done about deadlocks.
DEADLOCK = "MANYHANDS_DEADLOCK"
DEADLOCKS = ("report", "raise", "abort", "off")

#: The options whose value may be the next word.
WITH_VALUE = ("--start-method", "--deadlock", "--trace", "--dashboard")

RUN_USAGE = """\
usage: manyhands run [--engine] [--progress] [--start-method METHOD] [--deadlock=WHAT]
                     [--lock-order] [--trace FILE] [--dashboard ADDRESS] [PYTHON OPTIONS]
                     [FILE | -m MODULE | -c CODE | -] ...\
"""

RUN_HELP = f"""\
{RUN_USAGE}

Run a Python program, and all Python programs that it starts, on the engine: whoever imports
threading, queue, multiprocessing or concurrent.futures there gets Manyhands' modules. Whoever
imports gevent gets Manyhands' greenlets, which need the package greenlet, and whoever imports
paramiko gets Manyhands' SSH client, whether or not gevent or paramiko is installed. Everything else
is as with python, whose options are all understood: -u, -O, -X dev, -W error, ...

options:
  -h, --help             show this text
  --engine               tell on stderr, at start, which module comes from where
  --progress             show on stderr, if that is a terminal, how far the program's pools and
                         executors are with what they have to do
  --start-method METHOD  how processes are started where the program does not choose: fork,
                         forkserver or spawn; by default as with python
  --deadlock=WHAT        what to do about threads that wait in vain: report (the default: tell on
                         stderr, once, who waits for whom), raise (and have one of them go on with
                         DeadlockError if it is certain), abort (and end the program with the
                         status 75), off (do not look)
  --lock-order           tell on stderr of locks that are taken in opposite orders, though nobody
                         has had to wait for ever yet; slows locks down
  --trace FILE           write a timeline of what the program did to FILE: .json for
                         https://ui.perfetto.dev and chrome://tracing, .html for a page that needs
                         nothing else, .svg for a picture
  --dashboard ADDRESS    show what the program does on a web page at HOST:PORT, or at that port of
                         this machine; to be seen from others it needs the token that is told then

environment:
  {SWITCH}=1        puts every python that is started on the engine, without this command
  {SWITCH}=0        takes a child of a program on the engine off it
  {START_METHOD}  the option --start-method
  {DEADLOCK}      the option --deadlock
  {LOCK_ORDER}    the option --lock-order
"""


def main() -> None:
    """The command's entry point."""
    command, *arguments = sys.argv[1:] or [""]
    if command == "run":
        run(arguments)
    elif command == "serve":
        from manyhands._queue_server import serve

        serve(arguments)
    elif command == "worker":
        from manyhands._queue_worker import worker

        worker(arguments)
    elif command == "why":
        from manyhands._why import why

        why(arguments)
    elif command == "top":
        from manyhands._top import top

        top(arguments)
    elif command in ("-h", "--help", "help"):
        print(HELP, end="")
    elif command == "--version":
        from manyhands import __version__

        print(f"manyhands {__version__} (Python {sys.version.split()[0]})")
    elif not command:
        print(HELP, end="", file=sys.stderr)
        raise SystemExit(2)
    else:
        fail(f"there is no command {command!r}; see manyhands --help", usage=USAGE)


def run(arguments: list[str]) -> None:
    """Become the interpreter that runs the program; does not return."""
    report = False
    progress = False
    start_method = None
    deadlock = None
    lock_order = False
    trace = dashboard = None
    options = outer_options()
    while True:
        end, _ = scan(arguments)
        word = arguments[end] if end < len(arguments) else ""
        if word in ("-h", "--help"):
            print(RUN_HELP, end="")
            return
        name, equals, value = word.partition("=")
        used = 1
        if name in WITH_VALUE and not equals:
            value = "".join(arguments[end + 1 : end + 2])
            used = 2
        if word == "--engine":
            report = True
        elif word == "--progress":
            progress = True
        elif name == "--start-method":
            if value not in START_METHODS:
                known = ", ".join(START_METHODS)
                fail(f"there is no start method {value!r}; there are {known}", RUN_USAGE)
            start_method = value
        elif word == "--lock-order":
            lock_order = True
        elif name == "--deadlock":
            if value not in DEADLOCKS:
                known = ", ".join(DEADLOCKS)
                fail(f"--deadlock cannot be {value!r}; it can be {known}", RUN_USAGE)
            deadlock = value
        elif name == "--trace":
            if not value:
                fail("--trace takes the name of a file", RUN_USAGE)
            trace = value
        elif name == "--dashboard":
            if not value:
                fail("--dashboard takes an address, as 127.0.0.1:8787", RUN_USAGE)
            dashboard = value
        else:
            break
        options += arguments[:end]
        arguments = arguments[end + used :]
    if word.startswith("--") and word != "--" and word not in PYTHON_LONG_OPTIONS:
        fail(f"there is no option {word}; see manyhands run --help", RUN_USAGE)

    _, letters = scan(options + arguments)
    if "S" in letters:
        fail("the option -S leaves out that part of Python's start which starts the engine")
    check_installation(user_site="s" not in letters and "I" not in letters)
    environment = initial_environment()
    environment[SWITCH] = WITH_REPORT if report else "1"
    environment[ANSWERS] = "1"
    environment.pop(PROGRESS, None)
    if progress:
        environment[PROGRESS] = "1"
    if start_method is not None:
        environment[START_METHOD] = start_method
    if deadlock is not None:
        environment[DEADLOCK] = deadlock
    if lock_order:
        environment[LOCK_ORDER] = "1"
    if trace is not None or dashboard is not None:
        from manyhands._supervised_run import run as run_supervised

        command = [sys.executable, *options, *arguments]
        run_supervised(command, environment, trace, dashboard)
    try:
        os.execve(sys.executable, [sys.executable, *options, *arguments], environment)
    except OSError as error:
        fail(f"cannot start {sys.executable!r}: {error.strerror}")


def scan(arguments: list[str]) -> tuple[int, str]:
    """How many arguments are options of python and their values, and the options' letters.

    Ends where the program begins, or at a long option; `-uc` and `-Om` begin the program too.
    """
    letters = ""
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        if argument == "--check-hash-based-pycs":
            index += 2
            continue
        if argument[:1] != "-" or argument[:2] == "--" or argument in ("-", "-h"):
            break
        for position, letter in enumerate(argument[1:], 2):
            if letter in "cm":
                return index, letters
            letters += letter
            if letter in "WX":  # the value is the rest of this argument, or the next
                index += position == len(argument)
                break
        index += 1
    return min(index, len(arguments)), letters


def outer_options() -> list[str]:
    """The options in `python OPTIONS -m manyhands run`: they are meant for the program too."""
    arguments = sys.orig_argv[1:]
    end, _ = scan(arguments)
    if end == len(arguments):
        return []
    before, _, module = arguments[end].partition("m")
    modules = [module] if module else arguments[end + 1 : end + 2]
    if before[:1] != "-" or modules != ["manyhands"]:
        return []
    return arguments[:end] + ([before] if before != "-" else [])


def check_installation(user_site: bool) -> None:
    """Fail, with what to do, where the interpreter to be started would not start the engine."""
    import site

    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE and user_site:
        folders.append(site.getusersitepackages())
    package = os.path.dirname(os.path.abspath(__file__))
    install = f"{sys.executable} -m pip install manyhands"
    for folder in folders:
        if not os.path.isfile(os.path.join(folder, START_FILE)):
            continue
        if os.path.realpath(folder) != os.path.realpath(os.path.dirname(package)):
            fail(
                f"the engine's start-up file is in {folder}, but the package is {package}: "
                f"install it as a whole and not as editable, with\n  {install}"
            )
        break
    else:
        if (
            site.ENABLE_USER_SITE
            and not user_site
            and package.startswith(os.path.join(site.getusersitepackages(), ""))
        ):
            fail(
                "manyhands is installed for this user only, and the options -s and -I leave such "
                "packages out: drop the option, or install into a virtual environment"
            )
        fail(
            f"the engine's start-up file {START_FILE} is not where {sys.executable} would read it "
            f"({', '.join(folders)}); the package is {package}: install it with\n  {install}"
        )
    try:
        import manyhands._native  # noqa: F401
    except ImportError as error:
        fail(f"the engine cannot be loaded: {error}; install it again with\n  {install}")


def initial_environment() -> dict[str, str]:
    """The environment that this process was given."""
    environment = dict(os.environ)
    # In the locale C, python sets LC_CTYPE when it starts. A python that finds it set would not
    # switch its UTF-8 mode on.
    if "LC_CTYPE" in environment:
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read().split(b"\0")
        except OSError:
            return environment
        if not any(variable.startswith(b"LC_CTYPE=") for variable in given):
            del environment["LC_CTYPE"]
    return environment


def fail(message: str, usage: str | None = None) -> "NoReturn":
    """End as commands do whose arguments make no sense."""
    if usage:
        print(usage, file=sys.stderr)
    print(f"manyhands: {message}", file=sys.stderr)
    raise SystemExit(2)
