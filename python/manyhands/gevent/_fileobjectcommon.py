"""Files whose methods let other greenlets run: what all kinds have in common, and two kinds."""

import errno
import functools

from manyhands.gevent._open_descriptor import (
    FileIO as FileIO,
    FlushingBufferedWriter as FlushingBufferedWriter,
    OpenDescriptor as OpenDescriptor,
    WriteallFileIO as WriteallFileIO,
    WriteallMixin as WriteallMixin,
    WriteIsWriteallMixin as WriteIsWriteallMixin,
)
from manyhands.gevent.hub import get_hub
from manyhands.gevent.lock import DummySemaphore, Semaphore


class cancel_wait_ex(OSError):
    """Raised in who waits for a file that somebody else closes."""

    def __init__(self):
        super().__init__(errno.EBADF, "File descriptor was closed in another greenlet")


class FileObjectClosed(OSError):
    """Raised where a file is used that has been closed."""

    def __init__(self):
        super().__init__(errno.EBADF, "Bad file descriptor (FileObject was closed)")


class _ClosedIO:
    """Stands for the stream of a file that is closed."""

    __slots__ = ("name",)

    def __init__(self, stream):
        if hasattr(stream, "name"):
            self.name = stream.name

    def __getattr__(self, name):
        if name == "name":
            raise AttributeError(name)
        raise FileObjectClosed

    def __bool__(self):
        return False


class FileObjectBase:
    """A file: has the methods of a stream, maybe wrapped, and the stream itself as `io`."""

    _delegate_methods = (
        "fileno",
        "flush",
        "read",
        "read1",
        "readable",
        "readinto",
        "readline",
        "readlines",
        "seek",
        "seekable",
        "tell",
        "truncate",
        "writable",
        "write",
        "writeall",
        "writelines",
    )

    _io = None

    def __init__(self, descriptor):
        self._close = descriptor.closefd
        self.io = descriptor.opened()

    @property
    def io(self):
        """The stream below."""
        return self._io

    @io.setter
    def io(self, stream):
        self._io = stream
        self._do_delegate_methods()

    def _do_delegate_methods(self):
        """Take on the methods of the stream, save those that the class has itself."""
        for name in self._delegate_methods:
            if hasattr(type(self), name):
                continue
            method = getattr(self._io, name, None)
            if method is not None:
                setattr(self, name, self._wrap_method(method))
            else:
                self.__dict__.pop(name, None)

    def _wrap_method(self, method):
        """What is called in place of a method of the stream."""
        return method

    @property
    def closed(self):
        """Whether `close` was called."""
        return isinstance(self._io, _ClosedIO)

    def close(self):
        """Write what is in buffers, and close the descriptor if it is ours."""
        stream = self._io
        if isinstance(stream, _ClosedIO):
            return
        self._io = _ClosedIO(stream)
        try:
            self._do_close(stream, self._close)
        finally:
            # They would keep the stream.
            for name in self._delegate_methods:
                self.__dict__.pop(name, None)

    def _do_close(self, fobj, closefd):
        raise NotImplementedError

    def __getattr__(self, name):
        return getattr(self._io, name)

    def __repr__(self):
        closed = "closed" if self.closed else ""
        more = self._extra_repr()
        return f"<{type(self).__name__} at 0x{id(self):x} {closed}_fobj={self.io!r}{more}>"

    def _extra_repr(self):
        return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__

    def __bool__(self):
        return True


class FileObjectBlock(FileObjectBase):
    """A file as any other: reading and writing block the thread."""

    def __init__(self, fobj, *args, **kwargs):
        super().__init__(OpenDescriptor(fobj, *args, **kwargs))

    def _do_close(self, fobj, closefd):
        fobj.close()


class FileObjectThread(FileObjectBase):
    """A file that threads of `threadpool` read and write; one at a time, unless `lock=False`."""

    def __init__(self, *args, lock=True, threadpool=None, **kwargs):
        descriptor = OpenDescriptor(*args, **kwargs)
        self.threadpool = threadpool or get_hub().threadpool
        if lock is True:
            lock = Semaphore()
        elif not lock:
            lock = DummySemaphore()
        if not hasattr(lock, "__enter__"):
            raise TypeError(f"lock: a Semaphore or a bool, not {type(lock).__name__}")
        self.lock = lock
        super().__init__(descriptor)

    def _do_close(self, fobj, closefd):
        try:
            with self.lock:
                self.threadpool.apply(fobj.flush)
        finally:
            if closefd:
                _raise_if(self.threadpool.apply(_close, (fobj,)))

    def _extra_repr(self):
        return f" threadpool={self.threadpool!r}"

    def _wrap_method(self, method):
        @functools.wraps(method)
        def in_a_thread(*args, **kwargs):
            # Who has kept the method may call it later than that.
            if self.closed:
                raise FileObjectClosed
            with self.lock:
                return self.threadpool.apply(method, args, kwargs)

        return in_a_thread


def _close(fobj):
    # Returned, as the pool would print it before it is raised where it can be handled.
    try:
        fobj.close()
    except BaseException as error:
        return error
    return None


def _raise_if(error):
    if error is not None:
        raise error
