"""Lists, dicts and sets in a shared dict: what is changed in them is changed in the server.

Who reads one gets a copy that knows where it is from. A method that changes it is carried out on a
fresh copy of the dict's value, which is stored unless somebody else has stored another meanwhile
(then all of it again); the copy here becomes like that.
"""

from copy import deepcopy
from operator import index

_MISSING = object()


class _Nested:
    """What lists, dicts and sets have in common here.

    `_proxy` is None for what is not in the server any more. `_steps` lead from the value of `_key`
    to here: a key, or an index, with the length of its list. `_origin` tells the value in the
    server, and what became of it by such changes, from one that was stored in its place.
    """

    __slots__ = ()

    def _set_up(self, proxy, key, steps=()):
        self._proxy = proxy
        self._key = key
        self._steps = steps
        self._origin = None

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return deepcopy(self.copy(), memo)

    def __reduce_ex__(self, protocol):
        return self._kind, (self.copy(),)

    def _change(self, name, *args, **kwds):
        """Carry a method out in the server, and have the copy here be as it is there."""
        method = getattr(self._kind, name)
        proxy = self._proxy
        if proxy is None or proxy._peer.is_over:
            # What was taken out, or is left after the server was shut down, is the program's own.
            return method(self, *args, **kwds)
        args = [plain(argument) for argument in args]
        while True:
            stamp, whole, origin = proxy._callmethod("#PEEK", (self._key,))
            place = self._find(whole if stamp else _MISSING)
            children = [(child, self._counterpart(child, place)) for child in self._children()]
            result = method(place, *args, **kwds)
            if proxy._callmethod("#SWAP", (self._key, stamp, whole, True)):
                break
        self._origin = origin
        kept = []
        for child, its in children:
            if its is not _MISSING:
                step = self._step_to(its, place, child._steps[-1])
                if step is None:
                    child._leave()
                else:
                    child._steps = (*self._steps, step)
                    kept.append((child, its))
        self._take(place, kept)
        return self if result is place else result

    def _find(self, whole):
        """What is in a fresh copy where this is from."""
        place, trail = whole, f"[{self._key!r}]"
        for number, (step, length) in enumerate(self._steps, 1):
            trail += f"[{step!r}]"
            known = self if number == len(self._steps) else None
            place = _at(place, step, length, known)
        if type(place) is not self._kind:
            raise RuntimeError(
                f"what was read as {trail} of the shared dict, a {self._kind.__name__}, is not "
                "there any more, as somebody has replaced or moved it; nothing was changed: read "
                "it again"
            )
        return place

    def _counterpart(self, child, place):
        found = _at(place, *child._steps[-1], child)
        return found if type(found) is child._kind else _MISSING

    def _take(self, place, kept):
        """Become like a fresh copy, of which some parts are known here already."""
        self._replace(place)
        for child, its in kept:
            self._kind.__setitem__(self, child._steps[-1][0], child)
            inner = []
            for grandchild in child._children():
                grandchild._steps = (*child._steps, grandchild._steps[-1])
                found = child._counterpart(grandchild, its)
                if found is not _MISSING:
                    inner.append((grandchild, found))
            child._take(its, inner)

    def _leave(self):
        """It is not in the server any more."""
        self._proxy = None
        for child in self._children():
            child._leave()

    def _child(self, step, value):
        """A value in here, which knows where it is from."""
        kind = nested.get(type(value))
        if kind is None or self._proxy is None:
            return value
        child = kind(value)
        length = len(self) if self._kind is list else None
        child._set_up(self._proxy, self._key, (*self._steps, (step, length)))
        self._kind.__setitem__(self, step, child)
        return child


def _at(place, step, length, known):
    """A part of a fresh copy; of a list only if it has not moved, as far as can be seen."""
    if length is None:
        return place.get(step, _MISSING) if type(place) is dict else _MISSING
    if type(place) is not list or step >= len(place):
        return _MISSING
    return place[step] if len(place) == length or place[step] == known else _MISSING


def _changing(names):
    """Have a class's methods of these names be carried out in the server."""

    def change(cls):
        for name in names.split():
            setattr(cls, name, _changer(getattr(cls._kind, name), name))
        return cls

    return change


def _changer(method, name):
    def change(self, /, *args, **kwds):
        return self._change(name, *args, **kwds)

    change.__name__, change.__qualname__, change.__doc__ = name, name, method.__doc__
    return change


