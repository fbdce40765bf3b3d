"""`gevent.select`: the standard library's, whose `select` and `poll` do not stop the others."""

import os
import select as __select__

from manyhands.gevent._hub_local import get_hub
from manyhands.gevent.event import Event
from manyhands.gevent.hub import sleep

_original_select = __select__.select

__implements__ = ["select"]
__extra__ = []
(__implements__ if hasattr(__select__, "poll") else __extra__).append("poll")
__all__ = ["error", *__implements__]

error = __select__.error

__imports__ = [
    name for name in vars(__select__) if not name.startswith("__") and name not in __all__
]
globals().update((name, getattr(__select__, name)) for name in __imports__)

POLLIN = getattr(__select__, "POLLIN", 1)
POLLOUT = getattr(__select__, "POLLOUT", 4)
POLLNVAL = getattr(__select__, "POLLNVAL", 32)

_EV_READ = 1
_EV_WRITE = 2


def get_fileno(fileobj):
    """The number of a descriptor: of a file, or itself."""
    fd = fileobj
    if not isinstance(fd, int):
        try:
            fd = int(fileobj.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd


def _is_closed(fd):
    try:
        os.get_inheritable(fd)
    except OSError:
        return True
    return False


def select(rlist, wlist, xlist, timeout=None):
    """Wait until some of these can be read from or written to, at most so many seconds; which these
    are. What is in the third list is only looked at once, at the beginning."""
    if timeout is not None and timeout < 0:
        raise ValueError("timeout must be non-negative")
    reads = rlist if isinstance(rlist, (list, tuple)) else list(rlist)
    writes = wlist if isinstance(wlist, (list, tuple)) else list(wlist)
    found = _original_select(reads, writes, xlist, 0)
    if any(found) or timeout == 0:
        sleep(0)  # who asks again and again lets the others run
        return found
    return _select(reads, writes, timeout)


def _select(reads, writes, timeout):
    loop = get_hub().loop
    readable, writable, watchers = [], [], []
    event = Event()

    def come(found, item, watcher):
        watcher.close()
        found.append(item)
        event.set()

    try:
        for items, found, events in ((reads, readable, _EV_READ), (writes, writable, _EV_WRITE)):
            for item in items:
                watcher = loop.io(get_fileno(item), events)
                watcher.priority = loop.MAXPRI
                watchers.append(watcher)
                try:
                    watcher.start(come, found, item, watcher)
                except OSError:
                    if not _is_closed(watcher.fd):
                        raise
                    come(found, item, watcher)  # closed meanwhile: who uses it will be told
        event.wait(timeout=timeout)
    finally:
        for watcher in watchers:
            watcher.close()
    return readable, writable, []


class poll:
    """As `select.poll`, for POLLIN and POLLOUT."""

    def __init__(self):
        # No watchers: these objects are dropped without telling what becomes of the descriptors.
        self.fds = {}
        self.loop = get_hub().loop

    def register(self, fd, eventmask=POLLIN | POLLOUT):
        """Ask about this descriptor, or file, from now on."""
        events = _EV_READ if eventmask & POLLIN else 0
        events |= _EV_WRITE if eventmask & POLLOUT else 0
        self.fds[get_fileno(fd)] = events

    def modify(self, fd, eventmask):
        """Ask about something else of it."""
        self.register(fd, eventmask)

    def unregister(self, fd):
        """Ask about it no more; KeyError if nobody did."""
        del self.fds[get_fileno(fd)]

    def poll(self, timeout=None):
        """Wait until something is ready, at most so many milliseconds; pairs of a descriptor and
        what it is ready for."""
        found = {}
        event = Event()
        watchers = []

        def come(fd, flag, watcher):
            watcher.stop()
            found[fd] = found.get(fd, 0) | flag
            event.set()

        try:
            for fd, events in self.fds.items():
                for mask, flag in ((_EV_READ, POLLIN), (_EV_WRITE, POLLOUT)):
                    if events & mask:
                        self._watch(fd, mask, flag, come, watchers, found)
            if found:
                timeout = 0
            elif timeout is not None:
                timeout = None if timeout < 0 else timeout / 1000.0
            event.wait(timeout=timeout)
        finally:
            for watcher in watchers:
                watcher.close()
        return list(found.items())

    def _watch(self, fd, events, flag, come, watchers, found):
        try:
            watcher = self.loop.io(fd, events)
            watcher.priority = self.loop.MAXPRI
            watchers.append(watcher)
            watcher.start(come, fd, flag, watcher)
        except OSError:
            if not _is_closed(fd):
                raise
            found[fd] = POLLNVAL


def _gevent_do_monkey_patch(patch_request):
    patch_request.default_patch_items()
    if patch_request.patch_kwargs["aggressive"]:
        # These would have all greenlets wait; programs take poll or select where they are missing.
        patch_request.remove_item("epoll", "kqueue", "kevent", "devpoll")
