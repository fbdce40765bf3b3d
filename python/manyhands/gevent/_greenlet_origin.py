"""What a greenlet is called, and where it comes from."""

import itertools
import sys

from manyhands.gevent._green import native as _native


class _Frame:
    """A line that was being executed: enough of a frame to be shown."""

    def __init__(self, code, line):
        self.f_code = code
        self.f_lineno = line
        self.f_back = None
        self.f_globals = {}

    f_locals = None


def _line(code, place):
    if sys.version_info < (3, 11):
        return place
    lines = (line for line, *_ in code.co_positions())
    return next(itertools.islice(lines, place // 2, None), None) or code.co_firstlineno


class Named:
    """What a `Greenlet` tells of itself."""

    __slots__ = ()

    @property
    def minimal_ident(self):
        """A small number that no other greenlet has as long as this one lives."""
        ident = self.__dict__.get("_minimal_ident")
        if ident is None:
            registry = self.parent.ident_registry
            ident = self.__dict__["_minimal_ident"] = registry.get_ident(self)
        return ident

    @property
    def name(self):
        """A name; `Greenlet-` and a number if nobody gave one."""
        name = self.__dict__.get("_name")
        if name is None:
            name = self.__dict__["_name"] = f"Greenlet-{self.minimal_ident}"
        return name

    @name.setter
    def name(self, name):
        self.__dict__["_name"] = name

    @property
    def spawning_greenlet(self):
        """A weak reference to the greenlet that made it."""
        return _native._spawned_by(self)

    @property
    def spawn_tree_locals(self):
        """A dict that it shares with the greenlet that made it, and those that it makes."""
        return _native._spawn_locals(self)

    @spawn_tree_locals.setter
    def spawn_tree_locals(self, value):
        _native._set_spawn_locals(self, value)

    @property
    def spawning_stack(self):
        """Where it was made: something like a frame, the innermost first; None if that is not
        known."""
        if "_spawning_stack" in self.__dict__:
            return self.__dict__["_spawning_stack"]
        frame = None
        for code, place in reversed(_native._spawned_at(self)):
            outer, frame = frame, _Frame(code, _line(code, place))
            frame.f_back = outer
        return frame

    @spawning_stack.setter
    def spawning_stack(self, value):
        self.__dict__["_spawning_stack"] = value

    def _formatinfo(self):
        """What it calls, and with what: as it was when somebody first wanted to see it."""
        text = self.__dict__.get("_formatted_info")
        if text is None and not self.dead:
            run = _native._parts(self)[0]
            own = run is None or getattr(run, "__self__", None) is self
            name = "_run" if own else _name_of(run)
            args = [repr(arg) for arg in self.args]
            args += [f"{key}={value!r}" for key, value in self.kwargs.items()]
            text = f": {name}({', '.join(args)})" if args else f": {name}"
            self.__dict__["_formatted_info"] = text
        return text or ""

    def __repr__(self):
        classname = type(self).__name__
        # A number that nobody has asked for is not given for this.
        has_name = "_name" in self.__dict__ or "_minimal_ident" in self.__dict__
        named = f' "{self.name}"' if has_name else ""
        result = f"<{classname}{named} at {id(self):#x}"
        info = self._formatinfo()
        return f"{result}{info}>"


def _name_of(function):
    is_method = getattr(function, "__self__", None) is not None
    is_method = is_method and getattr(function, "__func__", None) is not None
    return repr(function) if is_method else getattr(function, "__name__", "") or repr(function)
