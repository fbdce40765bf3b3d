"""asyncio beside greenlets, in one thread: each can wait for what the other does.

`run(coroutine)` makes a greenlet wait for a coroutine, `await as_future(greenlet)` a coroutine for
a greenlet, and `await to_greenlet(function, ...)` for a function that would stop the event loop.
The coroutines run on the event loop of the thread's hub: `get_event_loop()`. It is made, and runs
in a greenlet of its own, when it is first needed, and is closed with the hub, with the thread, or
at the end of the program; tasks that are left are cancelled then. A forked child gets a new one.
"""

import asyncio
import atexit
import contextlib
import signal
import sys
from asyncio import events

from greenlet import GreenletExit, getcurrent, greenlet as _stack

from manyhands.gevent import monkey
from manyhands.gevent._aio_loop import EventLoop, _check_free, _Selector
from manyhands.gevent._green import native as _native
from manyhands.gevent._hub_local import get_hub, get_hub_if_exists
from manyhands.gevent.event import Event
from manyhands.gevent.greenlet import Greenlet
from manyhands.gevent.selectors import GeventSelector

_get_ident = monkey.get_original("_thread", "get_ident")

_set_handler = monkey.get_original("signal", "signal")

__all__ = ["EventLoop", "as_future", "get_event_loop", "run", "to_greenlet"]


class _HubLoop(EventLoop):
    """That of a hub."""

    def stop(self):
        """RuntimeError: it runs as long as the hub is there."""
        if self._selector.lets_run:
            raise RuntimeError("the event loop of a hub cannot be stopped: it ends with the hub")
        super().stop()

    def _end(self):
        super().stop()


class _Runner:
    """Runs the event loop of a hub."""

    def __init__(self, hub):
        self._hub = hub
        self._is_ending = False
        self._is_interrupted = False
        self.loop = _HubLoop()
        self._greenlet = _stack(self._run, hub)
        hub.loop.run_callback(self._greenlet.switch)

    def _run(self):
        self._take_interrupts()
        try:
            while not self._is_ending:
                try:
                    self.loop.run_forever()
                except (KeyboardInterrupt, SystemExit):
                    # They have ended the coroutine that raised them, and are meant for the program.
                    self._hub.handle_error(self.loop, *sys.exc_info())
        except GreenletExit:
            pass
        finally:
            self._close()

    def _take_interrupts(self):
        """See to it that Ctrl-C does not end whatever coroutine is running at that moment."""
        if not self._hub.main_hub:
            return
        handler = signal.getsignal(signal.SIGINT)
        was_ours = getattr(handler, "__func__", None) is _Runner._interrupt
        if was_ours or handler is signal.default_int_handler:
            # The hub knows only which thread has imported it first.
            with contextlib.suppress(ValueError):
                _set_handler(signal.SIGINT, self._interrupt)

    def _leave_interrupts(self):
        if signal.getsignal(signal.SIGINT) == self._interrupt:
            _set_handler(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self, number, frame):
        # A second one, before the first has had its effect: the coroutine does not come to an end.
        if getcurrent() is not self._greenlet or self._is_interrupted:
            signal.default_int_handler(number, frame)
        self._is_interrupted = True
        self._hub.loop.run_callback(self._tell_of_interrupt)

    def _tell_of_interrupt(self):
        self._is_interrupted = False
        self._hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    def end(self):
        """Close the loop, here and now, after its tasks were cancelled."""
        if self.loop.is_closed():
            return
        if getcurrent() is self._greenlet:
            raise RuntimeError("a hub cannot be destroyed by a coroutine that runs on it")
        self._is_ending = True
        if self._greenlet:
            self.loop._end()
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)
        self._close()

    def _close(self):
        loop = self.loop
        if loop.is_closed():
            return
        loop._selector.lets_run = False
        self._leave_interrupts()
        try:
            asyncio.runners._cancel_all_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            # Not by its method, which begins a thread: there can be none any more.
            executor = loop._default_executor
            if executor is not None:
                executor.shutdown()
        finally:
            loop.close()


def get_event_loop():
    """The event loop of this thread's hub, which runs, or is about to."""
    hub = get_hub()
    runner = hub._aio
    if runner is None or runner.loop.is_closed():
        runner = hub._aio = _Runner(hub)
    return runner.loop


