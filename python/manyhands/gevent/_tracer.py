"""Trace functions of greenlet that tell whether somebody holds the hub."""

import sys
import traceback
from time import perf_counter

from greenlet import getcurrent, settrace

from manyhands.gevent._util import gmctime
from manyhands.gevent.util import format_run_info

__all__ = ["GreenletTracer", "HubSwitchTracer", "MaxSwitchTracer"]


class GreenletTracer:
    """Traces this thread from now on until `kill()`; the trace function of before is called too."""

    def __init__(self):
        # How many switches there were since somebody asked last.
        self.greenlet_switch_counter = 0
        # Who runs, as far as is known.
        self.active_greenlet = None
        self._killed = False
        self.previous_trace_function = settrace(self)

    def kill(self):
        """Trace no longer; in the thread that was traced."""
        if self._killed:
            return
        self._killed = True
        settrace(self.previous_trace_function)
        self.previous_trace_function = None

    def _trace(self, event, args):
        self.greenlet_switch_counter += 1
        self.active_greenlet = args[1] if event in ("switch", "throw") else None
        if self.previous_trace_function is not None:
            self.previous_trace_function(event, args)

    def __call__(self, event, args):
        self._trace(event, args)

    def did_block_hub(self, hub):
        """`(True, greenlet)` if that one has run without a switch since this was asked last."""
        greenlet = self.active_greenlet
        switched = self.greenlet_switch_counter
        self.greenlet_switch_counter = 0
        if switched or greenlet is None or greenlet is hub:
            return False
        return True, greenlet

    def ignore_current_greenlet_blocking(self):
        """Take no offence at whoever runs, until the next switch."""
        self.active_greenlet = None

    def monitor_current_greenlet_blocking(self):
        """Watch the current greenlet, without waiting for a switch."""
        self.active_greenlet = getcurrent()

    def did_block_hub_report(self, hub, active_greenlet, format_kwargs):
        """Lines that say who holds the hub, and where it is."""
        frame = sys._current_frames().get(hub.thread_ident)
        if frame is None:
            stack = [f"Unknown: No thread found for hub {hub!r}\n"]
        else:
            stack = traceback.format_stack(frame)
        return [
            "=" * 80,
            f"\n{gmctime()} : Greenlet {active_greenlet} appears to be blocked",
            f"    Reported by {self}",
            f"Blocked Stack (for thread id {hub.thread_ident:#x}):",
            "".join(stack),
            "Info:",
            *format_run_info(**format_kwargs),
        ]


class _TimedTracer(GreenletTracer):
    def __init__(self, hub, max_blocking_time):
        self.hub = hub
        self.max_blocking_time = max_blocking_time
        super().__init__()

    def kill(self):
        self.hub = None
        super().kill()


class HubSwitchTracer(_TimedTracer):
    """Tells whether the hub had its turn within the time."""

    def __init__(self, hub, max_blocking_time):
        self.last_entered_hub = 0
        super().__init__(hub, max_blocking_time)

    def _trace(self, event, args):
        super()._trace(event, args)
        if self.active_greenlet is self.hub:
            self.last_entered_hub = perf_counter()

    def did_block_hub(self, hub):
        if perf_counter() - self.last_entered_hub > self.max_blocking_time:
            return True, self.active_greenlet
        return False


class MaxSwitchTracer(_TimedTracer):
    """Tells whether a greenlet has run for longer than the time."""

    def __init__(self, hub, max_blocking_time):
        self.max_blocking = 0
        self.last_switch = perf_counter()
        super().__init__(hub, max_blocking_time)

    def _trace(self, event, args):
        ran = self.active_greenlet
        super()._trace(event, args)
        now = perf_counter()
        if ran is not None and ran is not self.hub:
            self.max_blocking = max(self.max_blocking, now - self.last_switch)
        self.last_switch = now

    def did_block_hub(self, hub):
        if self.max_blocking == 0:
            # Not one switch: whoever runs has been running since the start.
            self.max_blocking = perf_counter() - self.last_switch
        if self.max_blocking > self.max_blocking_time:
            return True, self.active_greenlet
        return False
