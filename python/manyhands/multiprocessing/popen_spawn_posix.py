"""Starts a process that has nothing of this one's memory."""

import contextlib
import io
import os
import sys

from manyhands import _native
from manyhands.multiprocessing import popen_fork, reduction, resource_tracker, spawn, util
from manyhands.multiprocessing._by_value import dump
from manyhands.multiprocessing._nursery import order
from manyhands.multiprocessing.context import set_spawning_popen

__all__ = ["Popen"]

_native = _native.multiprocessing


class _DupFd:
    """A descriptor on its way to the child, which has it by the same number."""

    def __init__(self, fd):
        self.fd = fd

    def detach(self):
        return self.fd


class Popen(popen_fork.Popen):
    """A started process, and what was passed to it."""

    method = "spawn"
    DupFd = _DupFd

    def __init__(self, process_obj):
        self._fds = []
        self._parent_w = None
        super().__init__(process_obj)
        if self._parent_w is not None:
            self.finalizer = util.Finalize(self, _close, (self._child, self._parent_w))

    def duplicate_for_child(self, fd):
        self._fds.append(fd)
        return fd

    def _descriptors(self):
        """The descriptors to be passed, and the numbers that the child is to have them by."""
        return [(fd, fd) for fd in dict.fromkeys(self._fds)]

    def _launch(self, process_obj):
        util._flush_std_streams()
        preparation = spawn.get_preparation_data(process_obj._name)
        # Before anything is pickled: all that the child gets a hold of is there already.
        ticket = _native.reserve_child()
        try:
            set_spawning_popen(self)
            try:
                body = dump(process_obj, preparation, forget=self._fds.clear)
                child = self._order(preparation, body, ticket, process_obj.daemon)
                if child is None:
                    child = self._run(preparation, body, ticket, process_obj.daemon)
            finally:
                set_spawning_popen(None)
        except BaseException:
            ticket.cancel()
            raise
        ticket.started(child.pid)
        return child

    def _order(self, preparation, body, ticket, guarded):
        """Have the child born of a zygote; None if there is none."""
        descriptors = self._descriptors()
        tracker = _tracker()
        if tracker is not None:
            descriptors.append((tracker, -1))
        payload = io.BytesIO()
        reduction.dump((preparation, tracker is not None), payload)
        payload.write(body)
        arena = ticket.fileno(), ticket.number
        return order(self.method, preparation, payload.getvalue(), descriptors, arena, guarded)

    def _run(self, preparation, body, ticket, guarded):
        """Start the child as an interpreter of its own."""
        tracker = _tracker()
        prologue = spawn.Prologue(
            preparation["start_method"],
            (ticket.fileno(), ticket.number),
            self._fds if self.method == "forkserver" else None,
            (os.getpid(), _native.is_main_thread()) if guarded else None,
        )
        preamble = bytes(reduction.ForkingPickler.dumps({**preparation, "manyhands": prologue}))
        child_r, parent_w = os.pipe()
        try:
            passed = {child_r, ticket.fileno(), *self._fds}
            if tracker is not None:
                passed.add(tracker)
            child = spawn.run(
                spawn.get_command_line(tracker_fd=tracker, pipe_handle=child_r), sorted(passed)
            )
        except BaseException:
            os.close(parent_w)
            raise
        finally:
            os.close(child_r)
        # The child takes the other end for a sentinel of its parent.
        self._parent_w = parent_w
        try:
            # One that has ended already tells by its exit code.
            with contextlib.suppress(BrokenPipeError), open(parent_w, "wb", closefd=False) as file:
                file.write(preamble)
                file.write(body)
        except BaseException:
            self._parent_w = None
            os.close(parent_w)
            raise
        return child


def _close(child, descriptor):
    child.close()
    os.close(descriptor)


def _tracker():
    """The descriptor of the standard library's resource tracker, if there is one.

    A child that uses the standard library's shared memory, and nobody's tracker, starts its own,
    which takes the segments away when the child ends.
    """
    tracker = resource_tracker._resource_tracker
    theirs, ours = "multiprocessing.shared_memory", "manyhands.multiprocessing.shared_memory"
    if theirs in sys.modules and ours not in sys.modules:
        tracker.ensure_running()
    return tracker._fd
