"""`gevent.selectors`: the standard library's, with a selector that does not stop the others."""

import selectors as __selectors__
import sys
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey  # noqa: F401

from manyhands.gevent._hub_local import get_hub
from manyhands.gevent.event import Event
from manyhands.gevent.hub import sleep
from manyhands.gevent.select import _is_closed

__implements__ = ["DefaultSelector"]
__extra__ = ["GeventSelector"]
__all__ = __implements__ + __extra__
__imports__ = [
    name for name in vars(__selectors__) if not name.startswith("__") and name not in __all__
]
globals().update((name, getattr(__selectors__, name)) for name in __imports__)

_BaseSelectorImpl = __selectors__._BaseSelectorImpl


class GeventSelector(_BaseSelectorImpl):
    """Waits for several files. They have to be unregistered before they are closed."""

    # Watchers are kept for each file. select() starts them, and what they tell stops them: so what
    # comes between two calls is found by the second at once.

    def __init__(self, hub=None):
        self._hub = hub
        self._watchers = {}
        self._events = {}
        self._ready = Event()
        self._surroundings = None
        super().__init__()

    @property
    def hub(self):
        """The hub that watches."""
        if self._hub is None:
            self._hub = get_hub()
        return self._hub

    def _come(self, fd, what, watcher):
        watcher.stop()  # what is not read must not keep the loop busy
        self._events[fd] = self._events.get(fd, 0) | what
        self._ready.set()

    def register(self, fileobj, events, data=None):
        """Ask about a file from now on. KeyError if it is registered already."""
        key = super().register(fileobj, events, data)
        if _is_closed(key.fd):
            super().unregister(fileobj)
            raise ValueError(f"Invalid file descriptor: {key.fd}")
        loop = self.hub.loop
        self._watchers[key.fd] = watchers = []
        for what in (EVENT_READ, EVENT_WRITE):
            if events & what:
                watcher = loop.io(key.fd, what)
                watcher.priority = loop.MAXPRI
                watchers.append((what, watcher))
        return key

    def unregister(self, fileobj):
        """Ask about it no more."""
        key = super().unregister(fileobj)
        for _, watcher in self._watchers.pop(key.fd):
            watcher.close()
        self._events.pop(key.fd, None)
        return key

    def select(self, timeout=None):
        """Wait until something is ready, at most so many seconds; pairs of a key and what."""
        events = sys.modules.get("asyncio.events")
        if events is None or events._get_running_loop() is None:
            return self._select(timeout)
        # A loop of asyncio that waits must not keep other greenlets from running theirs.
        if self._surroundings is None:
            from manyhands.gevent._running_loop import Surroundings

            self._surroundings = Surroundings()
        own = self._surroundings.leave()
        try:
            return self._select(timeout)
        finally:
            self._surroundings.come_back(own)

    def _select(self, timeout):
        for fd, watchers in self._watchers.items():
            for what, watcher in watchers:
                if not watcher.active and not self._events.get(fd, 0) & what:
                    self._start(fd, what, watcher)
        if self._ready.is_set():
            sleep(0)  # who is served at once each time lets the others run
        self._ready.wait(timeout if timeout is None else max(timeout, 0))
        self._ready.clear()
        events, self._events = self._events, {}
        keys = self._fd_to_key
        return [(keys[fd], what & keys[fd].events) for fd, what in events.items()]

    def _start(self, fd, what, watcher):
        try:
            watcher.start(self._come, fd, what, watcher)
        except OSError:
            if not _is_closed(fd):
                raise
            self._come(fd, what, watcher)  # closed meanwhile: who uses it will be told

    def close(self):
        """Ask about nothing any more."""
        for watchers in self._watchers.values():
            for _, watcher in watchers:
                watcher.close()
        self._watchers.clear()
        self._events.clear()
        self._hub = None
        super().close()


DefaultSelector = GeventSelector


def _gevent_do_monkey_patch(patch_request):
    from manyhands.gevent import select

    patch_request.default_patch_items()
    original = patch_request.get_original("select", "select")
    chooser = __selectors__.SelectSelector
    if getattr(chooser, "_select", None) in (select.select, original):

        def _select(self, *args, **kwargs):
            return select.select(*args, **kwargs)

        # A function of Python's in a class is a method: it would be called with the selector.
        chooser._select = _select
        _select._gevent_monkey = True
    if patch_request.patch_kwargs["aggressive"]:
        # Those that are gone from the module select fail when they are used.
        patch_request.remove_item(
            __selectors__, "EpollSelector", "KqueueSelector", "DevpollSelector"
        )
        __selectors__.DefaultSelector = DefaultSelector
    if hasattr(getattr(__selectors__, "PollSelector", None), "_selector_cls"):
        __selectors__.PollSelector._selector_cls = select.poll
