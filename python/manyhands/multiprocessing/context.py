"""Contexts: the names of `multiprocessing`, for one start method each.

Contexts and processes inherit from the standard library's, so that whoever asks for those finds
them; they only take from our modules what is made by them. The exceptions, and which child is
being spawned in this thread, are the standard library's own.

Source: https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
"""

import functools
import os
import sys
import warnings
from importlib import import_module

from manyhands._mirror import forward
from manyhands._stdlib import original

_original = original("multiprocessing.context")

__all__ = ()

#: What `manyhands run --start-method` sets.
START_METHOD = "MANYHANDS_START_METHOD"

#: Modules of the standard library that use the pipe inside of a SimpleQueue; see `_piped`.
_USERS_OF_PIPES = ("multiprocessing.pool", "concurrent.futures.process")

ProcessError = _original.ProcessError
BufferTooShort = _original.BufferTooShort
TimeoutError = _original.TimeoutError
AuthenticationError = _original.AuthenticationError

get_spawning_popen = _original.get_spawning_popen
set_spawning_popen = _original.set_spawning_popen
assert_spawning = _original.assert_spawning
_tls = _original._tls


class BaseContext(_original.BaseContext):
    """What the package exports, for a start method."""

    def Manager(self):
        """Return a manager whose server process runs, for sharing objects by proxies."""
        from manyhands.multiprocessing.managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def Pipe(self, duplex=True):
        """Return the two ends of a pipe, connected."""
        from manyhands.multiprocessing.connection import Pipe

        return Pipe(duplex)

    def Lock(self):
        """Return a lock that processes share."""
        from manyhands.multiprocessing.synchronize import Lock

        return Lock(ctx=self.get_context())

    def RLock(self):
        """Return a lock that processes share and its owner may take again."""
        from manyhands.multiprocessing.synchronize import RLock

        return RLock(ctx=self.get_context())

    def Condition(self, lock=None):
        """Return a condition that processes share."""
        from manyhands.multiprocessing.synchronize import Condition

        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value=1):
        """Return a semaphore that processes share."""
        from manyhands.multiprocessing.synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value=1):
        """Return a semaphore that is never released more often than it was taken."""
        from manyhands.multiprocessing.synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self):
        """Return an event that processes share."""
        from manyhands.multiprocessing.synchronize import Event

        return Event(ctx=self.get_context())

    def Barrier(self, parties, action=None, timeout=None):
        """Return a barrier that processes share."""
        from manyhands.multiprocessing.synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    def Queue(self, maxsize=0):
        """Return a queue between processes."""
        from manyhands.multiprocessing.queues import Queue

        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize=0):
        """Return a queue between processes that knows when all its items were dealt with."""
        from manyhands.multiprocessing.queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self):
        """Return an unbounded queue between processes, with the bare minimum of methods."""
        from manyhands.multiprocessing import queues

        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") in _USERS_OF_PIPES or queues.uses_pipe(caller.f_code):
            from manyhands.multiprocessing._piped import SimpleQueue
        else:
            SimpleQueue = queues.SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Pool(
        self,
        processes=None,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        *,
        hosts=None,
        python="python3",
        procs=None,
        bootstrap=False,
    ):
        """Return a pool of worker processes; with `hosts` they are on other machines.

        `hosts` are `[user@]host[:port]`, reached as `ssh` would; `python` starts Python there,
        `procs` is how many workers there are on each (None: as many as processors), and
        `bootstrap` copies this package to where it is not, for as long as the pool is there.
        """
        if hosts is not None:
            if processes is not None:
                raise ValueError("with hosts, procs says how many workers there are on each")
            from manyhands.multiprocessing._host_pool import HostPool

            return HostPool(
                hosts,
                python,
                procs,
                bootstrap,
                initializer,
                initargs,
                maxtasksperchild,
                self.get_context(),
            )
        from manyhands.multiprocessing.pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def RawValue(self, typecode_or_type, *args):
        """Return a shared ctypes object without a lock."""
        from manyhands.multiprocessing.sharedctypes import RawValue

        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type, size_or_initializer):
        """Return a shared ctypes array without a lock."""
        from manyhands.multiprocessing.sharedctypes import RawArray

        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type, *args, lock=True):
        """Return a shared ctypes object, with its lock."""
        from manyhands.multiprocessing.sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def Array(self, typecode_or_type, size_or_initializer, *, lock=True):
        """Return a shared ctypes array, with its lock."""
        from manyhands.multiprocessing.sharedctypes import Array

        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    def freeze_support(self):
        """Become the child, in a frozen executable that was started as one."""
        # Before 3.14, and on systems that start executables as we do, there is nothing to do.
        if getattr(sys, "frozen", False):
            from manyhands.multiprocessing.spawn import freeze_support

            freeze_support()

    def allow_connection_pickling(self):
        """Let connections and sockets be sent to other processes: they always can."""
        from manyhands.multiprocessing import connection  # noqa: F401

    def set_executable(self, executable):
        """Set which interpreter runs the children that are spawned."""
        from manyhands.multiprocessing.spawn import set_executable

        set_executable(executable)

    def set_forkserver_preload(self, module_names):
        """Set which modules the fork server imports, so that its children have them."""
        from manyhands.multiprocessing.forkserver import set_forkserver_preload

        set_forkserver_preload(module_names)

    def get_context(self, method=None):
        """Return the context of a start method; without one, this."""
        if method is None:
            return self
        try:
            context = _concrete_contexts[method]
        except KeyError:
            raise ValueError(f"cannot find context for {method!r}") from None
        context._check_available()
        return context


