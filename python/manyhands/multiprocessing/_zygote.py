"""What runs in a zygote, and how its children begin.

A zygote does as little as possible after it is ready: each page of memory that differs between it
and a child costs that child time.
"""

import _socket
import contextlib
import gc
import io
import os
import pickle
import runpy
import sys
import time
import warnings

from manyhands import _native
from manyhands.multiprocessing import (
    _ahead,
    _surroundings,
    context,
    process,
    reduction,
    spawn,
    util,
)
from manyhands.multiprocessing._bootstrap import bootstrap
from manyhands.multiprocessing._newborn import live, receive, set_streams
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
    "manyhands.multiprocessing._pool_worker",
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
    # What workers are told of their parent is mostly what they have; here it is looked at.
    _surroundings.collect(method)
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
    # What functions of the program's have printed is nobody's.
    util._flush_std_streams()
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
    live(method, born)


def _rehearsal(method, setup):
    """What a child will do, as far as it has no effect: when it has been done before, less of it
    has to be written to memory. Steps, each of which may fail.
    """
    steps = [lambda: set_streams((True, True, True)), util._flush_std_streams]
    # A folder may be gone, and a module of the program's may have changed how is pickled.
    with contextlib.suppress(Exception):
        born = _sample(method)
        steps.append(lambda: receive(born, method == "forkserver"))
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
            # The main module is not the sample's.
            for step in steps[3:]:
                step()
            live(method, born, last=lambda: os.write(writer, _native.footprint()))
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
