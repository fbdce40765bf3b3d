"""`manyhands run` with `--trace` or `--dashboard`: runs a program as a child, looks at it
meanwhile, and writes in the end what it did.

The program has the standard streams, the terminal, the process group and all other descriptors;
what signals this process gets from other processes go to it, those of the terminal it gets itself.
It may be killed at any moment: what it noted until then is written.
"""

import os
import signal
import sys

from manyhands._start import say
from manyhands._trace import VARIABLE, form_of, names, summary
from manyhands.cli import fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from manyhands._native import Trace

#: Tells the program who looks after it: it ends with that process.
SUPERVISOR = "MANYHANDS_SUPERVISOR"

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


def run(
    command: list[str], environment: dict[str, str], trace: "str | None", dashboard: "str | None"
) -> "NoReturn":
    """Run it, with a trace in that file, a dashboard at that address, and end as it has ended."""
    from manyhands._native import Dashboard

    memory = None
    if trace is not None:
        memory = _memory(trace)
        environment[VARIABLE] = memory.place
    page = None
    if dashboard is not None:
        address = f"127.0.0.1:{dashboard}" if dashboard.isdecimal() else dashboard
        try:
            page = Dashboard(address)
        except OSError as error:
            fail(f"there can be no dashboard at {address}: {error}")
        say(f"the dashboard is at {page.url}")
    environment[SUPERVISOR] = str(os.getpid())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _passed_on() | {signal.SIGCHLD})
    try:
        pid = os.posix_spawn(sys.executable, command, environment, setsigmask=before)
    except OSError as error:
        fail(f"cannot start {sys.executable!r}: {error.strerror}")
    if page is not None:
        page.watch(pid)
    status, called = _wait(pid, asks=memory is not None)
    if page is not None:
        page.end(_told(status))
    if trace is not None and memory is not None:
        try:
            written = memory.write(trace, form_of(trace), list(called.items()))
            say(summary(trace, *written))
        except OSError as error:
            say(f"cannot write the trace: {error}")
            status = status or 1 << 8
    _end_as(status)


def _memory(path: str) -> "Trace":
    from manyhands._native import Trace

    try:
        form_of(path)
        with open(path, "wb"):
            pass
        return Trace()
    except (ValueError, OSError) as error:
        fail(f"cannot trace: {error}")


def _passed_on() -> "set[signal.Signals]":
    return {number for number in signal.valid_signals() if number not in KEPT}


def _wait(pid: int, asks: bool) -> tuple[int, dict[str, str]]:
    """Wait for the program; return its status, and, if it is to be asked, what it called its
    objects."""
    called: dict[str, str] = {}
    awaited = _passed_on() | {signal.SIGCHLD}
    pause = FIRST_ASKED
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status, called
        info = signal.sigtimedwait(awaited, pause) if asks else signal.sigwaitinfo(awaited)
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


def _told(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"The program was ended by {signal.Signals(-code).name}."
    return f"The program has ended with the status {code}."


def _end_as(status: int) -> "NoReturn":
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