#: An import statement looks for what is there already, each time.
_module = functools.cache(import_module)


#: Set in workers of a pool, which are daemons and may have children.
may_have_children = False


def _proxies_among(args, kwargs):
    if "manyhands.multiprocessing.managers" not in sys.modules:
        return []
    kind = original("multiprocessing.managers").BaseProxy
    return [each for each in (*args, *kwargs.values()) if isinstance(each, kind)]


class _Starts:
    """What our processes have in common, whatever starts them."""

    #: The proxies that the process was given. Its arguments are let go of as soon as it is started,
    #: and the objects would be gone before it can say that it wants them.
    _proxies = ()

    def start(self):
        """Start the process."""
        proxies = _proxies_among(getattr(self, "_args", ()), getattr(self, "_kwargs", {}))
        self._start()
        if proxies:
            self._proxies = proxies

    def join(self, timeout=None):
        """Wait until the process has ended, or for so many seconds."""
        super().join(timeout)
        if self._proxies and self.exitcode is not None:
            self._proxies = ()

    def _start(self):
        if not may_have_children:
            super().start()
            return
        # What the standard library looks at, for as long as it does.
        config = _original.process.current_process()._config
        is_daemon = config.pop("daemon", None)
        try:
            super().start()
        finally:
            if is_daemon is not None:
                config["daemon"] = is_daemon

    def _bootstrap(self, parent_sentinel=None):
        from manyhands.multiprocessing._bootstrap import bootstrap

        if not bootstrap.is_replaced():
            return bootstrap.run(self, parent_sentinel)
        # The standard library's does the same with its own default context.
        if self._start_method is not None:
            _force_start_method(self._start_method)
        return super()._bootstrap(parent_sentinel=parent_sentinel)


class Process(_Starts, _original.Process):
    """Activity that is run in a process of its own, started as the default context says."""

    @staticmethod
    def _Popen(process_obj):
        return _default_context.get_context().Process._Popen(process_obj)

    @staticmethod
    def _after_fork():
        return _default_context.get_context().Process._after_fork()


class DefaultContext(BaseContext, _original.DefaultContext):
    """The context whose start method can be chosen, once, for the whole program."""

    Process = Process

    def get_context(self, method=None):
        """Return the context of a start method; without one, the one that is chosen."""
        if method is not None:
            return super().get_context(method)
        if self._actual_context is None:
            self._actual_context = self._default_context
        return self._actual_context


class ForkProcess(_Starts, _original.ForkProcess):
    """Activity that is run in a fork of this process."""

    @staticmethod
    def _Popen(process_obj):
        return _module("manyhands.multiprocessing.popen_fork").Popen(process_obj)


class SpawnProcess(_Starts, _original.SpawnProcess):
    """Activity that is run in a fresh interpreter."""

    @staticmethod
    def _Popen(process_obj):
        return _module("manyhands.multiprocessing.popen_spawn_posix").Popen(process_obj)


class ForkServerProcess(_Starts, _original.ForkServerProcess):
    """Activity that is run in a fork of a fresh interpreter that is kept for this."""

    @staticmethod
    def _Popen(process_obj):
        return _module("manyhands.multiprocessing.popen_forkserver").Popen(process_obj)


class ForkContext(BaseContext, _original.ForkContext):
    """The context of the start method `fork`."""

    Process = ForkProcess


class SpawnContext(BaseContext, _original.SpawnContext):
    """The context of the start method `spawn`."""

    Process = SpawnProcess


class ForkServerContext(BaseContext, _original.ForkServerContext):
    """The context of the start method `forkserver`."""

    Process = ForkServerProcess


_concrete_contexts = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}


def _default_start_method():
    """The start method of a program that chooses none."""
    chosen = os.environ.get(START_METHOD)
    if chosen in _concrete_contexts:
        return chosen
    if chosen:
        methods = ", ".join(_concrete_contexts)
        text = f"{START_METHOD}={chosen} is ignored: the start methods are {methods}"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    return _original._default_context._default_context._name


_default_context = DefaultContext(_concrete_contexts[_default_start_method()])


def _force_start_method(method):
    _default_context._actual_context = _concrete_contexts[method]


# `reduction` too: a program may set another one, as `reducer` of a context.
forward(globals(), _original)
