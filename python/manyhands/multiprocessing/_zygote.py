"""What runs in a zygote, and how its children begin.

A zygote does as little as possible after it is ready: each page of memory that differs between it
and a child costs that child time.
"""

import _socket
import atexit
import contextlib
import gc
import io
import os
import pickle
import runpy
import signal
import sys
import time
import warnings

from manyhands import _native
from manyhands.multiprocessing import (
    _ahead,
    context,
    forkserver,
    process,
    reduction,
    resource_tracker,
    spawn,
    util,
)
from manyhands.multiprocessing._bootstrap import RUNS_EXIT_FUNCTIONS, bootstrap
from manyhands.multiprocessing._nursery import READY, WANTS_ARENA

_native = _native.multiprocessing

#: By which numbers a zygote finds its socket and the arena.
SOCKET = 3
ARENA = 4

#: How often an interpreter has to run a function until it has made it as quick as it can.
_REHEARSALS = 10

#: The argument of a zygote that must not load what the program wants.
BARE = "--bare"

#: A small module, in the place of a program: its name, its path.
_SMALL = "manyhands.watch"
_SMALL_PATH = os.path.join(os.path.dirname(__file__), os.pardir, "watch.py")

#: Modules that children need or are likely to; only the standard library's and ours. Those of
#: ours that only some programs use come with what the program says.
MODULES = (
    "manyhands.multiprocessing._surroundings",
    "manyhands.multiprocessing.connection",
    "manyhands.multiprocessing.context",
    "manyhands.multiprocessing.forkserver",
    "manyhands.multiprocessing.popen_fork",
    "manyhands.multiprocessing.popen_forkserver",
    "manyhands.multiprocessing.queues",
    "manyhands.multiprocessing.reduction",
    "manyhands.multiprocessing.spawn",
    "manyhands.multiprocessing.synchronize",
    "pkgutil",
    "traceback",
)


def main():
    """Be a zygote."""
    _import(MODULES)
    by_main, method, ticket, likely, setup = _read_setup()
    _import(likely)
    seconds = 0
    if method == "spawn":
        os.read(SOCKET, 1)
        _ahead.load(*setup)
        if "logging" in sys.modules:
            __import__("manyhands.multiprocessing._logs")
    elif setup is not None and BARE not in sys.argv:
        if ticket is not None:
            _native.join_arena(ARENA, ticket)
            os.close(ARENA)
        begun = time.monotonic()
        _preload(*setup)
        seconds = time.monotonic() - begun
        if ticket is None and _native.arena_number() is not None:
            os.write(SOCKET, WANTS_ARENA)
            os._exit(0)
    # Children have it for longer than this process may live.
    _native.hand_over_to_parent()
    os.set_inheritable(SOCKET, False)
    # Nobody shall wait for our end to know that the program has closed them.
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)
    bootstrap.supply("MainProcess", os.getppid())
    steps = _rehearsal(method, setup)
    for _ in range(_REHEARSALS):
        for step in steps:
            with contextlib.suppress(Exception):
                step()
    gc.collect()
    gc.freeze()
    footprint = b""
    with contextlib.suppress(Exception):
        footprint = _try(method, steps)
    os.write(SOCKET, b"%b %.3f" % (READY, seconds))
    born = _native.serve(SOCKET, by_main, footprint)
    if type(born) is not dict:
        if not footprint:
            _warm_up(born, steps)
        born = born.wait()
    _live(method, born)


def _rehearsal(method, setup):
    """What a child will do, as far as it has no effect: when it has been done before, less of it
    has to be written to memory. Steps, each of which may fail.
    """
    steps = [lambda: _set_streams((True, True, True)), util._flush_std_streams]
    # A folder may be gone, and a module of the program's may have changed how is pickled.
    with contextlib.suppress(Exception):
        born = _sample(method)
        steps.append(lambda: _receive(born, method == "forkserver"))
    if method == "spawn":
        *_, main = setup
        if main is None:
            steps.append(lambda: runpy.run_module(_SMALL, run_name="__mp_main__", alter_sys=True))
        else:
            steps.append(lambda: runpy.run_path(_SMALL_PATH, run_name="__mp_main__"))
    return steps


