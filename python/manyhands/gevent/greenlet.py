"""`Greenlet`: a greenlet with an end that others can wait for."""

import sys

from greenlet import GreenletExit, greenlet as _stack

from manyhands.gevent._config import config
from manyhands.gevent._green import RawGreenlet, native as _native
from manyhands.gevent._greenlet_groups import joinall, killall
from manyhands.gevent._greenlet_links import (
    FailureSpawnedLink as FailureSpawnedLink,
    Linked,
    SpawnedLink as SpawnedLink,
    SuccessSpawnedLink as SuccessSpawnedLink,
)
from manyhands.gevent._greenlet_origin import Named
from manyhands.gevent._hub_local import get_hub
from manyhands.gevent._waiter import Waiter

__all__ = ["Greenlet", "joinall", "killall"]

_native._note_ancestry(config.track_greenlet_tree)
config.settings["copy_context"].follow(_native._all_copy_context)

#: What is called with each greenlet that is started.
_spawn_callbacks = set()


class Greenlet(Named, Linked, RawGreenlet):
    """Calls a function in a greenlet of the hub, once it was started; keeps what came of it.

    `Greenlet(run=None, *args, **kwargs)`; a subclass may have a method `_run` instead of a
    function.

    None of its context variables (`contextvars`) is set at first, unless `copy_context` is true.
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

    @property
    def copy_context(self):
        """Whether it begins with a copy of the context variables of the greenlet that starts it, as
        they are then: when `start()` or `start_later()` is called. What it sets is its own; that of
        `decimal`, an object that each calculation changes, is copied too.

        `gevent.config.copy_context` says it for those that do not say it themselves. It can be set
        for one until it is started (RuntimeError later), or by a subclass for all of its objects:
        `copy_context = True`. One that was given another context (`gr_context`) keeps that.
        """
        return _native._copies_context(self)

    @copy_context.setter
    def copy_context(self, copies):
        if _native._stage(self) != "new":
            raise RuntimeError("copy_context has to be set before the greenlet is started")
        _native._set_copies_context(self, bool(copies))

    def start_later(self, seconds):
        """Have it begin after so many seconds."""
        if _native._stage(self) != "new":
            return
        _native._inherit_context(self)
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

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        try:
            if value is None:
                self.join()
        finally:
            self.kill(GreenletExit if value is None else value)


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


_native._set_class(Greenlet)
