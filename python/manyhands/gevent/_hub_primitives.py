"""Waiting for watchers, and for several things at once."""

import sys
import time

from manyhands.gevent._green import Gather
from manyhands.gevent._greenlet_primitives import SwitchOutGreenletWithLoop
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._waiter import Waiter
from manyhands.gevent.exceptions import ConcurrentObjectUseError, InvalidSwitchError

__all__ = [
    "WaitOperationsGreenlet",
    "iwait",
    "iwait_on_objects",
    "wait",
    "wait_on_objects",
    "wait_on_socket",
    "wait_on_watcher",
    "wait_read",
    "wait_readwrite",
    "wait_write",
]


class WaitOperationsGreenlet(SwitchOutGreenletWithLoop):
    """A hub, as far as greenlets wait by it."""

    def wait(self, watcher):
        """Wait until the watcher calls, which must not be started yet."""
        waiter = Waiter(self)
        watcher.start(waiter.switch, waiter)
        try:
            result = waiter.get()
            if result is not waiter:
                raise InvalidSwitchError(
                    f"Invalid switch into {getattr(watcher, 'callback', None)}: "
                    f"got {result!r} (expected {waiter!r}; waiting on {self!r} with {watcher!r})"
                )
        finally:
            watcher.stop()

    def cancel_wait(self, watcher, error, close_watcher=False):
        """Have the greenlet that waits for the watcher go on with an exception."""
        if watcher is None:
            return
        if watcher.callback is None:
            if close_watcher:
                watcher.close()
            return
        self.loop.run_callback(self._cancel_wait, watcher, error, close_watcher)

    def _cancel_wait(self, watcher, error, close_watcher):
        # The callback goes when the watcher is stopped.
        switch = watcher.callback
        if close_watcher:
            watcher.close()
        waiter = getattr(switch, "__self__", None)
        greenlet = getattr(waiter, "greenlet", waiter)
        if greenlet is not None:
            greenlet.throw(error)


class _Iwait:
    """Those that become ready, in that order. What it waits for is let go when it ends, or a
    `with` block does."""

    def __init__(self, objects, timeout, count):
        self._objects = list(objects)
        self._left = len(self._objects) if count is None else min(count, len(self._objects))
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._gather, self._strangers = _gather(self._objects)

    def __iter__(self):
        return self

    def __next__(self):
        left = None
        if self._deadline is not None:
            left = max(0.0, self._deadline - time.monotonic())
        try:
            is_there = self._left > 0 and self._gather._wait(1, left)
        except BaseException:
            self.close()
            raise
        if not is_there:
            self.close()
            raise StopIteration
        self._left -= 1
        return self._gather._next()

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.close()

    def close(self):
        """Wait for them no more."""
        objects, self._objects = self._objects, ()
        strangers, self._strangers = self._strangers, ()
        self._left = 0
        _let_go(self._gather, objects, strangers)

    def __del__(self):
        self.close()


def iwait_on_objects(objects, timeout=None, count=None):
    """An iterator over those that become ready, in that order; at most so many, for at most so
    many seconds. Also a context manager, which lets go of the others at its end."""
    if objects is None:
        return iter([get_hub().join(timeout=timeout)])
    return _Iwait(objects, timeout, count)


def _gather(objects):
    gather = Gather()
    strangers = []
    for item in objects:
        if not gather._link(item):
            strangers.append(item)
            item.rawlink(gather)
    return gather, strangers


def _let_go(gather, objects, strangers):
    for item in objects:
        gather._unlink(item)
    for item in strangers:
        try:
            item.unlink(gather)
        except BaseException:
            # One that cannot let go must not keep the others from it.
            get_hub().handle_error((item.unlink, gather), *sys.exc_info())


def wait_on_objects(objects=None, timeout=None, count=None):
    """Wait until all of them are ready, or so many, for at most so many seconds; those that are, in
    the order in which they became so. Without objects: until nothing is left to do."""
    if objects is None:
        return get_hub().join(timeout=timeout)
    objects = list(objects)
    count = len(objects) if count is None else min(count, len(objects))
    gather, strangers = _gather(objects)
    try:
        # Those who are told of the same, as links are, have their turn before this goes on.
        gather._wait(count, timeout, gives_way=True)
        return gather._all()[:count]
    finally:
        _let_go(gather, objects, strangers)


iwait = iwait_on_objects
wait = wait_on_objects


def wait_on_watcher(watcher, timeout=None, timeout_exc=None, hub=None):
    """Wait until the watcher calls, at most so many seconds; then `timeout_exc` is raised."""
    if watcher.callback is not None:
        raise ConcurrentObjectUseError(
            f"This socket is already used by another greenlet: {watcher.callback!r}"
        )
    hub = get_hub() if hub is None else hub
    if timeout is None:
        return hub.wait(watcher)
    from manyhands.gevent.timeout import Timeout

    if timeout_exc is None:
        timeout_exc = TimeoutError("timed out")
    with Timeout(timeout, timeout_exc):
        return hub.wait(watcher)


def _wait_for(fileno, events, timeout, timeout_exc):
    hub = get_hub()
    with hub.loop.io(fileno, events) as watcher:
        return wait_on_watcher(watcher, timeout, timeout_exc, hub)


def wait_read(fileno, timeout=None, timeout_exc=None):
    """Wait until the descriptor can be read from."""
    return _wait_for(fileno, 1, timeout, timeout_exc)


def wait_write(fileno, timeout=None, timeout_exc=None, event=None):
    """Wait until the descriptor can be written to."""
    return _wait_for(fileno, 2, timeout, timeout_exc)


def wait_readwrite(fileno, timeout=None, timeout_exc=None, event=None):
    """Wait until the descriptor can be read from or written to."""
    return _wait_for(fileno, 3, timeout, timeout_exc)


def wait_on_socket(socket, watcher, timeout_exc=None):
    """Wait until the watcher of a socket calls, as long as its timeout allows."""
    if socket is None or watcher is None:
        from manyhands.gevent.socket import cancel_wait_ex

        raise cancel_wait_ex
    if timeout_exc is None:
        timeout_exc = TimeoutError("timed out")
    wait_on_watcher(watcher, socket.timeout, timeout_exc)
