"""`manyhands run --trace`: runs a program as a child, and writes in the end what it did.

The program has the standard streams, the terminal, the process group and all other descriptors;
what signals this process gets from other processes go to it, those of the terminal it gets itself.
It may be killed at any moment: what it noted until then is written.
"""

import os
import signal
import sys

from manyhands._trace import VARIABLE, form_of, names, say
from manyhands.cli import fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: Tells the program who writes its trace: that ends with it.
TRACER = "MANYHANDS_TRACER"

#: Signals that are not passed on: they are not for the program, or cannot be waited for.
KEPT = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT),
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP),
}

#: After so many seconds it is asked first what the program calls its objects, and later each time
#: from then on, until it is three times a minute. In the end it tells by itself what its main
#: module has.
FIRST_ASKED = 0.2
SELDOM_ASKED = 20.0


def run(path: str, command: list[str], environment: dict[str, str]) -> "NoReturn":
    """Run it, write the trace, and end as it has ended."""
    from manyhands._native import Trace

    try:
        form = form_of(path)
        with open(path, "wb"):
            pass
        memory = Trace()
    except (ValueError, OSError) as error:
        fail(f"cannot trace: {error}")
    environment[VARIABLE] = memory.place
    environment[TRACER] = str(os.getpid())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _passed_on() | {signal.SIGCHLD})
    try:
        pid = os.posix_spawn(sys.executable, command, environment, setsigmask=before)
    except OSError as error:
        fail(f"cannot start {sys.executable!r}: {error.strerror}")
    status, called = _wait(pid)
    try:
        say(path, *memory.write(path, form, list(called.items())))
    except OSError as error:
        print(f"manyhands: cannot write the trace: {error}", file=sys.stderr)
        status = status or 1 << 8
    _end_as(status)


def _passed_on() -> "set[signal.Signals]":
    return {number for number in signal.valid_signals() if number not in KEPT}


def _wait(pid: int) -> tuple[int, dict[str, str]]:
    """Wait for the program; return its status, and what it called its objects."""
    called: dict[str, str] = {}
    awaited = _passed_on() | {signal.SIGCHLD}
    pause = FIRST_ASKED
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status, called
        info = signal.sigtimedwait(awaited, pause)
        if info is None:
            called.update(_called(pid))
            pause = min(2 * pause, SELDOM_ASKED)
        elif info.si_signo != signal.SIGCHLD and info.si_code <= 0:
            # From a process. Those of the terminal go to all who are in front of it.
            os.kill(pid, info.si_signo)


def _called(pid: int) -> list[tuple[str, str]]:
    from manyhands._native import why_json

    try:
        return names(why_json(pid))
    except (OSError, ValueError):
        return []  # it does not answer, or not yet


def _end_as(status: int) -> "NoReturn":
    sys.stdout.flush()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        import resource

        # The core is the program's.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))