def _sample(method):
    """What a child would be told whose program is small."""
    preparation = {
        "authkey": process.current_process().authkey,
        "dir": os.getcwd(),
        "log_to_stderr": False,
        "name": "MainProcess",
        "orig_dir": process.ORIGINAL_DIR,
        "start_method": method,
        "sys_argv": sys.argv,
        "sys_path": sys.path,
    }
    payload = io.BytesIO()
    # Whoever is pickled looks only whether there is one.
    context.set_spawning_popen(payload)
    try:
        reduction.dump((preparation, False), payload)
        process_obj = context._concrete_contexts[method].Process(target=os.getpid)
        process_obj._parent_pid = os.getppid()
        reduction.dump(process_obj, payload)
    finally:
        context.set_spawning_popen(None)
    return {
        "payload": payload.getvalue(),
        "environment": None,
        "descriptors": [],
        "arena": None,
        "parent": SOCKET,
        "standard": (True, True, True),
        "ignored": None,
    }


def _try(method, steps):
    """Return what memory a child touches, as one tells that is born, lives and ends for nothing."""
    born = _sample(method)
    zygote = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _native.die_with_parent(zygote, True)
            for step in steps:
                step()
            _live(method, born, last=lambda: os.write(writer, _native.footprint()))
        finally:
            os._exit(1)
    os.close(writer)
    with open(reader, "rb") as file:
        footprint = file.read()
    os.waitpid(pid, 0)
    return footprint


def _warm_up(spare, steps):
    """Rehearse until there is a child to be: then the memory is its own already."""
    for step in steps:
        if spare.is_wanted():
            return
        with contextlib.suppress(Exception):
            step()


def _import(names):
    for name in names:
        with contextlib.suppress(ImportError):
            __import__(name)


def _read_setup():
    """What the program says first. It is left there until it is clear that it can be done."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, SOCKET)
    setup = socket.recv(1 << 20, 0 if BARE in sys.argv else _socket.MSG_PEEK)
    socket.detach()
    return pickle.loads(setup)


def _preload(modules, preparation):
    """Load what the program wants its children to have; without success, begin again without."""
    process.current_process()._inheriting = True
    try:
        spawn.prepare(preparation)
        for name in modules:
            with contextlib.suppress(ImportError):
                __import__(name)
    except BaseException:
        # Each child will import it itself, and show what is wrong with it.
        _begin_bare()
    finally:
        del process.current_process()._inheriting
    util._flush_std_streams()
    if not _is_single_threaded():
        _say(
            f"{' and '.join(modules)} cannot be loaded once for all children: "
            "threads are left running; each child loads its own"
        )
        _begin_bare()
    os.read(SOCKET, 1)


def _begin_bare():
    os.execv(sys.executable, [*sys.orig_argv, BARE])


def _is_single_threaded():
    """Whether no thread but this is there, or will be after those had an occasion to end."""
    _native.before_fork()
    if _native.program_threads() > 1:
        # Libraries that compute with threads end them before a fork, and start them when needed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    for _ in range(100):
        if _native.program_threads() <= 1:
            return True
        time.sleep(0.001)
    return False


def _say(text):
    with contextlib.suppress(Exception):
        sys.stderr.write(f"manyhands: {text}\n")
        sys.stderr.flush()


def _live(method, born, last=_native.leave_family):
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
    _set_streams(born["standard"])
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
    process_obj = _receive(born, is_forkserver)
    _ahead.forget()
    return bootstrap(process_obj, born["parent"])


def _receive(born, is_forkserver):
    """Become what the parent is, and return the process object."""
    file = io.BytesIO(born["payload"])
    descriptors = born["descriptors"]
    process.current_process()._inheriting = True
    try:
        preparation, has_tracker = pickle.load(file)
        if has_tracker:
            resource_tracker._resource_tracker._fd = descriptors.pop()
        if is_forkserver:
            forkserver._forkserver._inherited_fds = descriptors
        begun = time.monotonic()
        spawn.prepare(preparation)
        if not is_forkserver:
            util.info(f"loaded the main module in {time.monotonic() - begun:.3f} s")
        return pickle.load(file)
    finally:
        del process.current_process()._inheriting


def _set_streams(standard):
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
    if not is_forkserver or RUNS_EXIT_FUNCTIONS:
        atexit._run_exitfuncs()
    if not is_forkserver:
        # Files that nobody has closed: an interpreter that ends by itself writes what is left.
        for candidate in gc.get_objects():
            if type(candidate) in _WRITERS and not candidate.closed:
                with contextlib.suppress(Exception):
                    candidate.flush()
    util._flush_std_streams()


_WRITERS = frozenset((io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.BufferedRWPair))
