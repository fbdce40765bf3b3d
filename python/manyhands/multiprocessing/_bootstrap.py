"""What a child does around what it was started for.

Most of the time of a child that was forked goes by with writing, for the first time, to memory that
it shares with its parent, so what is done in every child is done with as little Python as possible.
"""

import sys
import types

from manyhands import _native
from manyhands._stdlib import original
from manyhands.multiprocessing import context, process, util

__all__ = ()

_threading = original("threading")

#: From 3.13 on, the functions registered with `atexit` run in a child that was forked.
RUNS_EXIT_FUNCTIONS = "_exit_function" not in process.BaseProcess._bootstrap.__code__.co_names


def _report(process_obj, error):
    """Say what ended a process, if it was not the process itself; return the exit code."""
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code
        sys.stderr.write(f"{error.code}\n")
        return 1
    import traceback

    sys.stderr.write(f"Process {process_obj.name}:\n")
    traceback.print_exception(type(error), error, error.__traceback__)
    return 1


bootstrap = _native.multiprocessing.Bootstrap(
    [process, util, _threading],
    [original("multiprocessing.context"), context],
    context._Starts._bootstrap,
    _report,
    not RUNS_EXIT_FUNCTIONS,
)


def _after_fork():
    """The code of the function of that name of `threading`, with whose globals it runs."""
    global _active_limbo_lock
    if (
        len(_dangling.data) == 1  # noqa: F821
        and len(_active) == 1  # noqa: F821
        and not _limbo  # noqa: F821
        and _active.get(get_ident()) is _main_thread  # noqa: F821
    ):
        # There is no thread to be declared dead, and nobody but such a thread has other locks.
        _active_limbo_lock = _CRLock()  # noqa: F821
    else:
        _after_fork_among_threads()  # noqa: F821


def _quicken_forks():
    """Have a forked child look through its parent's threads only if there are any."""
    function, scope = _threading._after_fork, vars(_threading)
    names = {*_after_fork.__code__.co_names, "_active_limbo_lock"} - {"data", "get", "len"}
    is_known = function.__globals__ is scope and scope.get("_CRLock") is not None
    if is_known and names - scope.keys() == {"_after_fork_among_threads"}:
        scope["_after_fork_among_threads"] = types.FunctionType(function.__code__, scope)
        function.__code__ = _after_fork.__code__


_quicken_forks()
