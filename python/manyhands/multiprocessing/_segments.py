"""Which segments of shared memory a family of processes has created, and when they go.

Each family (the processes that share an arena) has a folder, and in it a link for each segment that
one of them created and nobody unlinked yet: its name, and which file that was. Every process of the
family that uses shared memory holds a shared lock on the folder, to its end: the program itself
since it imported this module, so that it finds what a child created that has ended; a child since
its first use. Who can lock it exclusively knows that nobody else is left:

* A process that ends tries to; if it can, it unlinks what is listed, and the folder.
* A process that is killed cannot. Whoever attaches to a segment, or creates the first of a family,
  tries to lock all other folders, and so tidies up behind families of which nobody is left.

So a segment is never unlinked while a process of its creator's family uses shared memory; nor what
has its name but is another file; nor what somebody else created, for it is in no folder. One that
is created in the instant before its process is killed may not be listed yet, and stays.

There is one folder for all families of a user. If it cannot be made, segments live until they are
unlinked. It is not in /dev/shm, which may be full.
"""

import _posixshmem
import contextlib
import errno
import fcntl
import os
import stat
from _thread import RLock

from manyhands import _native
from manyhands._stdlib import original

_native = _native.multiprocessing
_process = original("multiprocessing.process")
_util = original("multiprocessing.util")


class _Folder:
    """This process's hold on the folder of its family."""

    def __init__(self):
        # It may be taken again: the collector of garbage may close segments at any time.
        self.lock = RLock()
        self.path = ""
        self.descriptor = -1
        self.for_child = -1

    def join(self, create):
        """Hold the folder's lock; False if there is no folder. With `create`, there is."""
        if self.descriptor >= 0:
            return True
        if not create and _native.arena_number() is None:
            return False
        base = _base(create)
        self.path = os.path.join(base, f"{_native.tree():016x}")
        while True:
            is_new = create and _make(self.path)
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                if create:
                    continue
                return False
            # This waits only for those who tidy up.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _is_at(descriptor, self.path):
                break
            os.close(descriptor)
        self.descriptor = descriptor
        _leave_at_exit()
        if is_new:
            _tidy_up(base, self.path)
        return True

    def leave(self):
        """Let go of the folder's lock; the last one tidies up."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                if _lock_alone(descriptor):
                    _remove(self.path)
            os.close(descriptor)


_folder = _Folder()


def created(name, descriptor):
    """List a segment that this process has just created."""
    with _folder.lock, _tolerant():
        _folder.join(create=True)
        os.symlink(_identity(descriptor), name.lstrip("/"), dir_fd=_folder.descriptor)


def attaching():
    """Note that this process is about to use a segment that is there already.

    Not one of a family that is gone: it is gone, too.
    """
    with _folder.lock, _tolerant():
        _folder.join(create=False)
        _tidy_up(_base(create=False), _folder.path)


def unlinked(name):
    """Take a segment from the list, if it is there."""
    with _folder.lock, _tolerant():
        if _folder.join(create=False):
            os.unlink(name.lstrip("/"), dir_fd=_folder.descriptor)


def _tolerant():
    """Without a folder, or an arena, everything else goes on working."""
    return contextlib.suppress(OSError, RuntimeError)


def _base(create):
    """The folder of the folders."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        base = os.path.join(runtime, "manyhands")
    else:
        # Not before it is needed: it loads much.
        import tempfile

        base = os.path.join(tempfile.gettempdir(), f"manyhands-{os.geteuid()}")
    if create:
        _make(base)
    status = os.lstat(base)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o22:
        raise PermissionError(errno.EPERM, "others may write here", base)
    return base


def _make(path):
    """Make a folder, and return True; False if it is there."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True


def _identity(descriptor):
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def _is_at(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _lock_alone(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path):
    """Unlink what is listed in a folder whose lock is held alone, then the folder."""
    for name in os.listdir(path):
        entry = os.path.join(path, name)
        with contextlib.suppress(FileNotFoundError):
            descriptor = _posixshmem.shm_open("/" + name, os.O_RDONLY)
            try:
                if _identity(descriptor) == os.readlink(entry):
                    _posixshmem.shm_unlink("/" + name)
            finally:
                os.close(descriptor)
        os.unlink(entry)
    os.rmdir(path)


def _tidy_up(base, own):
    """Remove the folders of families that are gone."""
    for name in os.listdir(base):
        path = os.path.join(base, name)
        if path == own:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if _lock_alone(descriptor) and _is_at(descriptor, path):
                    _remove(path)
            finally:
                os.close(descriptor)


def _leave_at_exit():
    # After the children have been waited for, which are users as well.
    _util.Finalize(None, _folder.leave, exitpriority=-1000)


def _before_fork():
    _folder.lock.acquire()
    if _folder.descriptor >= 0:
        # A lock of the child's own. The parent's it would share: neither would let go of it alone.
        with contextlib.suppress(OSError):
            descriptor = os.open(_folder.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            _folder.for_child = descriptor


def _after_fork_in_parent():
    if _folder.for_child >= 0:
        os.close(_folder.for_child)
        _folder.for_child = -1
    _folder.lock.release()


def _after_fork_in_child():
    if _folder.for_child >= 0:
        os.close(_folder.descriptor)
        _folder.descriptor, _folder.for_child = _folder.for_child, -1
        _leave_at_exit()
    elif _folder.descriptor >= 0:
        # There was none to be had for the child, and the parent's is not its own to let go of.
        os.close(_folder.descriptor)
        _folder.descriptor = -1
    _folder.lock.release()


def _after_bootstrap(_):
    # A child that multiprocessing has started has dropped its parent's finalizers by now.
    if _folder.descriptor >= 0:
        _leave_at_exit()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
_util.register_after_fork(_folder, _after_bootstrap)

# Not in a child that loads the program's modules, nor in who does so once for many children.
if not getattr(_process.current_process(), "_inheriting", False):
    with _folder.lock, _tolerant():
        _folder.join(create=True)
