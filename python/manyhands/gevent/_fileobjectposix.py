"""Files of which greenlets wait until they can be read or written: pipes, sockets, terminals."""

import io
import os

from manyhands.gevent._fileobjectcommon import (
    FileObjectBase,
    OpenDescriptor,
    WriteIsWriteallMixin,
    cancel_wait_ex,
)
from manyhands.gevent._hub_primitives import wait_on_watcher
from manyhands.gevent.hub import get_hub
from manyhands.gevent.os import make_nonblocking

# Those that patching does not replace.
_close, _read, _write = os.close, os.read, os.write

_READ, _WRITE = 1, 2


class GreenFileDescriptorIO(io.RawIOBase):
    """A descriptor, made non-blocking: greenlets wait in the hub until it is ready."""

    hub = None
    _closed = False
    _seekable = None
    # Has the descriptor, and closes it, if that is not ours.
    _keep_alive = None
    _read_watcher = None
    _write_watcher = None

    def __init__(self, fileno, open_descriptor, closefd=True):
        super().__init__()
        self._fileno = fileno
        self._closefd = closefd
        self.name = fileno
        self.mode = open_descriptor.mode
        make_nonblocking(fileno)
        self.hub = get_hub()
        try:
            if open_descriptor.can_read:
                self._read_watcher = self.hub.loop.io(fileno, _READ)
            if open_descriptor.can_write:
                self._write_watcher = self.hub.loop.io(fileno, _WRITE)
        except BaseException:
            # The watcher that there is must not be found by the garbage collector only.
            self.close()
            raise

    def fileno(self):
        return self._fileno

    def isatty(self):
        return os.isatty(self._fileno)

    def readable(self):
        return self._read_watcher is not None

    def writable(self):
        return self._write_watcher is not None

    def seekable(self):
        if self._seekable is None:
            try:
                os.lseek(self._fileno, 0, os.SEEK_CUR)
                self._seekable = True
            except OSError:
                self._seekable = False
        return self._seekable

    def seek(self, offset, whence=0):
        return os.lseek(self._fileno, offset, whence)

    @property
    def closed(self):
        return self._closed

    def close(self):
        if self._closed:
            return
        if self.hub is None:
            # It was never opened: the descriptor is not ours.
            self._closed = True
            return
        self.flush()
        self._closed = True
        hub, watchers = self.hub, (self._read_watcher, self._write_watcher)
        what = (self._fileno if self._closefd else None, self._keep_alive)
        self.hub = self._read_watcher = self._write_watcher = None
        self._fileno = self._keep_alive = None
        waiting = [watcher for watcher in watchers if watcher is not None and watcher.callback]
        for watcher in watchers:
            hub.cancel_wait(watcher, cancel_wait_ex, close_watcher=True)
        if waiting:
            # The descriptor goes when nobody waits for it any more.
            hub.loop.run_callback(_finish, *what)
        else:
            _finish(*what)

    def _try(self, operation, watcher, argument):
        """Call an operation of `os` until it does not say that it would have to wait."""
        while True:
            try:
                return operation(self._fileno, argument)
            except (BlockingIOError, InterruptedError):
                pass
            wait_on_watcher(watcher, None, None, self.hub)

    def _read_some(self, size):
        if self._read_watcher is None:
            raise io.UnsupportedOperation("read")
        return self._try(_read, self._read_watcher, size)

    def readall(self):
        parts = []
        try:
            while part := self._read_some(io.DEFAULT_BUFFER_SIZE):
                parts.append(part)
        except cancel_wait_ex:
            pass  # closed in the meantime: what came before counts
        return b"".join(parts)

    def readinto(self, buffer):
        view = memoryview(buffer).cast("B")
        data = self._read_some(len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, data):
        if self._write_watcher is None:
            raise io.UnsupportedOperation("write")
        return self._try(_write, self._write_watcher, data)

    def __repr__(self):
        return f"<{type(self).__name__} at 0x{id(self):x} fileno={self._fileno} mode={self.mode!r}>"


def _finish(descriptor, keeper):
    try:
        if descriptor is not None:
            _close(descriptor)
    finally:
        if hasattr(keeper, "close"):
            keeper.close()


class GreenFileDescriptorIOWriteall(WriteIsWriteallMixin, GreenFileDescriptorIO):
    """Writes all that it was given."""


class GreenOpenDescriptor(OpenDescriptor):
    """Opens files that wait in the hub."""

    def _do_open_raw(self):
        if self.is_fd():
            return GreenFileDescriptorIO(self._fobj, self, closefd=self.closefd)
        keeper = super()._do_open_raw()
        raw = GreenFileDescriptorIO(keeper.fileno(), self, closefd=False)
        raw._keep_alive = keeper
        if hasattr(keeper, "name"):
            raw.name = keeper.name
        else:
            del raw.name
        return raw

    def _make_atomic_write(self, stream, raw):
        if stream.__class__ is GreenFileDescriptorIO:
            stream.__class__ = GreenFileDescriptorIOWriteall
        else:
            super()._make_atomic_write(stream, raw)


class FileObjectPosix(FileObjectBase):
    """A file that greenlets wait for in the hub: a pipe, a socket, a terminal.

    A file on a disk is always ready, so reading it blocks the thread; `FileObjectThread` does not.
    """

    default_bufsize = io.DEFAULT_BUFFER_SIZE

    def __init__(self, *args, **kwargs):
        descriptor = GreenOpenDescriptor(*args, **kwargs)
        super().__init__(descriptor)
        #: The file without buffers.
        self.fileio = descriptor.opened_raw()

    def _do_close(self, fobj, closefd):
        try:
            fobj.close()
            self.fileio.close()
        finally:
            self.fileio = None
