"""Which event loop of asyncio is running, where several greenlets of a thread may run one."""

import sys
from asyncio import events, tasks

#: Whether the task that runs is the thread's, not its loop's.
_HAS_ONE_TASK = sys.version_info >= (3, 14)

_NONE = (None, None, (None, None))


class Surroundings:
    """What a thread has one of, and an event loop that runs sets. It is put aside while other
    greenlets run, so that these are no part of the loop, and can run another one."""

    def __init__(self):
        self._others = _NONE

    def begin(self):
        """The loop is about to run."""
        self._others = _take()
        events._set_running_loop(None)

    def leave(self):
        """Others run; returns what to come back with."""
        own = _take()
        _give(self._others)
        self._others = _NONE
        return own

    def come_back(self, own):
        """The loop goes on."""
        self._others = _take()
        _give(own)

    def end(self):
        """The loop has run."""
        _give(self._others)
        self._others = _NONE


def _take():
    loop = events._get_running_loop()
    # There is one only while another greenlet waits within a coroutine.
    is_in_task = _HAS_ONE_TASK and loop is not None
    task = tasks._swap_current_task(loop, None) if is_in_task else None
    return loop, task, tuple(sys.get_asyncgen_hooks())


def _give(state):
    loop, task, hooks = state
    events._set_running_loop(loop)
    sys.set_asyncgen_hooks(*hooks)
    if task is not None:
        tasks._swap_current_task(loop, task)
