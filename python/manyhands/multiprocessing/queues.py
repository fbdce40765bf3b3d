"""Queues between processes: the standard library's `multiprocessing.queues` on the Rust engine.

An item is pickled in `put()`, which raises what goes wrong with it, straight into memory that the
processes share; there is no thread that feeds a pipe, so nothing is in flight when a process ends.
`qsize()`, `empty()` and `full()` are exact. A process that is killed inside of `put()` or `get()`
takes at most the one item with it that it was dealing with, and that is counted in `lost` unless
`get()` had it already.

Buffers that pickle gives out of band, those of large arrays, are copied once, into shared memory;
what `get()` returns uses them there, and may write to them if the original could be written to.

Source: https://docs.python.org/3/library/multiprocessing.html#pipes-and-queues
"""

from manyhands import _native
from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import _sharing
from manyhands.queue import Empty as Empty, Full as Full, ShutDown as ShutDown

_original = original("multiprocessing.queues")
_Base = _native.multiprocessing.QueueBase

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]


#: What only a queue has that is a pipe.
_OF_PIPES = {"_reader", "_writer", "_rlock", "_wlock", "_sem", "_poll"}
_OF_PIPES |= {"_feed", "_start_thread", "_thread", "_buffer", "_notempty"}


class _Kind(type):
    """Makes a subclass whose code uses the pipe of the standard library's queue one of that.

    There are such in libraries that do what is asked of them by other means than putting and
    getting; they get what they were written for.
    """

    def __new__(mcs, name, bases, namespace, **kwargs):
        if any(_uses_pipe(value) for value in namespace.values()) or _OF_PIPES & namespace.keys():
            theirs = tuple(_THEIRS.get(base, base) for base in bases)
            if theirs != bases:
                return type(theirs[0])(name, theirs, namespace, **kwargs)
        return super().__new__(mcs, name, bases, namespace, **kwargs)

    def __subclasscheck__(cls, subclass):
        theirs = _THEIRS.get(cls)
        return super().__subclasscheck__(subclass) or (
            theirs is not None and issubclass(subclass, theirs)
        )

    def __instancecheck__(cls, instance):
        return cls.__subclasscheck__(type(instance))


def _uses_pipe(value):
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    return code is not None and uses_pipe(code)


def uses_pipe(code):
    """Whether that code object uses what only a queue has that is a pipe."""
    return not _OF_PIPES.isdisjoint(code.co_names)


class _NoPipe:
    """Stands for the end of a pipe that `concurrent.futures` closes when a worker has died."""

    def close(self):
        """Do nothing: nobody waits for a pipe."""

    def __repr__(self):
        return "a queue that has no pipe: use get(timeout=...) instead of waiting for its _reader"


class Queue(_Base, metaclass=_Kind):
    """A queue of at most `maxsize` items, or any number if that is not positive."""

    # Whether a subclass wants to hear of what cannot be pickled instead of having put() raise.
    _handles_errors_of_put = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        hook = cls._on_queue_feeder_error
        cls._handles_errors_of_put = hook is not Queue._on_queue_feeder_error

    def __init__(self, maxsize=0, *, ctx):
        if not isinstance(self, _Base):
            # Of a subclass that has become one of theirs, and calls its base by name.
            _original.Queue.__init__(self, maxsize, ctx=ctx)
            return
        self._create(maxsize, False)
        self._ignore_epipe = False

    def __getstate__(self):
        return (self._ignore_epipe, _sharing.state(self, self._reference()))

    def __setstate__(self, state):
        self._ignore_epipe, state = state
        self._open(*_sharing.reference(state), False)

    @property
    def _maxsize(self):
        return self._bound or original("multiprocessing.synchronize").SEM_VALUE_MAX

    def join_thread(self):
        """Return at once: put() has done all there is to do. Only after close()."""
        assert self._closed, f"Queue {self!r} not closed"

    def cancel_join_thread(self):
        """Do nothing: there is no thread that would be waited for."""

    def _terminate_broken(self):
        self.close()

    @staticmethod
    def _on_queue_feeder_error(e, obj):
        """For subclasses that want to hear of items that cannot be pickled."""
        raise e


class JoinableQueue(Queue):
    """A queue that knows when all its items were dealt with."""

    task_done = _Base._task_done
    join = _Base._join_tasks


class SimpleQueue(_Base, metaclass=_Kind):
    """An unbounded queue with the bare minimum of methods."""

    def __init__(self, *, ctx):
        self._create(0, True)

    def __getstate__(self):
        return _sharing.state(self, self._reference())

    def __setstate__(self, state):
        self._open(*_sharing.reference(state), True)

    put = _Base._put_simply
    get = _Base._get_simply


Queue._reader = Queue._writer = _NoPipe()

_THEIRS = {
    Queue: _original.Queue,
    JoinableQueue: _original.JoinableQueue,
    SimpleQueue: _original.SimpleQueue,
}

forward(globals(), _original)
