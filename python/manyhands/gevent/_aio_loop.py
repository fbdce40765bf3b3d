"""An event loop of asyncio that lets the greenlets of its thread run while it waits."""

import asyncio
import os
import weakref
from asyncio import events

from greenlet import getcurrent

from manyhands.gevent import monkey
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._running_loop import Surroundings
from manyhands.gevent.event import Event
from manyhands.gevent.hub import sleep

__all__ = ["EventLoop"]

# Of the thread, also where programs are told of the greenlet.
_get_ident = monkey.get_original("_thread", "get_ident")
_DefaultSelector = monkey.get_original("selectors", "DefaultSelector")

#: How many rounds a loop that is busy makes before the hub looks who of the others may go on, if
#: nobody has a turn.
_ROUNDS = 32

#: All that there are, for a forked child.
_loops = weakref.WeakSet()


class _Selector(_DefaultSelector):
    """The system's selector, which the hub watches: it is a descriptor itself."""

    def __init__(self):
        super().__init__()
        self.surroundings = Surroundings()
        #: Whether others may run; no more at the end of a thread, or of its hub.
        self.lets_run = True
        #: Whether the loop is in select(), where what is to be done soon is not seen.
        self.is_inside = False
        self._rounds = 0
        self._asked = Event()
        self._watcher = None

    def keeps(self):
        """Whether the hub may not end meanwhile; the loop replaces it."""
        return True

    def wake(self):
        """Have select() return, which another greenlet is in."""
        self._asked.set()

    def select(self, timeout=None):
        """As the system's; greenlets run meanwhile, and have their turn in any case."""
        if not self.lets_run:
            return super().select(timeout)
        is_busy = timeout is not None and timeout <= 0
        if is_busy and self._rounds < _ROUNDS and not get_hub().loop._due():
            self._rounds += 1
            return super().select(0)
        self._rounds = 0
        self._asked.clear()
        self.is_inside = True
        own = self.surroundings.leave()
        try:
            sleep(0)
            ready = super().select(0)
            if ready or is_busy or self._asked.is_set():
                return ready
            self._wait(timeout)
        finally:
            self.surroundings.come_back(own)
            self.is_inside = False
        return super().select(0)

    def _wait(self, timeout):
        loop = get_hub().loop
        watcher = self._watcher
        if watcher is None or watcher.loop is not loop:
            watcher = self._watcher = loop.io(self.fileno(), 1)
        watcher.ref = timeout is not None or self.keeps()
        watcher.start(self._come)
        try:
            self._asked.wait(timeout)
        finally:
            watcher.stop()

    def _come(self):
        self._watcher.stop()
        self._asked.set()

    def close(self):
        """Ask about nothing any more."""
        self._forget()
        super().close()

    def _forget(self):
        watcher, self._watcher = self._watcher, None
        if watcher is not None and not watcher.loop._closed():
            watcher.close()
            watcher.loop._forget(self.fileno())

    def leave_to_parent(self):
        """In a forked child: what it asks about is the parent's to change."""
        self._forget()
        shared, self._selector = self._selector, type(self._selector)()
        shared.close()


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop that waits in the hub: greenlets of its thread run meanwhile.

    It runs in the greenlet that calls `run_until_complete()` or `run_forever()`, so
    `asyncio.run(main(), loop_factory=EventLoop)` makes only that greenlet wait. Several may run in
    a thread, in a greenlet each. What other greenlets of the thread do with it and its futures, as
    `call_soon()`, `create_task()`, `Future.set_result()`, it sees at once; other threads use
    `call_soon_threadsafe()`, as ever. A coroutine that calls what makes a greenlet wait makes the
    coroutines of its loop wait, but no other greenlet. A forked child finds it closed.
    """

    def __init__(self):
        selector = _Selector()
        super().__init__(selector)
        self._surroundings = selector.surroundings
        selector.keeps = _CallWeakly(self._keeps)
        self._greenlet = None
        self._thread = None
        #: How many greenlets wait for something of it.
        self._awaited = 0
        _loops.add(self)

    def _keeps(self):
        """Whether there is something to be done, or to come."""
        return bool(
            self._awaited
            or self._scheduled
            or len(self._selector.get_map()) > 1  # the loop itself has registered one
            or asyncio.all_tasks(self)
        )

    def _is_run_here(self):
        return self._greenlet is getcurrent()

    def run_forever(self):
        """Run until `stop()` is called."""
        self._check_closed()
        self._check_running()
        self._greenlet, self._thread = getcurrent(), _get_ident()
        self._surroundings.begin()
        try:
            super().run_forever()
        finally:
            self._surroundings.end()
            self._greenlet = self._thread = None

    def _check_running(self):
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        _check_free()

    def _check_thread(self):
        if self._thread not in (None, _get_ident()):
            raise RuntimeError("another thread has to use call_soon_threadsafe()")

    def call_soon(self, callback, *args, context=None):
        """Have it called in the next round."""
        if self._debug or self._closed:
            handle = super().call_soon(callback, *args, context=context)
            _hide_caller(handle)
        else:
            handle = self._call_soon(callback, args, context)
        if self._selector.is_inside:
            self._selector.wake()
        return handle

    def call_at(self, when, callback, *args, context=None):
        """Have it called at that `time()` of the loop's."""
        handle = super().call_at(when, callback, *args, context=context)
        _hide_caller(handle)
        if self._selector.is_inside:
            self._selector.wake()
        return handle

    def run_in_executor(self, executor, func, *args):
        """Have a thread call it. Where `threading` is patched, so that an executor's threads would
        be greenlets, it is one of the hub's pool."""
        is_default = executor is None and self._default_executor is None
        if is_default and monkey.is_module_patched("threading"):
            self._check_closed()
            return self._in_greenlet(get_hub().threadpool.apply, func, args)
        return super().run_in_executor(executor, func, *args)

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):
        """As `socket.getaddrinfo`, by the hub's resolver."""
        from manyhands.gevent.socket import getaddrinfo

        return await self._in_greenlet(getaddrinfo, host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr, flags=0):
        """As `socket.getnameinfo`, by the hub's resolver."""
        from manyhands.gevent.socket import getnameinfo

        return await self._in_greenlet(getnameinfo, sockaddr, flags)

    def _in_greenlet(self, func, *args):
        from manyhands.gevent.aio import _call

        return _call(self, func, args, {})

    def close(self):
        """Give back what it has of the system."""
        super().close()
        _loops.discard(self)

    def _leave_to_parent(self):
        selector = self._selector
        if selector is None:
            return
        selector.leave_to_parent()
        selector.lets_run = False
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # it is not lost: the parent has it
        self._thread_id = None
        self.close()


def _hide_caller(handle):
    """What debug mode says of where it was made: not here."""
    if handle._source_traceback:
        del handle._source_traceback[-1]


class _CallWeakly:
    """Calls a method as long as its object is there: the selector is a part of the loop."""

    def __init__(self, method):
        self._method = weakref.WeakMethod(method)

    def __call__(self):
        method = self._method()
        return method is not None and method()


def _check_free():
    """RuntimeError if the greenlet that runs is running a loop already."""
    running = events._get_running_loop()
    if running is None or (isinstance(running, EventLoop) and not running._is_run_here()):
        return
    raise RuntimeError(
        f"the event loop {running!r} is running in this thread: await what is to be done,"
        " instead of waiting for it"
    )


def _forked():
    for loop in list(_loops):
        loop._leave_to_parent()


os.register_at_fork(after_in_child=_forked)
