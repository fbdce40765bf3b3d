"""The servers of managers, as a process sees them, and what it makes of their answers."""

import os
import pickle
import threading
import warnings
import weakref
from itertools import count

from manyhands import _native as _engine
from manyhands._stdlib import original
from manyhands.multiprocessing._manager_link import Link, dispatch

_stdlib = original("multiprocessing.managers")
_util = original("multiprocessing.util")

AbandonedLockWarning = _engine.multiprocessing.AbandonedLockWarning


class LostUpdateWarning(RuntimeWarning):
    """Somebody else has changed what was read and written again: that change is lost."""


LostUpdateWarning.__module__ = "manyhands.multiprocessing.managers"


class Links(_util.ForkAwareLocal):
    """The connections of a process with a server: each thread has its own, or none."""

    link = None

    #: The token of an object of which this thread has been given a reference.
    given = None

    @property
    def connection(self):
        """The connection of this thread."""
        if self.link is None or self.link.connection is None:
            raise AttributeError("connection")
        return self.link.connection

    @connection.deleter
    def connection(self):
        self.link = None


class Peer:
    """A server, as this process sees it.

    `users` are the numbers of the proxies and managers that may want to talk with it.
    """

    _all = weakref.WeakSet()  # noqa: RUF012

    def __init__(self, address, users):
        self.address = address
        self.users = users
        self.local = Links()
        #: Whether the server is ours; None as long as that is not known.
        self.is_ours = None
        #: How its connections are secured; None if they are not.
        self.tls = None
        #: Whether it has been shut down from here.
        self.is_over = False
        Peer._all.add(self)

    def link(self, way):
        """Return this thread's connection, made if there is none."""
        link = self.local.link
        if link is None:
            link = Link(self, way)
            link.open()
            self.local.link = link
        return link

    def manage(self, way, funcname, args=(), kwds={}):  # noqa: B006
        """Ask the server for something that is about no object's method."""
        if self.is_ours is not False:
            link = self.link(way)
            if link.session is not None:
                return result_of(link.request(None, funcname, args, kwds))
        connection = way.connect(self.address, self.tls)
        try:
            return dispatch(connection, None, funcname, args, kwds)
        finally:
            connection.close()

    def give_back(self, way, ident):
        """Let go of a reference. Does not wait long."""
        link = self.local.link
        if link is not None and link.session is not None:
            link.tell((None, "#decref", (ident,), {}))
            return
        connection = way.connect_in_haste(self.address, tls=self.tls)
        try:
            dispatch(connection, None, "decref", (ident,))
        finally:
            connection.close()

    def leave(self, user):
        """Somebody does not want to talk with it any more; the last one closes the connection."""
        self.users.discard(user)
        link = self.local.link
        if not self.users and link is not None:
            _util.debug(
                "thread %r has no more proxies so closing conn", threading.current_thread().name
            )
            self.local.link = None
            link.close()

    def end(self):
        """It has been shut down from here: nobody tries to connect again."""
        self.is_over = True
        link, self.local.link = self.local.link, None
        if link is not None:
            link.close()

    def take(self, token):
        """Return whether this thread was given a reference to what the token names; once."""
        is_given = self.local.given is token
        if is_given:
            self.local.given = None
        return is_given


def _forget_connections():
    # They are the parent's, whose messages would get mixed with the child's.
    for peer in list(Peer._all):
        peer.local.__dict__.clear()


os.register_at_fork(after_in_child=_forget_connections)


def result_of(answer):
    """Return the result that is in an answer, or raise what it tells."""
    if answer[0] == "#RETURN":
        return answer[1]
    try:
        raise _stdlib.convert_to_error(answer[0], answer[1])
    finally:
        del answer


def heed(notes, token):
    """Warn of what an answer notes."""
    if notes.get("abandoned"):
        text = f"the {token.typeid} {token.id} of the manager at {token.address!r} was abandoned: "
        text += "who held it is gone, and what it protects may be half changed"
        warnings.warn(AbandonedLockWarning(text), stacklevel=5)
    if "raced" in notes:
        text = f"the value of {notes['raced']!r} was changed by somebody else between being read "
        text += "and being written, which is lost: use increment() or update_with() of the dict, "
        text += f"or a lock ({token.typeid} {token.id} of the manager at {token.address!r})"
        warnings.warn(LostUpdateWarning(text), stacklevel=5)


class _Named:
    """Pickles as what has a name, in the standard library's module where it is unpickled."""

    def __init__(self, name):
        self.name = name

    def __call__(self, *args):
        """Be called only after it was unpickled as what it names."""
        raise TypeError(f"{self.name} is only named here")

    def __reduce__(self):
        return pickle.loads, (b"cmultiprocessing.managers\n%s\n." % self.name.encode(),)


#: Numbers of who uses a server.
numbers = count(1)
named = {}


def name_for_others(thing):
    """Return what others know the class or function as that is ours here."""
    if thing.__module__ != "manyhands.multiprocessing.managers":
        return thing
    name = thing.__name__
    if name not in named:
        named[name] = _Named(name)
    return named[name]
