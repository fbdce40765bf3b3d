"""Objects whose attributes each greenlet has for itself."""

import copy
import weakref

from greenlet import getcurrent

__all__ = ["local"]

_ours = object.__getattribute__

# All that live, for `all_local_dicts_for_greenlet`.
_states = weakref.WeakSet()


class _Values(dict):
    """The attributes per greenlet, by the greenlet's id; `leavers`: who is called at its end."""

    __slots__ = ("__weakref__", "leavers")


class _Leaver:
    """Called when a greenlet has ended, or is gone: its attributes go."""

    __slots__ = ("key", "values")

    def __init__(self, key, values):
        self.key = key
        # Weak: a greenlet must not keep the attributes of the others.
        self.values = weakref.ref(values)

    def __call__(self, _):
        values = self.values()
        if values is not None:
            values.pop(self.key, None)
            values.leavers.pop(self.key, None)


class _State:
    """What a `local` has besides its attributes."""

    __slots__ = ("__weakref__", "args", "data", "kwargs", "owner", "values")

    def __init__(self, instance, args, kwargs):
        cls = type(instance)
        self.owner = (cls, id(instance))
        self.args = args
        self.kwargs = kwargs
        self.values = _Values()
        self.values.leavers = {}
        # Names for which the class has the last word, as they are properties or slots of it.
        self.data = _plain if cls is local else _data_descriptors(cls)
        _states.add(self)

    def enter(self, greenlet):
        """Make the attributes of a greenlet."""
        key = id(greenlet)
        leaver = _Leaver(key, self.values)
        # Not every greenlet tells of its end, and none that is collected before.
        self.values.leavers[key] = (weakref.ref(greenlet, leaver), leaver)
        link = getattr(greenlet, "rawlink", None)
        if link is not None:
            link(leaver)
        values = self.values[key] = {}
        return values

    def __del__(self):
        for reference, leaver in list(self.values.leavers.values()):
            unlink = getattr(reference(), "unlink", None)
            if unlink is not None:
                unlink(leaver)


def _data_descriptors(cls):
    names = set()
    for name in dir(cls):
        for base in cls.__mro__:
            if name in base.__dict__:
                kind = type(base.__dict__[name])
                if hasattr(kind, "__set__") or hasattr(kind, "__delete__"):
                    names.add(name)
                break
    return frozenset(names)


class local:
    """Each greenlet sees only the attributes that it has set itself.

    As with `threading.local`, a subclass may have an `__init__`: it is called anew, with the same
    arguments, in each greenlet that uses the object.
    """

    __slots__ = ("__weakref__", "_local__state")

    def __new__(cls, *args, **kwargs):
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported", args, kwargs)
        self = object.__new__(cls)
        state = _State(self, args, kwargs)
        _set_state(self, state)
        # __init__ is about to be called for this greenlet.
        state.enter(getcurrent())
        return self

    def __getattribute__(self, name):
        state = _state_of(self)
        try:
            values = state.values[id(getcurrent())]
        except KeyError:
            values = _enter(self, state)
        if name in values and name not in state.data:
            return values[name]
        if name == "__dict__":
            return values
        return _ours(self, name)

    def __setattr__(self, name, value):
        if name == "__dict__":
            raise AttributeError(f"{type(self)!r} object attribute '__dict__' is read-only")
        state = _state_of(self)
        try:
            values = state.values[id(getcurrent())]
        except KeyError:
            values = _enter(self, state)
        if name in state.data:
            object.__setattr__(self, name, value)
        else:
            values[name] = value

    def __delattr__(self, name):
        if name == "__dict__":
            raise AttributeError(f"{type(self)!r} object attribute '__dict__' is read-only")
        state = _state_of(self)
        values = state.values.get(id(getcurrent()))
        if values is None:
            values = _enter(self, state)
        if name in state.data:
            object.__delattr__(self, name)
        elif name in values:
            del values[name]
        else:
            raise AttributeError(name)

    def __copy__(self):
        state = _state_of(self)
        values = copy.copy(self.__dict__)
        twin = type(self)(*state.args, **state.kwargs)
        _state_of(twin).values[id(getcurrent())] = values
        return twin


_plain = _data_descriptors(local)
_state_of = local._local__state.__get__
_set_state = local._local__state.__set__


def _enter(instance, state):
    """The attributes of a greenlet that has not used the object before."""
    greenlet = getcurrent()
    values = state.enter(greenlet)
    try:
        type(instance).__init__(instance, *state.args, **state.kwargs)
    except BaseException:
        # The next use is to try it again.
        state.values.pop(id(greenlet), None)
        raise
    return values


def all_local_dicts_for_greenlet(greenlet):
    """`((class, id), attributes)` of each `local` that a greenlet has used."""
    key = id(greenlet)
    return [(state.owner, state.values[key]) for state in list(_states) if key in state.values]
