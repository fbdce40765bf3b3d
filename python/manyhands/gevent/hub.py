"""The hub of a thread: the greenlet in which its loop runs."""

import contextlib
import sys
from _thread import get_ident as _get_thread_ident

from greenlet import GreenletExit, getcurrent, greenlet as RawGreenlet

from manyhands.gevent import _green
from manyhands.gevent._config import config
from manyhands.gevent._greenlet_primitives import TrackedRawGreenlet
from manyhands.gevent._hub_errors import _TellsOfErrors
from manyhands.gevent._hub_local import (
    get_hub,
    get_hub_if_exists as _get_hub,
    get_loop,
    set_default_hub_class,
    set_hub,
    set_loop,
)
from manyhands.gevent._hub_primitives import WaitOperationsGreenlet, iwait, wait
from manyhands.gevent._ident import IdentRegistry
from manyhands.gevent._waiter import Waiter
from manyhands.gevent.exceptions import LoopExit

__all__ = [
    "GreenletExit",
    "Hub",
    "LoopExit",
    "Waiter",
    "get_hub",
    "getcurrent",
    "idle",
    "iwait",
    "kill",
    "reinit",
    "signal",
    "sleep",
    "spawn_raw",
    "wait",
]

MAIN_THREAD_IDENT = _get_thread_ident()

sleep = _green.sleep

#: Gives hubs their small numbers.
hub_ident_registry = IdentRegistry()


def spawn_raw(function, *args, **kwargs):
    """Have a greenlet call the function soon: one without an end that anybody could wait for."""
    if not callable(function):
        raise TypeError("function must be callable")
    hub = get_hub()
    call = function
    if kwargs:
        call = lambda *args: function(*args, **kwargs)  # noqa: E731
    greenlet = (
        TrackedRawGreenlet(call, hub) if config.track_greenlet_tree else RawGreenlet(call, hub)
    )
    hub.loop.run_callback(greenlet.switch, *args)
    return greenlet


def idle(priority=0):
    """Let those run who have a turn, until nobody has one."""
    hub = get_hub()
    watcher = hub.loop.idle()
    if priority:
        watcher.priority = priority
    hub.wait(watcher)


def kill(greenlet, exception=GreenletExit):
    """Have the exception raised in a greenlet, soon. Does not wait."""
    if greenlet.dead:
        return
    if not greenlet.gr_frame and hasattr(greenlet, "_cancel_start"):
        greenlet.throw(exception)  # it has not begun, and will not
        return
    get_hub().loop.run_callback(greenlet.throw, exception)


class linkproxy:
    """Calls back once, with what it was made with."""

    __slots__ = ["callback", "obj"]

    def __init__(self, callback, obj):
        self.callback = callback
        self.obj = obj

    def __call__(self, *args):
        callback, obj = self.callback, self.obj
        self.callback = self.obj = None
        callback(obj)


class signal:
    """Has a greenlet call the handler whenever the process gets the signal."""

    greenlet_class = None

    def __init__(self, signalnum, handler, *args, **kwargs):
        if not callable(handler):
            raise TypeError("signal handler must be callable.")
        self.hub = _get_hub() or get_hub()
        self.watcher = self.hub.loop.signal(signalnum, ref=False)
        self.handler = handler
        self.args = args
        self.kwargs = kwargs
        if self.greenlet_class is None:
            from manyhands.gevent import Greenlet

            type(self).greenlet_class = Greenlet
        self.watcher.start(self._start)

    @property
    def ref(self):
        return self.watcher.ref

    @ref.setter
    def ref(self, value):
        self.watcher.ref = value

    def cancel(self):
        """Have it called no more."""
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher.close()
            self.watcher = None

    def _start(self):
        self.greenlet_class.spawn(self.handle)

    def handle(self):
        """Call the handler."""
        try:
            self.handler(*self.args, **self.kwargs)
        except BaseException:
            self.hub.handle_error(None, *sys.exc_info())


def reinit(hub=None):
    """To be called in a forked child if nothing did: the hub gets its own poller, and its threads
    anew."""
    hub = _get_hub() if hub is None else hub
    if hub is None:
        return
    hub.loop.reinit()
    names = ("_threadpool", "_resolver", "periodic_monitoring_thread", "_blocking_reporter")
    for helper in [getattr(hub, name, None) for name in names]:
        restart = getattr(helper, "_on_fork", None)
        if restart is not None:
            restart()


