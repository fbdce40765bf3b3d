"""`manyhands run --lock-order`: in which order are locks taken?

Two threads that take the same two locks in opposite order wait for each other for ever if they do
it at the same time. Usually they do not, and the program seems to be right. Here each lock that a
thread waits for while it holds others is noted, with the place; an order that is the opposite of
one noted before, by another thread, is told of on stderr, once, whether or not anybody had to wait.

Not told of: orders of one thread only; those that were all taken under one further lock, which
keeps the threads apart; what was only tried (`acquire(blocking=False)`).
"""

import itertools
import os
import sys
import weakref
from _thread import RLock, _local

from manyhands._explain import MOST, hidden, parts
from manyhands._stdlib import original

#: Guards what follows. Not a lock of ours, which would be noted.
_mutex = RLock()
#: What was taken while what was held: by the identity of both.
_orders = {}
#: The locks that are noted, by identity; each is forgotten when it is gone.
_known = {}
_told = set()
_here = _local()
_numbers = itertools.count()


class _Order:
    """One lock was held, and another wanted."""

    def __init__(self, first, second, guards):
        self.first, self.second = first, second
        self.guards = guards
        self.thread = original("threading").current_thread().name
        self.threads = {_me()}


class _Place:
    """Where a lock was taken, and what it is called there."""

    def __init__(self, lock, frame):
        while frame.f_back is not None and hidden(frame.f_code.co_filename):
            frame = frame.f_back
        self.lock = id(lock)
        self.name = _name(lock, frame)
        code = frame.f_code
        self.where = f'File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'


def watch(lock_class, limits):
    """Have all locks of that class noted. `limits` tells from the arguments of acquire() whether it
    waits without a limit."""
    acquire, release = lock_class.acquire, lock_class.release

    def noted_acquire(self, *args, **kwargs):
        return _acquire(self, acquire, limits(*args, **kwargs), args, kwargs)

    def noted_release(self):
        release(self)
        _released(self)

    def enter(self):
        return _acquire(self, acquire, True, (), {})

    def leave(self, *_):
        release(self)
        _released(self)

    lock_class.acquire, lock_class.release = noted_acquire, noted_release
    lock_class.__enter__, lock_class.__exit__ = enter, leave


# A fork may come while another thread has it.
os.register_at_fork(after_in_child=_mutex._at_fork_reinit)


def of_threads(blocking=True, timeout=-1):
    """Whether acquire() of a lock of threads waits without a limit."""
    return blocking and timeout == -1


def of_processes(block=True, timeout=None):
    """Whether acquire() of a lock of processes waits without a limit."""
    return block and timeout is None


def _acquire(lock, acquire, waits, args, kwargs):
    held = _here.__dict__.setdefault("held", [])
    place = None
    if all(other.lock != id(lock) for other in held):
        _remember(lock)
        place = _Place(lock, sys._getframe(2))
        if waits and held:
            _note(lock, place, held)
    acquired = acquire(lock, *args, **kwargs)
    if acquired:
        # Taken again by who has it: it is let go of as often.
        held.append(place or next(other for other in held if other.lock == id(lock)))
    return acquired


def _released(lock):
    held = _here.__dict__.get("held", [])
    for index in range(len(held) - 1, -1, -1):
        if held[index].lock == id(lock):
            del held[index]
            return


def _note(lock, place, held):
    with _mutex:
        for number, first in enumerate(held):
            key = first.lock, place.lock
            guards = {other.lock for other in held[:number]}
            order = _orders.get(key)
            if order is None:
                order = _orders[key] = _Order(first, place, guards)
            order.guards &= guards
            order.threads.add(_me())
            circle = _path(place.lock, first.lock, {place.lock})
            if circle is not None:
                _tell([order, *circle])


def _me():
    """A number of this thread that no other ever has."""
    return _here.__dict__.setdefault("number", next(_numbers))


def _remember(lock):
    ident = id(lock)
    with _mutex:
        if ident not in _known:
            _known[ident] = weakref.ref(lock, lambda _: _forget(ident))


def _forget(ident):
    with _mutex:
        _known.pop(ident, None)
        for key in [key for key in _orders if ident in key]:
            del _orders[key]


def _path(start, end, seen):
    """The orders that lead from one lock to another, if there are such."""
    for (first, second), order in list(_orders.items()):
        if first != start or second in seen:
            continue
        if second == end:
            return [order]
        rest = _path(second, end, {*seen, second})
        if rest is not None:
            return [order, *rest]
    return None


def _tell(circle):
    locks = frozenset(order.first.lock for order in circle)
    one_thread = len(set.union(*(order.threads for order in circle))) == 1
    if locks in _told or one_thread or set.intersection(*(order.guards for order in circle)):
        return
    _told.add(locks)
    lines = ["manyhands: lock order: these threads could wait for each other\n"]
    for order in circle:
        first, second = order.first, order.second
        lines += [
            f"  thread {order.thread} of process {os.getpid()} took {first.name}\n",
            f"    {first.where}\n",
            f"  and then wanted {second.name}\n",
            f"    {second.where}\n",
        ]
    try:
        sys.stderr.write("".join(lines))
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # nobody to tell


def _name(lock, frame):
    for variables in (frame.f_globals, frame.f_locals):
        for name, value in list(variables.items())[: MOST * 5]:
            if value is lock:
                return str(name)
    for variables in (frame.f_locals, frame.f_globals):
        for name, value in list(variables.items())[:MOST]:
            for inner, item in parts(name, value):
                if item is lock:
                    return inner
    return repr(lock)
