"""Greenlets beneath those of `gevent`."""

import gc

from greenlet import getcurrent, greenlet

__all__ = ["SwitchOutGreenletWithLoop", "TrackedRawGreenlet", "get_reachable_greenlets"]


class TrackedRawGreenlet(greenlet):
    """A greenlet that knows where it comes from, without an end that anybody could wait for."""

    def __init__(self, function, parent):
        greenlet.__init__(self, function, parent)
        import weakref

        current = getcurrent()
        self.spawning_greenlet = weakref.ref(current)
        shared = getattr(current, "spawn_tree_locals", None)
        self.spawn_tree_locals = {} if shared is None else shared


class SwitchOutGreenletWithLoop(greenlet):
    """What a hub is: who switches to it says so to itself before."""

    def switch(self):
        """Have the loop go on, until somebody switches to the greenlet that calls this."""
        switch_out = getattr(getcurrent(), "switch_out", None)
        if switch_out is not None:
            switch_out()
        return greenlet.switch(self)

    def switch_out(self):
        """Called when the greenlet is about to wait."""
        raise AssertionError("Impossible to call blocking function in the event loop callback")


def get_reachable_greenlets():
    """All greenlets that the collector knows of, but for those that say they are to be passed
    over."""
    return [
        it
        for it in gc.get_objects()
        if isinstance(it, greenlet) and not getattr(it, "greenlet_tree_is_ignored", False)
    ]