class Hub(_TellsOfErrors, WaitOperationsGreenlet):
    """The greenlet in which a thread's loop runs. It is made when it is first needed; `get_hub()`
    gives it."""

    #: How many threads the pool has at most.
    threadpool_size = 10

    periodic_monitoring_thread = None
    _blocking_reporter = None
    name = ""

    _resolver = None
    _threadpool = None
    _aio = None  # what runs its event loop: see aio.py

    def __init__(self, loop=None, default=None):
        WaitOperationsGreenlet.__init__(self, None, None)
        self.thread_ident = _get_thread_ident()
        self._start_monitoring = config.monitor_thread
        if hasattr(loop, "run"):
            if default is not None:
                raise TypeError("Unexpected argument: default")
            self.loop = loop
        elif default is None and get_loop() is not None and get_loop().ptr is not None:
            self.loop = get_loop()
        else:
            if default is None:
                default = self.thread_ident == MAIN_THREAD_IDENT
            self.loop = self.loop_class(flags=loop or self.backend, default=default)
            set_loop(self.loop)
        self.format_context = config.format_context
        self.minimal_ident = hub_ident_registry.get_ident(self)

    @property
    def ident_registry(self):
        """Gives its greenlets their small numbers."""
        registry = self.__dict__.get("_ident_registry")
        if registry is None:
            registry = self.__dict__["_ident_registry"] = IdentRegistry()
        return registry

    @property
    def loop_class(self):
        return config.loop

    @property
    def backend(self):
        return config.libev_backend

    @property
    def main_hub(self):
        """Whether this is the main thread's."""
        return self.thread_ident == MAIN_THREAD_IDENT

    def __repr__(self):
        if self.loop is None:
            info = "destroyed"
        else:
            try:
                info = self.loop._format()
            except Exception as error:
                info = str(error) or repr(error) or "error"
        result = f"<{type(self).__name__} {self.name!r} at {id(self):#x} {info}"
        if self._resolver is not None:
            result += f" resolver={self._resolver!r}"
        if self._threadpool is not None:
            result += f" threadpool={self._threadpool!r}"
        return f"{result} thread_ident={self.thread_ident:#x}>"

    def run(self):
        """The loop, for ever: whoever waits for nothing that can come gets a LoopExit in the main
        greenlet."""
        assert self is getcurrent(), "Do not call Hub.run() directly"
        self.start_periodic_monitoring_thread()
        if config.blocking_report and self._blocking_reporter is None:
            from manyhands.gevent._blocking import BlockingReporter

            self._blocking_reporter = BlockingReporter(self, config.blocking_report)
        while True:
            loop = self.loop
            loop.error_handler = self
            try:
                loop.run()
            finally:
                loop.error_handler = None
            del loop
            if self.loop is None:
                return
            waits = self._who_waits()
            self.parent.throw(LoopExit("This operation would block forever", self, waits))

    def _who_waits(self):
        """For each greenlet that is parked, where."""
        waits = []
        for greenlet in self.loop._parked():
            frame = greenlet.gr_frame
            where = "" if frame is None else f" in {frame.f_code.co_filename}:{frame.f_lineno}"
            waits.append(f"\t\t{greenlet!r}{where}")
        return waits

    def start_periodic_monitoring_thread(self):
        """Start the thread that looks whether this one blocks, if the configuration wants one."""
        if self.periodic_monitoring_thread is None and config.monitor_thread:
            from manyhands.gevent._monitor import PeriodicMonitoringThread

            self.periodic_monitoring_thread = PeriodicMonitoringThread(self)
            if _get_hub() is self:
                set_hub(self)  # which has to be asked from now on, as only its switches are seen
            if self.main_hub:
                self.periodic_monitoring_thread.install_monitor_memory_usage()
        return self.periodic_monitoring_thread

    def join(self, timeout=None):
        """Wait until nothing is left to do, at most so many seconds; whether nothing is left."""
        if getcurrent() is self:
            raise AssertionError("only possible from the MAIN greenlet")
        if self.dead:
            return True
        waiter = Waiter(self)
        limit = None
        if timeout is not None:
            limit = self.loop.timer(timeout, ref=False)
            limit.start(waiter.switch, None)
        try:
            waiter.get()
        except LoopExit:
            return True
        finally:
            if limit is not None:
                limit.close()
        return False

    def destroy(self, destroy_loop=None):
        """The thread has no hub any more; the next that needs one makes it. The loop goes too
        unless it is the default one: `destroy_loop` says otherwise."""
        if self._aio is not None:
            self._aio.end()
        if self.periodic_monitoring_thread is not None:
            self.periodic_monitoring_thread.kill()
            self.periodic_monitoring_thread = None
        helpers = (
            (self._resolver, "close"),
            (self._threadpool, "kill"),
            (self._blocking_reporter, "kill"),
        )
        for helper, end in helpers:
            if helper is not None:
                getattr(helper, end)()
        self._resolver = self._threadpool = self._blocking_reporter = self._aio = None
        loop, self.loop = self.loop, None
        if loop is None:
            return
        if destroy_loop is None:
            destroy_loop = not loop.default
        if _get_hub() is self:
            set_hub(None)
        if destroy_loop:
            if get_loop() is loop:
                set_loop(None)
            loop.destroy()
        self._end()

    def _end(self):
        """End this greenlet, which nobody switches to any more."""
        if self and getcurrent() is not self and self.thread_ident == _get_thread_ident():
            self.parent = getcurrent()
            with contextlib.suppress(GreenletExit):
                self.throw(GreenletExit)

    @property
    def resolver_class(self):
        return config.resolver

    @property
    def resolver(self):
        """Finds addresses without blocking the others; made when it is first needed."""
        if self._resolver is None:
            self._resolver = self.resolver_class(hub=self)
        return self._resolver

    @resolver.setter
    def resolver(self, resolver):
        self._resolver = resolver

    @resolver.deleter
    def resolver(self):
        self._resolver = None

    @property
    def threadpool_class(self):
        return config.threadpool

    @property
    def threadpool(self):
        """Threads for what blocks; made when it is first needed."""
        if self._threadpool is None:
            self._threadpool = self.threadpool_class(self.threadpool_size, hub=self)
        return self._threadpool

    @threadpool.setter
    def threadpool(self, threadpool):
        self._threadpool = threadpool

    @threadpool.deleter
    def threadpool(self):
        self._threadpool = None


set_default_hub_class(Hub)
