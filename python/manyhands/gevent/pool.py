"""Groups of greenlets that run at once, and pools that say how many may."""

from manyhands.gevent._imap import IMap, IMapUnordered
from manyhands.gevent.event import Event
from manyhands.gevent.greenlet import Greenlet, joinall
from manyhands.gevent.hub import GreenletExit, getcurrent, kill as _kill, sleep
from manyhands.gevent.lock import DummySemaphore, Semaphore
from manyhands.gevent.queue import Full as QueueFull
from manyhands.gevent.timeout import Timeout

__all__ = ["Group", "Pool", "PoolFull"]


class GroupMappingMixin:
    """`map`, `apply` and their kin, for what has a `spawn` whose results can be had with `get`.

    A class needs `spawn`, `_apply_immediately` (call in the caller's greenlet?),
    `_apply_async_use_greenlet` (would `spawn` block?) and `_apply_async_cb_spawn`.
    """

    __slots__ = ()

    def spawn(self, func, *args, **kwargs):
        """Have `func` called; returns what has `get` and `rawlink`. Blocks until there is room."""
        raise NotImplementedError

    def _apply_immediately(self):
        raise NotImplementedError

    def _helper(self, kind, *args, **kwargs):
        """A greenlet of class `kind`, started, that calls `spawn` for somebody."""
        return kind.spawn(*args, **kwargs)

    def _apply_async_use_greenlet(self):
        raise NotImplementedError

    def _apply_async_cb_spawn(self, callback, result):
        raise NotImplementedError

    def apply(self, func, args=None, kwds=None):
        """What `func(*args, **kwds)` returns, called in a greenlet of this group.

        Called by a greenlet of the group, it calls `func` right there: there might be no room.
        """
        args = () if args is None else args
        kwds = {} if kwds is None else kwds
        if self._apply_immediately():
            return func(*args, **kwds)
        return self.spawn(func, *args, **kwds).get()

    def apply_cb(self, func, args=None, kwds=None, callback=None):
        """As `apply`; `callback` is called with the result, unless `func` failed."""
        result = self.apply(func, args, kwds)
        if callback is not None:
            self._apply_async_cb_spawn(callback, result)
        return result

    def apply_async(self, func, args=None, kwds=None, callback=None):
        """A greenlet that calls `func`; never blocks, so the greenlet may not be of this group.

        `callback` is called with the result, unless `func` failed.
        """
        args = () if args is None else args
        kwds = {} if kwds is None else kwds
        if self._apply_async_use_greenlet():
            return self._helper(Greenlet, self.apply_cb, func, args, kwds, callback)
        greenlet = self.spawn(func, *args, **kwds)
        if callback is not None:
            greenlet.link(pass_value(callback))
        return greenlet

    def _map_all(self, func, iterable):
        spawn = self.spawn
        return [task.get() for task in [spawn(func, item) for item in iterable]]

    def map(self, func, iterable):
        """The results of `func` for each item, in the order of the items, once all are there."""
        return self._helper(Greenlet, self._map_all, func, iterable).get()

    def map_cb(self, func, iterable, callback=None):
        """As `map`; `callback` is called with the results."""
        results = self.map(func, iterable)
        if callback is not None:
            callback(results)
        return results

    def map_async(self, func, iterable, callback=None):
        """A greenlet whose value are the results of `map`."""
        return self._helper(Greenlet, self.map_cb, func, iterable, callback)

    def imap(self, func, *iterables, maxsize=None):
        """Iterates over the results in the order of the items, as they come.

        `maxsize`: how many results may lie there that nobody has fetched; tasks wait beyond that.
        """
        items = zip(*iterables, strict=False)
        return self._helper(IMap, func, items, spawn=self.spawn, maxsize=maxsize, _zipped=True)

    def imap_unordered(self, func, *iterables, maxsize=None):
        """As `imap`, but each result as soon as it is there."""
        items = zip(*iterables, strict=False)
        return self._helper(
            IMapUnordered, func, items, spawn=self.spawn, maxsize=maxsize, _zipped=True
        )


