"""The thread that watches a hub: whether somebody holds it, and how much memory there is."""

import os
import sys
import warnings
from time import perf_counter
from weakref import ref

from greenlet import getcurrent

from manyhands.gevent._compat import get_this_psutil_process
from manyhands.gevent._config import config
from manyhands.gevent._tracer import GreenletTracer
from manyhands.gevent.events import (
    EventLoopBlocked,
    IPeriodicMonitorThread,
    MemoryUsageThresholdExceeded,
    MemoryUsageUnderThreshold,
    implementer,
    notify,
)
from manyhands.gevent.monkey import get_original

__all__ = ["PeriodicMonitoringThread"]

get_thread_ident = get_original("_thread", "get_ident")
start_new_thread = get_original("_thread", "start_new_thread")
thread_sleep = get_original("time", "sleep")


class MonitorWarning(RuntimeWarning):
    """Something cannot be watched."""


class _Entry:
    """A function that is called now and then."""

    __slots__ = ("function", "last_run_time", "period")

    def __init__(self, function, period):
        self.function = function
        self.period = period
        self.last_run_time = 0

    def __repr__(self):
        return repr((self.function, self.period, self.last_run_time))


@implementer(IPeriodicMonitorThread)
class PeriodicMonitoringThread:
    """Calls functions with the hub, each about every so many seconds, in a thread of the system.

    To be made in the hub's thread. The thread ends with the hub, or by `kill()`.
    """

    #: How long it sleeps, in seconds: with nothing to watch, and at the least.
    inactive_sleep_time = 2.0
    min_sleep_time = 0.005
    #: How often memory is looked at, at the most: it may take long to find out.
    min_memory_monitor_period = 2

    # How much memory was in use when it was told last that that is too much.
    _memory_exceeded = 0

    def __init__(self, hub):
        if get_thread_ident() != hub.thread_ident:
            raise RuntimeError("a hub can be watched only if its own thread starts that")
        self._hub_wref = ref(hub, self._on_hub_gc)
        self.should_run = True
        self._greenlet_tracer = GreenletTracer()
        period = config.max_blocking_time or 0
        self._monitoring_functions = [_Entry(self.monitor_blocking, period)]
        self._calculated_sleep_time = period
        self._process = None
        self.pid = os.getpid()
        self.monitor_thread_ident = start_new_thread(self, ())

    @property
    def hub(self):
        """The hub; None if it is gone."""
        return self._hub_wref()

    def _on_fork(self):
        if os.getpid() != self.pid:
            self.pid = os.getpid()
            self.monitor_thread_ident = start_new_thread(self, ())

    def _on_hub_gc(self, _):
        self.kill()

    def monitoring_functions(self):
        """What is called, whether the hub is held at first; looks at the settings anew."""
        period = config.max_blocking_time or 0
        blocking = self._monitoring_functions[0]
        if blocking.period != period:
            blocking.period = period
            self._set_sleep_time()
        return self._monitoring_functions

    def add_monitoring_function(self, function, period):
        """Call `function(hub)` about every `period` seconds; None: not any more."""
        if not callable(function):
            raise ValueError(f"function must be callable, not {function!r}")
        if period is not None and period <= 0:
            raise ValueError(f"period must be positive, not {period!r}")
        # A new list: the thread may be going through the old one.
        entries = list(self._monitoring_functions)
        places = [at for at, entry in enumerate(entries) if entry.function == function]
        if period is None:
            entries = [entry for entry in entries if entry.function != function]
        elif places:
            entries[places[0]] = _Entry(function, period)
        else:
            entries.append(_Entry(function, period))
        self._monitoring_functions = entries
        self._set_sleep_time()

    def _set_sleep_time(self):
        periods = [entry.period for entry in self._monitoring_functions if entry.period > 0]
        self._calculated_sleep_time = min(periods, default=0)

    def calculate_sleep_time(self):
        """How long the thread sleeps between two rounds, in seconds."""
        if self._calculated_sleep_time <= 0:
            return self.inactive_sleep_time
        return max(self._calculated_sleep_time, self.min_sleep_time)

    def kill(self):
        """End the thread, after its next sleep."""
        if self.should_run:
            self.should_run = False
            self._greenlet_tracer.kill()

    def __call__(self):
        # So that listings of threads can tell which this is.
        getcurrent().gevent_monitoring_thread = ref(self)
        try:
            while self.should_run:
                functions = self.monitoring_functions()
                thread_sleep(self.calculate_sleep_time())
                self._round(functions)
        except SystemExit:
            pass
        except BaseException:
            hub = self.hub
            # At the end of the process there is nobody left to tell.
            if hub is not None and sys is not None and sys.stderr is not None:
                hub.handle_error(self, *sys.exc_info())

    def _round(self, functions):
        hub = self.hub
        if not hub:
            self.kill()
            return
        now = perf_counter()
        for entry in functions:
            if self.should_run and entry.period > 0 and entry.last_run_time + entry.period <= now:
                entry.last_run_time = now
                entry.function(hub)

    def monitor_blocking(self, hub):
        """Tell subscribers, and print, if a greenlet has held the hub since the last call."""
        blocked = self._greenlet_tracer.did_block_hub(hub)
        if not blocked:
            return None
        greenlet = blocked[1]
        # Stacks of greenlets would be taken for those of this thread.
        report = self._greenlet_tracer.did_block_hub_report(
            hub,
            greenlet,
            {"greenlet_stacks": False, "current_thread_ident": self.monitor_thread_ident},
        )
        notify(EventLoopBlocked(greenlet, config.max_blocking_time, report, hub=hub))
        if config.print_blocking_reports:
            for line in report:
                print(line, file=hub.exception_stream)
        return greenlet, report

    def ignore_current_greenlet_blocking(self):
        """The current greenlet may hold the hub, until the next switch."""
        self._greenlet_tracer.ignore_current_greenlet_blocking()

    def monitor_current_greenlet_blocking(self):
        """The current greenlet may not hold the hub."""
        self._greenlet_tracer.monitor_current_greenlet_blocking()

    def _get_process(self):
        if self._process is None:
            self._process = get_this_psutil_process()
        return self._process

    def can_monitor_memory_usage(self):
        """Whether there is a psutil that can say how much memory this process has."""
        return self._get_process() is not None

    def install_monitor_memory_usage(self):
        """Watch the memory from now on."""
        if not self.can_monitor_memory_usage():
            warnings.warn(
                "memory cannot be monitored: pip install psutil", MonitorWarning, stacklevel=2
            )
            return
        period = max(config.memory_monitor_period or 0, self.min_memory_monitor_period)
        self.add_monitoring_function(self.monitor_memory_usage, period)

    def monitor_memory_usage(self, _hub):
        """Tell subscribers if memory has grown beyond `max_memory_usage`, or is below it again.

        Returns the event, or None; -1 if there is no limit.
        """
        allowed = config.max_memory_usage
        if not allowed:
            return -1
        info = self._get_process().memory_full_info()
        # What would be free if the process ended; not every system knows that.
        used = getattr(info, "uss", 0) or info.rss
        before = self._memory_exceeded
        event = None
        if used > allowed:
            self._memory_exceeded = used
            if used > before:
                event = MemoryUsageThresholdExceeded(used, allowed, info)
        else:
            self._memory_exceeded = 0
            if before:
                event = MemoryUsageUnderThreshold(used, allowed, info, before)
        if event is not None:
            notify(event)
        return event

    def __repr__(self):
        return (
            f"<{type(self).__name__} at {id(self):#x} in thread {self.monitor_thread_ident:#x}"
            f" greenlet {getcurrent()!r} for {self.hub!r}>"
        )