@_changing("append extend insert pop remove clear sort reverse __delitem__ __iadd__ __imul__")
class NestedList(_Nested, list):
    """A list in a shared dict."""

    __slots__ = ("_key", "_origin", "_proxy", "_steps")
    _kind = list

    def __getitem__(self, at):
        """Return a member, or a list of some."""
        if isinstance(at, slice):
            self._know_all()
            return list.__getitem__(self, at)
        value = list.__getitem__(self, at)
        if type(value) not in nested:
            return value
        at = index(at)
        return self._child(at + len(self) if at < 0 else at, value)

    def __setitem__(self, at, value):
        """Replace a member, or some."""
        # The end of `x[0] += [1]`.
        if isinstance(value, _Nested) and list.__getitem__(self, at) is value:
            return
        self._change("__setitem__", at, value)

    def __iter__(self):
        """Iterate over the members."""
        self._know_all()
        return list.__iter__(self)

    def __reversed__(self):
        """Iterate over the members from the last to the first."""
        self._know_all()
        return list.__reversed__(self)

    def copy(self):
        """Return a plain list."""
        return [plain(member) for member in list.__iter__(self)]

    def _know_all(self):
        if not nested.keys().isdisjoint(map(type, list.__iter__(self))):
            for at, value in enumerate(list.__iter__(self)):
                self._child(at, value)

    def _children(self):
        return [member for member in list.__iter__(self) if isinstance(member, _Nested)]

    def _replace(self, place):
        list.__setitem__(self, slice(None), place)

    @staticmethod
    def _step_to(part, place, step):
        for at, member in enumerate(place):
            if member is part:
                return at, len(place)
        return None


@_changing("clear pop popitem update __delitem__ __ior__")
class NestedDict(_Nested, dict):
    """A dict in a shared dict."""

    __slots__ = ("_key", "_origin", "_proxy", "_steps")
    _kind = dict

    def __getitem__(self, key):
        """Return the value of a key."""
        return self._child(key, dict.__getitem__(self, key))

    def __setitem__(self, key, value):
        """Set the value of a key."""
        # The end of `x["a"] += [1]`.
        if isinstance(value, _Nested) and dict.get(self, key) is value:
            return
        self._change("__setitem__", key, value)

    def get(self, key, default=None):
        """Return the value of a key, or the default."""
        value = dict.get(self, key, _MISSING)
        return default if value is _MISSING else self._child(key, value)

    def setdefault(self, key, default=None):
        """Return the value of a key, which becomes the default if there is none."""
        value = self._change("setdefault", key, default)
        return self._child(key, dict.get(self, key, value))

    def values(self):
        """Return a view of the values."""
        self._know_all()
        return dict.values(self)

    def items(self):
        """Return a view of the keys and values."""
        self._know_all()
        return dict.items(self)

    def copy(self):
        """Return a plain dict."""
        return {key: plain(value) for key, value in dict.items(self)}

    def _know_all(self):
        if not nested.keys().isdisjoint(map(type, dict.values(self))):
            for key, value in list(dict.items(self)):
                self._child(key, value)

    def _children(self):
        return [value for value in dict.values(self) if isinstance(value, _Nested)]

    def _replace(self, place):
        dict.clear(self)
        dict.update(self, place)

    @staticmethod
    def _step_to(part, place, step):
        return step if place.get(step[0]) is part else None


@_changing(
    "add clear discard pop remove update difference_update intersection_update "
    "symmetric_difference_update __iand__ __ior__ __isub__ __ixor__"
)
class NestedSet(_Nested, set):
    """A set in a shared dict."""

    __slots__ = ("_key", "_origin", "_proxy", "_steps")
    _kind = set

    def __repr__(self):
        return repr(self.copy())

    def copy(self):
        """Return a plain set."""
        return set(self)

    def _children(self):
        return ()

    def _replace(self, place):
        set.clear(self)
        set.update(self, place)


#: Which classes are known here, and as what.
nested = {list: NestedList, dict: NestedDict, set: NestedSet}


def is_nested(value):
    """Whether it knows where it is from."""
    return isinstance(value, _Nested)


def plain(value):
    """Return a value as it is where it is not known where it is from."""
    return value.copy() if isinstance(value, _Nested) else value


def known(value, proxy, key):
    """Return a value of a shared dict, of a class in `nested`, as one that knows that."""
    made = nested[type(value)](value)
    made._set_up(proxy, key)
    return made


def origin(value, proxy, key):
    """Return what was the value of this key when it was last changed here; None if it never was."""
    if value._steps or value._proxy is None or value._origin is None:
        return None
    is_here = value._proxy._token.id == proxy._token.id and value._proxy._peer is proxy._peer
    return value._origin if is_here and value._key == key else None
