"""Small numbers for objects."""

import heapq
import weakref

__all__ = ["IdentRegistry"]


class ValuedWeakRef(weakref.ref):
    """A weak reference that knows a value."""

    __slots__ = ("value",)


class IdentRegistry:
    """Gives each object the smallest number that no living one has."""

    def __init__(self):
        self._registry = weakref.WeakKeyDictionary()
        self._free = []

    def get_ident(self, obj):
        """The number of an object, which it keeps while it lives."""
        known = self._registry.get(obj)
        if known is not None:
            return known.value
        reference = ValuedWeakRef(obj, self._return_ident)
        reference.value = heapq.heappop(self._free) if self._free else len(self._registry)
        self._registry[obj] = reference
        return reference.value

    def _return_ident(self, reference, heappush=heapq.heappush):
        heappush(self._free, reference.value)

    def __len__(self):
        return len(self._registry)
