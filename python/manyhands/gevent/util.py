"""Helpers to find out what a program does."""

import functools
import sys
import threading
import traceback
from time import perf_counter

from manyhands.gevent._greenlet_tree import GreenletTree
from manyhands.gevent._util import _NONE

__all__ = [
    "GreenletTree",
    "assert_switches",
    "format_run_info",
    "print_run_info",
    "wrap_errors",
]


class wrap_errors:
    """Makes of `func` a function that returns exceptions of the class, or classes, `errors`.

    A greenlet that raises is reported; one that returns the exception is not.
    """

    def __init__(self, errors, func):
        self.__errors = errors
        self.__func = func
        functools.update_wrapper(self, func)

    def __call__(self, *args, **kwargs):
        try:
            return self.__func(*args, **kwargs)
        except self.__errors as error:
            return error

    def __str__(self):
        return str(self.__func)

    def __repr__(self):
        return repr(self.__func)

    def __getattr__(self, name):
        return getattr(self.__func, name)


def print_run_info(thread_stacks=True, greenlet_stacks=True, limit=_NONE, file=None):
    """Print what `format_run_info` returns, to stderr or `file`."""
    lines = format_run_info(thread_stacks, greenlet_stacks, limit)
    print(*lines, sep="\n", file=sys.stderr if file is None else file)


def format_run_info(
    thread_stacks=True, greenlet_stacks=True, limit=_NONE, current_thread_ident=None
):
    """Lines that say which threads and greenlets there are, and where each of them is.

    `limit`: how many frames of a stack, as for `traceback.format_stack`. Stacks of greenlets of
    other threads are not known.
    """
    if current_thread_ident is None:
        from manyhands.gevent.monkey import get_original

        current_thread_ident = get_original("_thread", "get_ident")()
    limit = None if limit is _NONE else limit
    return [
        *_thread_lines(thread_stacks, limit, current_thread_ident),
        *_greenlet_lines(greenlet_stacks, limit),
    ]


dump_stacks = format_run_info


def is_idle_threadpool_worker(frame):
    """Whether a thread whose innermost frame this is waits for work of a thread pool."""
    return bool(frame.f_locals and frame.f_locals.get("gevent_threadpool_worker_idle"))


def _thread_lines(stacks, limit, current):
    rule = "*" * 80
    lines = [rule, "* Threads"]
    threads = {thread.ident: thread for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        thread = threads.get(ident)
        name = getattr(thread, "name", None)
        idle = thread is None and is_idle_threadpool_worker(frame)
        if idle:
            name = "idle threadpool worker"
        monitor = getattr(thread, "gevent_monitoring_thread", None)
        if monitor is not None:
            name = repr(monitor())
        mark = ") (CURRENT" if ident == current else ""
        lines += [rule, f"Thread 0x{ident:x} ({name}{mark})\n"]
        if not stacks:
            lines.append("\t...stack elided...")
        elif not idle:
            lines.append("".join(traceback.format_stack(frame, limit)))
    return lines


def _greenlet_lines(stacks, limit):
    rule = "*" * 80
    lines = [rule, "* Greenlets", rule]
    trees = GreenletTree.forest()
    trees.sort(key=lambda tree: "" if tree.is_current_tree else repr(tree.greenlet))
    for tree in trees:
        lines.append("---- Thread boundary")
        details = {
            # Those of other threads would seem to be where this function is.
            "running_stacks": stacks and tree.is_current_tree,
            "running_stack_limit": limit,
        }
        lines += tree.format_lines(details)
    return lines


class _FailedToSwitch(AssertionError):
    """A block of `assert_switches` let nobody else run, or too late."""


class assert_switches:
    """A context in which the current greenlet has to let others run, else AssertionError.

    With `max_blocking_time` nobody may run longer than that many seconds; with `hub_only` too, the
    hub has to have its turn within that time.
    """

    hub = None
    tracer = None
    _entered = None

    def __init__(self, max_blocking_time=None, hub_only=False):
        self.max_blocking_time = max_blocking_time
        self.hub_only = hub_only

    def __enter__(self):
        from manyhands.gevent import _tracer
        from manyhands.gevent.hub import get_hub

        self.hub = hub = get_hub()
        longest = self.max_blocking_time
        if not longest:
            self.tracer = _tracer.GreenletTracer()
        elif self.hub_only:
            self.tracer = _tracer.HubSwitchTracer(hub, longest)
        else:
            self.tracer = _tracer.MaxSwitchTracer(hub, longest)
        self._entered = perf_counter()
        self.tracer.monitor_current_greenlet_blocking()
        return self

    def __exit__(self, kind, value, tb):
        tracer, hub = self.tracer, self.hub
        self.tracer = self.hub = None
        tracer.kill()
        if kind is not None:
            return
        blocked = tracer.did_block_hub(hub)
        if not blocked:
            return
        took = perf_counter() - self._entered
        longest = self.max_blocking_time
        allowed = f" (max allowed {longest:.4f} seconds)" if longest else ""
        whom = "To the hub" if self.hub_only else "To any greenlet"
        report = tracer.did_block_hub_report(hub, blocked[1], {})
        raise _FailedToSwitch("\n".join([f"{whom} in {took:.4f} seconds{allowed}", *report]))


def clear_stack_frames(frame):
    """Drop the variables of a frame and of those that called it, as far as that can be."""
    while frame is not None:
        try:
            frame.clear()
        except RuntimeError:  # it runs
            variables = frame.f_locals
            if isinstance(variables, dict):
                variables.clear()
        frame = frame.f_back
