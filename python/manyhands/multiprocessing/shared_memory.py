"""Memory with a name: processes that are no relatives can share it, too.

Names and contents are the standard library's, so that other interpreters can attach to what is
made here, and the other way round. There is no resource tracker: see `_segments` for when a segment
that nobody unlinks goes.

Source: https://docs.python.org/3/library/multiprocessing.shared_memory.html
"""

import _posixshmem
import errno
import mmap
import os
import secrets
from types import FunctionType

from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import _segments

_original = original("multiprocessing.shared_memory")

__all__ = ["ShareableList", "SharedMemory"]

_USE_POSIX = True
_SHM_NAME_PREFIX = "/psm_"
# What some systems limit a name to, the slash included.
_SHM_SAFE_NAME_LENGTH = 14

#: How much memory is got at a time: a signal makes the system begin anew.
_STEP = 32 << 20


def _make_filename():
    """Return a name that is probably free."""
    free = _SHM_SAFE_NAME_LENGTH - len(_SHM_NAME_PREFIX)
    return _SHM_NAME_PREFIX + secrets.token_hex(free // 2)


class SharedMemory(_original.SharedMemory):
    """A segment of shared memory: a new one, or the one that has that name already.

    `close()` ends the use of it by this object; `unlink()` takes away its name, so that it goes
    when all have closed it. A segment that nobody unlinks goes when all processes of the family of
    its creator are gone, or, if they were killed, when the next program uses shared memory; unless
    it was created with `track=False`.
    """

    def __init__(self, name=None, create=False, size=0, *, track=True):
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        self._track = track
        if create:
            self._flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        else:
            _segments.attaching()
        self._fd, self._name = self._open(name)
        try:
            if create:
                _get_memory(self._fd, size)
            self._size = os.fstat(self._fd).st_size
            self._mmap = mmap.mmap(self._fd, self._size)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            if create:
                _posixshmem.shm_unlink(self._name)
            raise
        self._buf = memoryview(self._mmap)
        if create and track:
            _segments.created(self._name, self._fd)

    def _open(self, name):
        if name is not None:
            name = "/" + name if self._prepend_leading_slash else name
            return _posixshmem.shm_open(name, self._flags, mode=self._mode), name
        while True:
            name = _make_filename()
            try:
                return _posixshmem.shm_open(name, self._flags, mode=self._mode), name
            except FileExistsError:
                pass

    def unlink(self):
        """Take away the segment's name; its memory goes when all have closed it."""
        if self._name:
            _posixshmem.shm_unlink(self._name)
            _segments.unlinked(self._name)


def _get_memory(descriptor, size):
    """Give the segment its size, with memory behind it.

    Only with a size, a page for which there is no memory ends the process that touches it.
    """
    try:
        os.ftruncate(descriptor, size)
        if hasattr(os, "posix_fallocate"):
            for begin in range(0, size, _STEP):
                os.posix_fallocate(descriptor, begin, min(_STEP, size - begin))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return
        text = f"{os.strerror(error.errno)}: cannot get {size} bytes of shared memory in"
        raise OSError(error.errno, text, "/dev/shm") from None


class ShareableList(_original.ShareableList):
    """A list of fixed length whose items lie in a segment of shared memory."""

    # The layout is the running version's own; only the segment is ours.
    __init__ = FunctionType(
        _original.ShareableList.__init__.__code__,
        {**vars(_original), "SharedMemory": SharedMemory},
        "__init__",
        _original.ShareableList.__init__.__defaults__,
    )
    __init__.__kwdefaults__ = _original.ShareableList.__init__.__kwdefaults__
    __init__.__qualname__ = "ShareableList.__init__"


forward(globals(), _original)
