"""`Greenlet`: a greenlet with an end that others can wait for."""

import itertools
import sys

from greenlet import GreenletExit, greenlet as _stack

from manyhands.gevent._config import config
from manyhands.gevent._green import RawGreenlet, native as _native
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._hub_primitives import iwait, wait
from manyhands.gevent._waiter import Waiter
from manyhands.gevent.timeout import Timeout

__all__ = ["Greenlet", "joinall", "killall"]

_native._note_ancestry(config.track_greenlet_tree)

#: What is called with each greenlet that is started.
_spawn_callbacks = set()


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


class Greenlet(RawGreenlet):
    """Calls a function in a greenlet of the hub, once it was started; keeps what came of it.

    `Greenlet(run=None, *args, **kwargs)`; a subclass may have a method `_run` instead of a
    function.
    """

    @property
    def _run(self):
        run = _native._parts(self)[0]
        if run is None:
            raise AttributeError("_run")
        return run

    @_run.setter
    def _run(self, run):
        _run, args, kwargs = _native._parts(self)
        _native._set_parts(self, run, args, kwargs)

    @property
    def args(self):
        """The arguments; an empty tuple once it has ended."""
        return _native._parts(self)[1] or ()

    @args.setter
    def args(self, args):
        run, _args, kwargs = _native._parts(self)
        _native._set_parts(self, run, tuple(args), kwargs)

    @property
    def kwargs(self):
        """The keyword arguments; an empty dict once it has ended."""
        run, args, kwargs = _native._parts(self)
        if kwargs is None:
            kwargs = {}
            if _native._stage(self) in ("new", "due"):
                _native._set_parts(self, run, args, kwargs)
        return kwargs

    @kwargs.setter
    def kwargs(self, kwargs):
        run, args, _kwargs = _native._parts(self)
        _native._set_parts(self, run, args, kwargs)

    @property
    def loop(self):
        """The loop of its hub; None if that has none."""
        hub = _hub_of(self)
        return None if hub is None else hub.loop

    # What comes of it

    def __bool__(self):
        return _native._stage(self) in ("due", "begun")

    @property
    def started(self):
        """Whether it was started and has not ended."""
        return bool(self)

    def ready(self):
        """Whether it has ended: by returning, raising, or being killed."""
        return self.dead

    @property
    def dead(self):
        """Whether it has ended, or will never begin."""
        stage = _native._stage(self)
        if stage in ("returned", "failed"):
            return True
        return stage == "begun" and _stack.dead.__get__(self)

    def successful(self):
        """Whether it has returned, or was killed by GreenletExit."""
        return _native._stage(self) == "returned"

    @property
    def value(self):
        """What it has returned; None otherwise."""
        return _native._outcome(self)[0] if self.successful() else None

    @property
    def exception(self):
        """What it has raised; None otherwise."""
        return _native._outcome(self)[0] if _native._stage(self) == "failed" else None

    @property
    def exc_info(self):
        """What it has raised, as sys.exc_info() has it; None otherwise."""
        if _native._stage(self) != "failed":
            return None
        error, traceback = _native._outcome(self)
        return (type(error), error, traceback)

    def _report_result(self, result):
        _native._return(self, result)

    def _report_error(self, exc_info):
        error = exc_info[1]
        if isinstance(error, GreenletExit):
            _native._return(self, error)
            return
        _native._fail(self, error, exc_info[2])
        hub = _hub_of(self) or get_hub()
        hub.handle_error(self, *exc_info)

    # How it begins

    def start_later(self, seconds):
        """Have it begin after so many seconds."""
        if _native._stage(self) != "new":
            return
        if _spawn_callbacks:
            self._tell_of_start()
        _native._set_due(self, True)
        loop = self.loop
        timer = loop.timer(seconds)
        self.__dict__["_start_timer"] = timer
        timer.start(_begin, timer, self)

    @classmethod
    def spawn_later(cls, seconds, *args, **kwargs):
        """Make one and have it begin after so many seconds."""
        if cls is Greenlet and not args:
            raise TypeError("missing function to call")
        greenlet = cls(*args, **kwargs)
        greenlet.start_later(seconds)
        return greenlet

    @staticmethod
    def add_spawn_callback(callback):
        """Have the callback called with each greenlet that is started."""
        _spawn_callbacks.add(callback)
        _native._set_hooked(True)

    @staticmethod
    def remove_spawn_callback(callback):
        """Have it called no more."""
        _spawn_callbacks.discard(callback)
        _native._set_hooked(bool(_spawn_callbacks))

    def _tell_of_start(self):
        for callback in list(_spawn_callbacks):
            callback(self)

    # How it is ended

    def _cancel_start(self):
        timer = self.__dict__.pop("_start_timer", None)
        if timer is not None:
            timer.close()

    def _die_before_start(self, throw_args):
        self._cancel_start()
        error = throw_args[0] if throw_args else GreenletExit
        value = throw_args[1] if len(throw_args) > 1 else None
        traceback = throw_args[2] if len(throw_args) > 2 else None
        if isinstance(error, type) and issubclass(error, BaseException):
            if not isinstance(value, error):
                args = () if value is None else value if isinstance(value, tuple) else (value,)
                value = error(*args)
        elif isinstance(error, BaseException):
            value = error
        else:
            value = TypeError(
                f"exceptions must be classes, or instances, not {type(error).__name__}"
            )
        try:
            self._report_error((type(value), value, traceback))
        finally:
            _native._set_parts(self, None, None, None)

    def throw(self, *args):
        """Raise the exception in it, now. One that has not begun ends thereby."""
        if _native._stage(self) in ("new", "due"):
            self._die_before_start(args)
            return None
        return _stack.throw(self, *args)

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Have the exception raised in it, soon, and wait until it has ended, unless `block` is
        false, at most so many seconds. One that has not begun ends at once."""
        if self.dead:
            return
        if _native._stage(self) in ("new", "due"):
            self._die_before_start((exception,))
            return
        waiter = Waiter() if block else None
        hub = _hub_of(self)
        if hub is not None and hub.loop is not None:
            hub.loop.run_callback(_kill, self, exception, waiter)
        if waiter is not None:
            waiter.get()
            self.join(timeout)

    # Who wants to know

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

    # What it is called, and where it comes from

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

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        try:
            if value is None:
                self.join()
        finally:
            self.kill(GreenletExit if value is None else value)


def _name_of(function):
    is_method = getattr(function, "__self__", None) is not None
    is_method = is_method and getattr(function, "__func__", None) is not None
    return repr(function) if is_method else getattr(function, "__name__", "") or repr(function)


def _hub_of(greenlet):
    """The hub that the greenlet belongs to; None if it has gone."""
    parent = greenlet.parent
    while parent is not None and not hasattr(parent, "loop"):
        parent = parent.parent
    return parent


def _begin(timer, greenlet):
    timer.close()
    greenlet.__dict__.pop("_start_timer", None)
    if _native._stage(greenlet) == "due":
        greenlet.switch()


def _kill(greenlet, exception, waiter):
    try:
        greenlet.throw(exception)
    except BaseException:
        # The hub goes on, whatever the greenlet does when it is killed.
        greenlet.parent.handle_error(greenlet, *sys.exc_info())
    if waiter is not None:
        waiter.switch(None)


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
        if isinstance(greenlet, Greenlet) and _native._stage(greenlet) in ("new", "due"):
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
        joinall([it for it in ended if isinstance(it, Greenlet)])
    finally:
        limit.cancel()


_native._set_class(Greenlet)