def run(awaitable):
    """Make this greenlet wait for a coroutine, a future of `get_event_loop()`, or anything else
    that can be awaited; what it returns or raises.

    A coroutine runs as a task with a copy of the context variables of this greenlet. If an
    exception ends the wait, as when the greenlet is killed, by a `gevent.Timeout`, or by Ctrl-C,
    the task is cancelled, and the exception goes on when the task has ended; `asyncio.shield()`
    keeps it from that. `asyncio.CancelledError` if it was cancelled otherwise. RuntimeError in
    a coroutine, where an event loop is running already: it can await it.
    """
    try:
        _check_free()
    except RuntimeError:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        raise
    loop = get_event_loop()
    others = events._get_running_loop()
    events._set_running_loop(loop)  # a factory of tasks may begin them at once
    try:
        future = asyncio.ensure_future(awaitable, loop=loop)
    finally:
        events._set_running_loop(others)
    if not future.done():
        _wait(loop, future)
    return future.result()


def _wait(loop, future):
    ended = Event()
    future.add_done_callback(lambda _: ended.set())
    loop._awaited += 1
    loop._selector.wake()  # so that it sees that
    try:
        ended.wait()
    except BaseException:
        future.cancel()
        ended.wait()
        error = None if future.cancelled() else future.exception()
        if isinstance(error, Exception):  # of others the program is told anyway
            message = "a coroutine failed when it was cancelled"
            context = {"message": message, "exception": error, "future": future}
            loop.call_exception_handler(context)
        raise
    finally:
        loop._awaited -= 1


def as_future(source, *, loop=None):
    """A future, to be awaited by a coroutine, that gets what comes of a `Greenlet` or an
    `AsyncResult`: what `get()` returns or raises; or True when an `Event` is set. `loop`: whose
    future; the running one's, if not said.

    Who is cancelled while awaiting a greenlet kills it, as it would cancel a task; with
    `asyncio.shield()` it only stops waiting. RuntimeError for a loop that lets no greenlets run:
    one is that of `run()`, `EventLoop`, or, under `monkey.patch_all()`, any of asyncio's own.
    """
    if loop is None:
        loop = asyncio.get_running_loop()
    if not isinstance(source, (Greenlet, Event)) and not hasattr(source, "exc_info"):
        raise TypeError(f"a Greenlet, an AsyncResult or an Event is expected, not {source!r}")
    if not _lets_run(loop):
        raise RuntimeError(
            f"{loop!r} lets no greenlets run while it waits: use manyhands.gevent.aio.EventLoop"
        )
    future = loop.create_future()
    is_here = isinstance(loop, EventLoop)

    def ended(source):
        if is_here and loop._thread == _get_ident():
            _settle(future, source)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_settle, future, source)

    def done(future):
        if future.cancelled():
            source.unlink(ended)
            if isinstance(source, Greenlet):
                source.kill(block=False)

    future.add_done_callback(done)
    source.rawlink(ended)
    return future


def _settle(future, source):
    if future.done():
        return  # cancelled meanwhile
    error = getattr(source, "exception", None)
    if error is None:
        future.set_result(getattr(source, "value", True))
    elif isinstance(error, StopIteration):
        # A coroutine would end by it.
        replaced = RuntimeError(f"{source!r} raised StopIteration")
        replaced.__cause__ = error
        future.set_exception(replaced)
    else:
        future.set_exception(error)


def _lets_run(loop):
    selector = getattr(loop, "_selector", None)
    if isinstance(selector, _Selector):
        return selector.lets_run
    return isinstance(selector, GeventSelector)


class _Call(Greenlet):
    """Calls something for a coroutine, which is told of what it raises: nobody else is."""

    copy_context = True

    def _report_error(self, exc_info):
        if isinstance(exc_info[1], Exception):
            _native._fail(self, exc_info[1], exc_info[2])
        else:
            super()._report_error(exc_info)


def _call(loop, func, args, kwargs):
    return as_future(_Call.spawn(func, *args, **kwargs), loop=loop)


async def to_greenlet(func, /, *args, **kwargs):
    """Call it in a greenlet, where it may wait without making the event loop wait; what it returns
    or raises. As `asyncio.to_thread`, it has a copy of the context variables of who calls this. Who
    is cancelled meanwhile kills it.
    """
    return await _call(asyncio.get_running_loop(), func, args, kwargs)


def _at_exit():
    hub = get_hub_if_exists()
    if hub is not None and hub._aio is not None:
        hub._aio.end()


atexit.register(_at_exit)
