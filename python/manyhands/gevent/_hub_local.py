"""Which hub, and which loop, each thread has."""

import _thread
import sys

from manyhands.gevent import _green

__all__ = ["get_hub", "get_hub_class", "get_hub_if_exists", "get_loop", "set_hub", "set_loop"]

get_hub_if_exists = _green.get_hub_if_exists

_local = _thread._local()
_hub_class = None


def get_hub_class():
    """The class of which this thread's hub is, or would be."""
    hub = get_hub_if_exists()
    if hub is not None:
        return type(hub)
    return set_default_hub_class()


def set_default_hub_class(hub_class=None):
    """Say of which class hubs are made from now on; without one, what that class is."""
    global _hub_class
    if hub_class is not None:
        _hub_class = hub_class
    elif _hub_class is None:
        from manyhands.gevent.hub import Hub

        _hub_class = Hub
    return _hub_class


def get_hub():
    """This thread's hub, made if there is none."""
    hub = get_hub_if_exists()
    if hub is None:
        hub = get_hub_class()()
        set_hub(hub)
    return hub


get_hub_noargs = get_hub


class _Guard:
    """Ends with its thread, whose parked greenlets end before it does."""

    def __init__(self, loop):
        self.loop = loop

    def __del__(self, thread_ends=_green.thread_ends, is_finalizing=sys.is_finalizing):
        if not is_finalizing():  # nothing can be run any more then
            thread_ends(self.loop)


def set_hub(hub):
    """Say which hub this thread has; None: none."""
    from manyhands.gevent._config import config
    from manyhands.gevent._greenlet_primitives import SwitchOutGreenletWithLoop

    # One that wants to know of each wait is asked to switch; else greenlets switch to each other.
    is_asked = hub is not None and (
        config.monitor_thread or type(hub).switch is not SwitchOutGreenletWithLoop.switch
    )
    _green.set_hub(hub, is_asked)
    guard = getattr(_local, "guard", None)
    if hub is not None and (guard is None or guard.loop is not hub.loop):
        _local.guard = _Guard(hub.loop)


def get_loop():
    """The loop of this thread, which may be there without a hub; None if there is none."""
    return getattr(_local, "loop", None)


def set_loop(loop):
    """Say which loop this thread has."""
    _local.loop = loop
