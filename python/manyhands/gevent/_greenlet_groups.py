"""Waiting for several greenlets, and ending them."""

import sys

from greenlet import GreenletExit

from manyhands.gevent._green import RawGreenlet, native as _native
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._hub_primitives import iwait, wait
from manyhands.gevent._waiter import Waiter
from manyhands.gevent.timeout import Timeout


def joinall(greenlets, timeout=None, raise_error=False, count=None):
    """Wait until they have ended, or so many of them, for at most so many seconds; those that
    have. With `raise_error` the first exception of one is raised as soon as it is there."""
    if not raise_error:
        return wait(greenlets, timeout=timeout, count=count)
    done = []
    for greenlet in iwait(greenlets, timeout=timeout, count=count):
        if getattr(greenlet, "exception", None) is not None:
            if hasattr(greenlet, "_raise_exception"):
                greenlet._raise_exception()
            raise greenlet.exception
        done.append(greenlet)
    return done


def _kill_all(greenlets, exception, waiter):
    ended = []
    for greenlet in greenlets:
        if not greenlet.dead:
            try:
                greenlet.throw(exception)
            except BaseException:
                greenlet.parent.handle_error(greenlet, *sys.exc_info())
            ended.append(greenlet)
    if waiter is not None:
        waiter.switch(ended)


def killall(greenlets, exception=GreenletExit, block=True, timeout=None):
    """Have the exception raised in all of them, soon, and wait until they have ended, unless
    `block` is false; Timeout if they have not after so many seconds. They may be of one thread
    only."""
    alive = []
    for greenlet in list(greenlets):
        if isinstance(greenlet, RawGreenlet) and _native._stage(greenlet) in ("new", "due"):
            greenlet._die_before_start((exception,))
        elif not greenlet.dead:
            alive.append(greenlet)
    if not alive:
        return
    loop = get_hub().loop
    if not block:
        loop.run_callback(_kill_all, alive, exception, None)
        return
    waiter = Waiter()
    limit = Timeout.start_new(timeout)
    try:
        loop.run_callback(_kill_all, alive, exception, waiter)
        ended = waiter.get()
        joinall([it for it in ended if isinstance(it, RawGreenlet)])
    finally:
        limit.cancel()
