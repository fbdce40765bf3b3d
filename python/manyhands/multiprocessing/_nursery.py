"""Where children come from that are no copies of this process: its zygotes.

A zygote is an interpreter that waits to become a child of this process. It takes tens of
milliseconds to start one, and one to have a child born of it. There is one for each of the start
methods `spawn` (it has run nothing of the program) and `forkserver` (it has loaded what the
program wants its children to have), begun when it is first wanted, and begun anew when it is gone
or when what children have to inherit from their parent has changed.
"""

import errno
import os
import pickle
import sys

from manyhands import _native
from manyhands._stdlib import original
from manyhands.multiprocessing import _ahead, spawn, util

_native = _native.multiprocessing

#: What runs a zygote.
_COMMAND = "from manyhands.multiprocessing import _zygote; _zygote.main()"

#: What a zygote says when it is ready, before the seconds for which it loaded the program's code;
#: and what if it wants to be started with the arena.
READY = f"ready 1 {sys.hexversion}".encode()
WANTS_ARENA = b"arena"

#: What workers of executors have that children need if their parent uses it.
_OF_WORKERS = ("manyhands.concurrent.futures._worker",)


class Nursery:
    """The zygote of one start method."""

    def __init__(self, method):
        self._method = method
        self._lock = original("threading").RLock()
        self._zygote = None
        #: How the zygote was made, and how none could be made.
        self._recipe = None
        self._failed = None
        self._wants_arena = False

    @property
    def pid(self):
        """The number of the zygote's process, None if there is none."""
        zygote = self._zygote
        return None if zygote is None else zygote.pid

    def stop(self):
        """End the zygote. Its children live on."""
        with self._lock:
            zygote, self._zygote = self._zygote, None
            self._failed = None
            self._wants_arena = False
            if zygote is not None:
                zygote.stop()

    def start(self, preparation, unfit=None):
        """Return a zygote, a new one if there is none or that one; None if there can be none.

        `preparation` is what children have to know of this process.
        """
        with self._lock:
            is_forkserver = self._method == "forkserver"
            preload = _to_preload(preparation) if is_forkserver else None
            recipe = _arguments(), preload
            if self._zygote is not None:
                if self._recipe == recipe and self._zygote is not unfit:
                    return self._zygote
                self.stop()
            if getattr(sys, "frozen", False) or self._failed == recipe:
                return None
            if is_forkserver:
                setup = preload and (preload[0], _without_name(preparation, *preload))
            else:
                setup = _ahead.wanted(preparation)
            self._zygote = self._begin(recipe[0], setup)
            self._recipe = recipe
            if self._zygote is None:
                self._failed = recipe
            return self._zygote

    def _begin(self, arguments, setup):
        """Start a zygote and wait until it is ready; None if it does not become so."""
        ticket = arena = number = None
        if self._wants_arena:
            ticket = _native.reserve_child()
            arena, number = ticket.fileno(), ticket.number
        executable = arguments[0]
        try:
            arguments = [os.fsencode(argument) for argument in arguments]
            zygote = _native.Zygote(arguments[0], arguments, arena)
        except BaseException as error:
            if ticket is not None:
                ticket.cancel()
            if isinstance(error, OSError):
                if error.errno is None:
                    # No limit, but a system without /proc: there are children without zygotes.
                    return None
                spawn.name_file(error, executable)
            raise
        if ticket is not None:
            ticket.started(zygote.pid)
        try:
            likely = [name for name in _OF_WORKERS if name in sys.modules]
            zygote.say(pickle.dumps((zygote.by_main, self._method, number, likely, setup)))
            heard = zygote.hear()
        except BaseException as error:
            zygote.stop()
            if isinstance(error, OSError) and error.errno == errno.EMSGSIZE:
                # Too much to be told, say a long command line: there are children without zygotes.
                return None
            raise
        ready, _, seconds = (heard or b"").rpartition(b" ")
        if ready == READY:
            if setup and self._method == "forkserver":
                modules = " and ".join(setup[0])
                util.info(f"loaded {modules} in {seconds.decode()} s, once for all children")
            zygote.expect_children()
            return zygote
        zygote.stop()
        if heard == WANTS_ARENA and not self._wants_arena:
            self._wants_arena = True
            return self._begin([executable, *arguments[1:]], setup)
        return None


def _arguments():
    """The command line of a zygote."""
    executable = spawn.get_executable()
    return [executable, *_options(), "-c", _COMMAND, "--multiprocessing-fork"]


def _options():
    """The options that this interpreter has, which hardly ever change."""
    global _last_options
    found = util._args_from_interpreter_flags
    of = found, sys.flags, tuple(sys.warnoptions), tuple(sys._xoptions.items())
    if _last_options is None or _last_options[0] != of:
        _last_options = of, found()
    return _last_options[1]


#: What they were found from, and they.
_last_options = None


def _to_preload(preparation):
    """Which modules the program wants its children to have loaded, and where the main one is."""
    from manyhands.multiprocessing.forkserver import _forkserver

    modules = tuple(_forkserver._preload_modules)
    if not modules:
        return None
    if "__main__" not in modules:
        return modules, {}
    return modules, {name: preparation[name] for name in _MAIN if name in preparation}


def _without_name(preparation, modules, main):
    """What has to be known for loading them, the same for all children."""
    but = {"name", "authkey", "log_to_stderr", "log_level", *_MAIN}
    return {**{name: value for name, value in preparation.items() if name not in but}, **main}


_MAIN = ("init_main_from_name", "init_main_from_path")

#: By the number of the process whose they are, and by start method.
_nurseries = {}


def _own_nurseries():
    own = _nurseries.get(os.getpid())
    if own is None:
        own = _nurseries.setdefault(os.getpid(), {})
        # A forked child has its parent's, and would pay for doing this at once.
        for owner in list(_nurseries):
            if owner != os.getpid():
                _nurseries.pop(owner, None)
    return own


def nursery(method):
    """The zygote of a start method, of this process."""
    own = _own_nurseries()
    return own.get(method) or own.setdefault(method, Nursery(method))


def stop():
    """End all zygotes of this process. Their children live on."""
    for each in list(_own_nurseries().values()):
        each.stop()


def order(method, preparation, payload, descriptors, arena, guarded):
    """Have a child born; None if there is no zygote that could."""
    if len(descriptors) > _native.MOST_DESCRIPTORS:
        return None
    zygote = None
    for _ in range(3):
        zygote = nursery(method).start(preparation, unfit=zygote)
        if zygote is None:
            return None
        child = zygote.request(payload, descriptors, arena, guarded)
        if child is not None:
            return child
        # It was killed, or does not fit any more: no child, but there will be another zygote.
    return None
