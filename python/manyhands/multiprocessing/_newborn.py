"""A child that is born of a zygote, from birth to death.

What it does is done with few functions of Python's: each that is called is several pages more of
memory that a copy has to have of its own.
"""

import atexit
import contextlib
import gc
import io
import os
import pickle
import signal
import sys
import time

from manyhands import _native
from manyhands.multiprocessing import (
    _ahead,
    context,
    forkserver,
    process,
    resource_tracker,
    spawn,
    util,
)
from manyhands.multiprocessing._bootstrap import RUNS_EXIT_FUNCTIONS, bootstrap

_native = _native.multiprocessing


def live(method, born, last=_native.leave_family):
    """Be a child, from birth to death."""
    is_forkserver = method == "forkserver"
    code = 1
    try:
        code = _run(born, is_forkserver)
    except SystemExit as error:
        # As an interpreter does with one that nobody catches; the fork server's children do not.
        if not is_forkserver:
            code = _exit_code(error.code)
    except Exception:
        sys.excepthook(*sys.exc_info())
        util._flush_std_streams()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        util._flush_std_streams()
        if not is_forkserver and isinstance(sys.exc_info()[1], KeyboardInterrupt):
            _end(is_forkserver)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        try:
            _end(is_forkserver)
        finally:
            try:
                last()
            finally:
                os._exit(code)


def _run(born, is_forkserver):
    set_streams(born["standard"])
    if born["environment"] is not None:
        _set_environment(born["environment"])
    if born["ignored"] is not None:
        _set_ignored(born["ignored"])
    if is_forkserver and RUNS_EXIT_FUNCTIONS:
        atexit._clear()
        atexit.register(util._exit_function)
    if born["arena"] is not None:
        arena, ticket = born["arena"]
        _native.join_arena(arena, ticket)
        os.close(arena)
    process_obj = receive(born, is_forkserver)
    if not is_forkserver:
        _ahead.forget()
    return bootstrap(process_obj, born["parent"])


def receive(born, is_forkserver):
    """Become what the parent is, and return the process object."""
    file = io.BytesIO(born["payload"])
    descriptors = born["descriptors"]
    current = process.current_process()
    current._inheriting = True
    try:
        preparation, has_tracker = pickle.load(file)
        if has_tracker:
            resource_tracker._resource_tracker._fd = descriptors.pop()
        if is_forkserver:
            forkserver._forkserver._inherited_fds = descriptors
        begun = time.monotonic()
        if spawn.prepare is _prepares[0] and spawn._original.prepare is _prepares[1]:
            preparation = _prepare(current, preparation)
        if preparation:
            spawn.prepare(preparation)
        if util._logger is not None and not is_forkserver:
            util.info(f"loaded the main module in {time.monotonic() - begun:.3f} s")
        return pickle.load(file)
    finally:
        del current._inheriting


#: As long as the functions are these, what they do may be done otherwise.
_prepares = spawn.prepare, spawn._original.prepare

#: What each child is told.
_USUAL = {
    "authkey",
    "dir",
    "log_to_stderr",
    "name",
    "orig_dir",
    "start_method",
    "sys_argv",
    "sys_path",
}


def _prepare(current, preparation):
    """Do what `spawn.prepare` does with what each child is told; return the rest.

    Each function of Python's that a child calls is several pages of memory more that it writes.
    """
    method = preparation.get("start_method")
    if method not in context._concrete_contexts or not preparation.keys() >= _USUAL:
        return preparation
    current._name = preparation["name"]
    current._config["authkey"] = process.AuthenticationString(preparation["authkey"])
    sys.path = preparation["sys_path"]
    sys.argv = preparation["sys_argv"]
    os.chdir(preparation["dir"])
    process.ORIGINAL_DIR = preparation["orig_dir"]
    for each in (context, context._original):
        each._default_context._actual_context = each._concrete_contexts[method]
    main = sys.modules["__main__"]
    rest = {}
    for name, value in preparation.items():
        if name in _USUAL and (name != "log_to_stderr" or not value):
            continue
        # The main module may be there already.
        if name != "init_main_from_path" or getattr(main, "__file__", None) != value:
            rest[name] = value
    return rest


def set_streams(standard):
    """Have the standard streams as if this interpreter had just begun with those descriptors."""
    if not standard[0]:
        sys.stdin = sys.__stdin__ = None
    if not standard[1]:
        sys.stdout = sys.__stdout__ = None
    elif sys.stdout is not None and not sys.stdout.write_through:
        is_terminal = os.isatty(1)
        if sys.stdout.line_buffering != is_terminal:
            sys.stdout.reconfigure(line_buffering=is_terminal)
    if not standard[2]:
        sys.stderr = sys.__stderr__ = None


def _set_environment(block):
    wanted = dict(entry.split(b"=", 1) for entry in block.split(b"\0") if b"=" in entry)
    environment = os.environb
    zone = environment.get(b"TZ")
    for name in [name for name in environment if name not in wanted]:
        del environment[name]
    for name, value in wanted.items():
        if environment.get(name) != value:
            environment[name] = value
    if environment.get(b"TZ") != zone:
        time.tzset()


def _set_ignored(signals):
    """Ignore those signals, as an interpreter does that begins with them ignored."""
    ours = _native.ignored_signals()
    for number in range(1, signal.NSIG):
        bit = 1 << number - 1
        if (signals ^ ours) & bit:
            handler = signal.SIG_IGN if signals & bit else signal.SIG_DFL
            if number == signal.SIGINT and handler == signal.SIG_DFL:
                handler = signal.default_int_handler
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, handler)


def _exit_code(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _say_plainly(code)
    return 1


def _say_plainly(text):
    with contextlib.suppress(Exception):
        print(text, file=sys.stderr)


def _end(is_forkserver):
    """Do what an interpreter does at its end, as far as anybody could notice."""
    if is_forkserver and not RUNS_EXIT_FUNCTIONS:
        # `bootstrap` has flushed the streams.
        return
    atexit._run_exitfuncs()
    if not is_forkserver:
        # Files that nobody has closed: an interpreter that ends by itself writes what is left.
        for candidate in gc.get_objects():
            if type(candidate) in _WRITERS and not candidate.closed:
                try:
                    candidate.flush()
                except Exception:
                    continue
    util._flush_std_streams()


_WRITERS = frozenset((io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.BufferedRWPair))
