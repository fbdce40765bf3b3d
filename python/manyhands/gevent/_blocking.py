"""Reports of calls that hold a hub, by a thread that costs it nothing."""

import atexit
import gc
import os
import sys
import traceback
from weakref import ref

from greenlet import greenlet as RawGreenlet

from manyhands.gevent import _green
from manyhands.gevent.events import EventLoopBlocked, notify
from manyhands.gevent.monkey import get_original

_start_new_thread = get_original("_thread", "start_new_thread")
_allocate_lock = get_original("_thread", "allocate_lock")

#: How long the end of a program waits for a report that is being printed, in seconds.
_LAST_REPORT = 1.0


class BlockingReporter:
    """Tells once of each place in which somebody has held a hub for longer than `limit` seconds:
    subscribers by an `EventLoopBlocked`, and on the hub's `exception_stream`.

    A call that does not let other threads run meanwhile is reported when it has ended.
    """

    def __init__(self, hub, limit):
        self._hub = ref(hub, lambda _: self.kill())
        self._limit = limit
        self._places = set()
        self._start()
        # Later the thread could not come back into the interpreter.
        atexit.register(self._at_exit)

    def _start(self):
        self._pid = os.getpid()
        self._watchdog = _green.native.Watchdog(self._hub().loop, self._limit)
        self._runs = _allocate_lock()
        self._runs.acquire()
        _start_new_thread(self._run, (self._watchdog, self._runs))

    def _on_fork(self):
        if os.getpid() != self._pid:
            self._start()

    def kill(self):
        """End the thread."""
        self._watchdog.stop()
        atexit.unregister(self._at_exit)

    def _at_exit(self):
        self._watchdog.stop()
        if os.getpid() == self._pid:
            self._runs.acquire(True, _LAST_REPORT)

    def _run(self, watchdog, runs):
        try:
            while (held := watchdog.wait()) is not None:
                hub = self._hub()
                if hub is None or hub.loop is None:
                    return
                try:
                    self._report(hub, held)
                except Exception as error:
                    hub.print_exception(self, type(error), error, error.__traceback__)
                del hub
        finally:
            runs.release()

    def _report(self, hub, held):
        if _green.native.Watchdog.is_alone(hub.loop):
            return
        frame = sys._current_frames().get(hub.thread_ident)
        if frame is None or not self._watchdog.still():
            # It did not let this thread run.
            holder, where, place = None, ["  (a call that ended before this could look)"], None
        else:
            holder = _holder(hub)
            where = "".join(traceback.format_stack(frame)).splitlines()
            place = (frame.f_code, frame.f_lineno)
        del frame
        if place in self._places:
            return
        self._places.add(place)
        who = "somebody" if holder is None else repr(holder)
        if holder is hub.parent:
            who = "the main greenlet"
        head = (
            f"{who} has held the hub of thread {hub.thread_ident:#x} for {held:.3g} seconds,"
            f" more than {self._limit:g}: nobody else had a turn meanwhile"
        )
        report = [head, *where]
        notify(EventLoopBlocked(holder, self._limit, report, hub=hub))
        stream = hub.exception_stream
        if stream is not None:
            stream.write("\n".join(report) + "\n")
            stream.flush()


def _holder(hub):
    """The greenlet of the hub's thread that runs: no frame to go on from, and not parked, as those
    are that wait in native code and called it with nothing of Python's in between."""
    main = hub.parent
    parked = {id(it) for it in hub.loop._parked()}
    greenlets = [it for it in gc.get_objects() if isinstance(it, RawGreenlet)]
    for it in (hub, main, *greenlets):
        runs = it and it.gr_frame is None and id(it) not in parked
        if runs and (it is main or it.parent in (hub, main)):
            return it
    return main
