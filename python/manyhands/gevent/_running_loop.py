"""Which event loop of asyncio is running, where several greenlets of a thread may run one."""

import sys
from asyncio import events


class Surroundings:
    """What a thread has one of, and an event loop that runs sets. It is put aside while other
    greenlets run, so that these are no part of the loop, and can run another one."""

    def __init__(self):
        self._others = (None, (None, None))

    def begin(self):
        """The loop is about to run."""
        self._others = (events._get_running_loop(), tuple(sys.get_asyncgen_hooks()))
        events._set_running_loop(None)

    def leave(self):
        """Others run; returns what to come back with."""
        own = (events._get_running_loop(), tuple(sys.get_asyncgen_hooks()))
        self._set(self._others)
        return own

    def come_back(self, own):
        """The loop goes on."""
        self._others = (events._get_running_loop(), tuple(sys.get_asyncgen_hooks()))
        self._set(own)

    def end(self):
        """The loop has run."""
        self._set(self._others)

    @staticmethod
    def _set(state):
        loop, hooks = state
        events._set_running_loop(loop)
        sys.set_asyncgen_hooks(*hooks)
