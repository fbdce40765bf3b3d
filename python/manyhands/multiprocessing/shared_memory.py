"""Memory with a name: processes that are no relatives can share it, too.

Names and contents are the standard library's, so that other interpreters can attach to what is
made here, and the other way round. There is no resource tracker: a segment that nobody unlinks goes
with the last process of its creator's family (`crates/manyhands-shm/src/segment/family.rs`).

Source: https://docs.python.org/3/library/multiprocessing.shared_memory.html
"""

import mmap
import os
import secrets
from types import FunctionType

from manyhands import _native
from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing.context import _Starts

_native = _native.multiprocessing
_process = original("multiprocessing.process")
_util = original("multiprocessing.util")
_original = original("multiprocessing.shared_memory")

__all__ = ["ShareableList", "SharedMemory"]

_USE_POSIX = True
_SHM_NAME_PREFIX = "/psm_"
# What some systems limit a name to, the slash included.
_SHM_SAFE_NAME_LENGTH = 14


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
        _leave_in_time()
        self._fd, self._name = self._open(name, size if create else None)
        try:
            self._size = os.fstat(self._fd).st_size
            self._mmap = mmap.mmap(self._fd, self._size)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            if create:
                _native.unlink_segment(self._name)
            raise
        self._buf = memoryview(self._mmap)

    def _open(self, name, size):
        """Return descriptor and name of a new segment; without a size, of one that is there."""
        if name is not None:
            name = "/" + name if self._prepend_leading_slash else name
            if size is None:
                return _native.attach_segment(name, self._flags, self._mode), name
            return self._create(name, size), name
        while True:
            name = _make_filename()
            try:
                return self._create(name, size), name
            except FileExistsError:
                pass

    def _create(self, name, size):
        return _native.create_segment(name, self._flags, self._mode, size, bool(self._track))

    def unlink(self):
        """Take away the segment's name; its memory goes when all have closed it."""
        if self._name:
            _native.unlink_segment(self._name)


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


_leaving = None


def _leave_in_time(_=None):
    """Have the family left at the end of a child that the standard library's `Process` started.

    It does not `exit()`. That is done after its own children have been waited for, users as well.
    """
    global _leaving
    if (
        not isinstance(_process.current_process(), _Starts)
        and _process.parent_process() is not None
        and not (_leaving is not None and _leaving.still_active())
    ):
        _leaving = _util.Finalize(None, _native.leave_family, exitpriority=-1000)


# Such a child may be the last that uses what it has inherited.
_util.register_after_fork(_leave_in_time, _leave_in_time)
# Not in a child that loads the program's modules, nor in who does so once for many children.
if not getattr(_process.current_process(), "_inheriting", False):
    _native.join_family()

forward(globals(), _original)