class Group(GroupMappingMixin):
    """Greenlets that have not ended yet: each leaves the group when it does.

    `copy_context=True`: those that it makes begin with a copy of the context variables of the
    greenlet that called `spawn`, `map`, `apply_async`... Otherwise, and for those that are added,
    `Greenlet.copy_context` decides.
    """

    #: Of which class `spawn` makes them; to be changed in a subclass or an instance.
    greenlet_class = Greenlet

    #: Whether they are told to copy the context.
    copy_context = False

    def __init__(self, *args, copy_context=False):
        if len(args) > 1:
            raise TypeError(f"{type(self).__name__} takes one iterable of greenlets at most")
        if copy_context:
            self.copy_context = True
        members = list(args[0]) if args else []
        self.greenlets = set(members)
        # Who has been told to end: nobody is told twice.
        self.dying = set()
        self._empty_event = Event()
        if not members:
            self._empty_event.set()
        for greenlet in members:
            greenlet.rawlink(self._discard)

    def __repr__(self):
        return f"<{type(self).__name__} at 0x{id(self):x} {self.greenlets}>"

    def __len__(self):
        return len(self.greenlets)

    def __contains__(self, item):
        return item in self.greenlets

    def __iter__(self):
        return iter(self.greenlets)

    def add(self, greenlet):
        """Take a greenlet in, best before it is started."""
        link = getattr(greenlet, "rawlink", None)
        if link is not None:  # raw greenlets cannot tell of their end
            link(self._discard)
        members = self.greenlets
        if not members:
            self._empty_event.clear()
        members.add(greenlet)

    def _discard(self, greenlet):
        members = self.greenlets
        members.discard(greenlet)
        if self.dying:
            self.dying.discard(greenlet)
        if not members:
            self._empty_event.set()

    def discard(self, greenlet):
        """Let go of a greenlet, whether it has ended or not."""
        self._discard(greenlet)
        unlink = getattr(greenlet, "unlink", None)
        if unlink is not None:
            unlink(self._discard)

    def start(self, greenlet):
        """Take in a greenlet that is not started, and start it."""
        self.add(greenlet)
        greenlet.start()

    def spawn(self, *args, **kwargs):
        """A new greenlet of this group, started; the arguments are those of its class."""
        greenlet = self.greenlet_class(*args, **kwargs)
        if self.copy_context:
            greenlet.copy_context = True
        self.start(greenlet)
        return greenlet

    def _helper(self, kind, *args, **kwargs):
        if not self.copy_context:
            return kind.spawn(*args, **kwargs)
        # What it spawns is to begin with what its caller has.
        greenlet = kind(*args, **kwargs)
        greenlet.copy_context = True
        greenlet.start()
        return greenlet

    def join(self, timeout=None, raise_error=False):
        """Wait until nobody is left; whether that is so.

        `raise_error`: raise what one of them has raised.
        """
        members = list(self.greenlets) if raise_error else ()
        empty = self._empty_event.wait(timeout=timeout)
        for greenlet in members:
            if greenlet.exception is not None:
                raise greenlet.exception
        return empty

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Raise `exception` in all of them; with `block` wait until nobody is left, those that
        come in the meantime are ended too."""
        timer = Timeout._start_new_or_dummy(timeout)
        try:
            while self.greenlets:
                for greenlet in self.greenlets - self.dying:
                    if hasattr(greenlet, "kill"):
                        greenlet.kill(exception, block=False)
                    else:
                        _kill(greenlet, exception)
                    self.dying.add(greenlet)
                if not block:
                    break
                joinall(self.greenlets)
                # They leave by their links, which the hub calls.
                sleep(0)
        except Timeout as expired:
            if expired is not timer:
                raise
        finally:
            timer.cancel()

    def killone(self, greenlet, exception=GreenletExit, block=True, timeout=None):
        """Raise `exception` in one of them; does nothing if that has been done before."""
        if greenlet in self.dying or greenlet not in self.greenlets:
            return
        greenlet.kill(exception, block=False)
        self.dying.add(greenlet)
        if block:
            greenlet.join(timeout)

    def full(self):
        """Whether there is no room: never in a group."""
        return False

    def wait_available(self, timeout=None):
        """Wait until there is room: there is always in a group."""

    def _apply_immediately(self):
        return getcurrent() in self

    def _apply_async_cb_spawn(self, callback, result):
        Greenlet.spawn(callback, result)

    def _apply_async_use_greenlet(self):
        return self.full()


class PoolFull(QueueFull):
    """There was no room in a pool, and the caller would not wait, or not any longer."""


class Pool(Group):
    """A group of `size` greenlets at most, of any number without a size.

    `spawn` waits until there is room. `greenlet_class` and `copy_context` are those of a group.
    """

    _is_plain = True

    def __init__(self, size=None, greenlet_class=None, *, copy_context=False):
        if size is not None and size < 0:
            raise ValueError(f"size must not be negative: {size!r}")
        super().__init__(copy_context=copy_context)
        self.size = size
        if greenlet_class is not None:
            self.greenlet_class = greenlet_class
        self._semaphore = DummySemaphore() if size is None else Semaphore(size)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # Whether spawn() may do at one go what it otherwise calls methods for.
        cls._is_plain = all(
            getattr(cls, name) is getattr(Pool, name) for name in ("add", "start", "_discard")
        )

    def spawn(self, *args, **kwargs):
        """A new greenlet of this pool, started, once there is room for it."""
        if not self._is_plain:
            return super().spawn(*args, **kwargs)
        greenlet = self.greenlet_class(*args, **kwargs)
        if self.copy_context:
            greenlet.copy_context = True
        self._semaphore.acquire()
        try:
            greenlet.rawlink(self._discard)
        except BaseException:
            self._semaphore.release()
            raise
        members = self.greenlets
        if not members:
            self._empty_event.clear()
        members.add(greenlet)
        greenlet.start()
        return greenlet

    def wait_available(self, timeout=None):
        """Wait until there is room for another greenlet."""
        return self._semaphore.wait(timeout=timeout)

    def full(self):
        """Whether there is no room for another greenlet."""
        return self.free_count() <= 0

    def free_count(self):
        """How many more there is room for; 1 if the pool has no size."""
        return 1 if self.size is None else max(0, self.size - len(self))

    def add(self, greenlet, blocking=True, timeout=None):
        """Take a greenlet in; waits until there is room, or raises `PoolFull`."""
        if not self._semaphore.acquire(blocking=blocking, timeout=timeout):
            raise PoolFull
        try:
            super().add(greenlet)
        except BaseException:
            self._semaphore.release()
            raise

    def start(self, greenlet, *args, **kwargs):
        """Take in a greenlet that is not started, and start it; the rest are arguments of `add`."""
        self.add(greenlet, *args, **kwargs)
        greenlet.start()

    def _discard(self, greenlet):
        # As that of a group, written out: it is called for each task.
        members = self.greenlets
        members.discard(greenlet)
        if self.dying:
            self.dying.discard(greenlet)
        if not members:
            self._empty_event.set()
        self._semaphore.release()


class pass_value:
    """A link that calls `callback` with the value of a greenlet, unless that failed."""

    __slots__ = ("callback",)

    def __init__(self, callback):
        self.callback = callback

    def __call__(self, source):
        if source.successful():
            self.callback(source.value)

    # As the callback itself, so that who knows only that can unlink it.
    def __hash__(self):
        return hash(self.callback)

    def __eq__(self, other):
        return self.callback == getattr(other, "callback", other)

    def __repr__(self):
        return repr(self.callback)
