"""Who is told of the end of a greenlet."""

from greenlet import greenlet as _stack

from manyhands.gevent._green import native as _native
from manyhands.gevent._hub_local import get_hub


class SpawnedLink:
    """A link that calls back in a greenlet of its own."""

    __slots__ = ["callback"]

    def __init__(self, callback):
        if not callable(callback):
            raise TypeError(f"Expected callable: {callback!r}")
        self.callback = callback

    def __call__(self, source):
        greenlet = _stack(self.callback, get_hub())
        greenlet.switch(source)

    def __hash__(self):
        return hash(self.callback)

    def __eq__(self, other):
        return self.callback == getattr(other, "callback", other)

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}: {self.callback!r}>"


class SuccessSpawnedLink(SpawnedLink):
    """A link for those that have returned."""

    __slots__ = []

    def __call__(self, source):
        if source.successful():
            return SpawnedLink.__call__(self, source)
        return None


class FailureSpawnedLink(SpawnedLink):
    """A link for those that have raised something."""

    __slots__ = []

    def __call__(self, source):
        if not source.successful():
            return SpawnedLink.__call__(self, source)
        return None


class Linked:
    """What a `Greenlet` has for those who want to know of its end."""

    __slots__ = ()

    def has_links(self):
        """How many wait or are to be called."""
        return _native._count_links(self)

    def rawlink(self, callback):
        """Have the callback called with it, in the hub's greenlet, when it has ended."""
        if not callable(callback):
            raise TypeError(f"Expected callable: {callback!r}")
        _native._add_link(self, callback)

    def link(self, callback, SpawnedLink=SpawnedLink):
        """Have the callback called with it, in a greenlet of its own, when it has ended."""
        self.rawlink(SpawnedLink(callback))

    def link_value(self, callback, SpawnedLink=SuccessSpawnedLink):
        """As link(), if it returns."""
        self.link(callback, SpawnedLink=SpawnedLink)

    def link_exception(self, callback, SpawnedLink=FailureSpawnedLink):
        """As link(), if it raises something."""
        self.link(callback, SpawnedLink=SpawnedLink)

    def unlink(self, callback):
        """Take back what rawlink() or link() was given."""
        _native._remove_links(self, lambda link: link == callback)

    def unlink_all(self):
        """Take all of these back."""
        _native._clear_links(self)

    @property
    def _links(self):
        return _native._links(self)
