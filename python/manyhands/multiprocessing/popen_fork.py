"""Starts a process as a copy of this one."""

import os
import signal
import sys

from manyhands import _native
from manyhands.multiprocessing import util
from manyhands.multiprocessing._bootstrap import RUNS_EXIT_FUNCTIONS, bootstrap

__all__ = ["Popen"]

_native = _native.multiprocessing

if sys.version_info >= (3, 12):
    # From then on `os.fork()` warns of threads, and cannot know which of them are the engine's.
    os.register_at_fork(before=_native.before_fork, after_in_parent=_native.after_fork_in_parent)


class Popen:
    """A started process: its number, its end, and ways to hasten that."""

    method = "fork"
    #: A child of ours has the arena, so that what is in it is passed by reference.
    carries_arena = True

    def __init__(self, process_obj):
        self.returncode = None
        self._child = child = self._launch(process_obj)
        self.pid = child.pid
        self.sentinel = child.sentinel
        self.finalizer = child.close

    def duplicate_for_child(self, fd):
        """Return by which number the child has a descriptor."""
        return fd

    def poll(self, flag=os.WNOHANG):
        """Return the exit code; None if the process lives. A flag of 0 waits for its end."""
        if self.returncode is None:
            self.returncode = self._child.poll() if flag == os.WNOHANG else self._child.wait()
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end, at most so many seconds; return the exit code, None if it lives."""
        if self.returncode is None:
            self.returncode = self._child.wait(timeout)
        return self.returncode

    @property
    def peak_memory(self):
        """How much memory it had at most, in bytes; None if it lives, or nobody knows."""
        return self._child.peak_memory

    def _send_signal(self, sig):
        if self.returncode is None:
            try:
                self._child.send_signal(sig)
            except OSError:
                if self.wait(timeout=0.1) is None:
                    raise

    def interrupt(self):
        """Send it SIGINT."""
        self._send_signal(signal.SIGINT)

    def terminate(self):
        """Send it SIGTERM."""
        self._send_signal(signal.SIGTERM)

    def kill(self):
        """Send it SIGKILL."""
        self._send_signal(signal.SIGKILL)

    def _launch(self, process_obj):
        exit_function = util._exit_function if RUNS_EXIT_FUNCTIONS else None
        return _native.fork(process_obj, bootstrap, exit_function)

    def close(self):
        """Give the sentinel back."""
        self.finalizer()
