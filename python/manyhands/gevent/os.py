"""The parts of `os` that make wait, or that make other processes: reading, writing, fork and wait.

`nb_read` and `nb_write` are for descriptors that are not blocking (`make_nonblocking`), `tp_read`
and `tp_write` for others: a thread waits there. A child that is forked here has a hub of its own,
and its parent is told of its end, so that `waitpid` makes only the greenlet wait.
"""

import errno
import fcntl
import os
from stat import S_ISREG
from time import monotonic

from manyhands.gevent._config import config
from manyhands.gevent._hub_local import get_hub_if_exists
from manyhands.gevent._util import copy_globals
from manyhands.gevent.event import Event
from manyhands.gevent.hub import get_hub, reinit

__implements__ = ["close", "fork", "forkpty"]
__extensions__ = [
    "fork_and_watch",
    "fork_gevent",
    "forkpty_and_watch",
    "forkpty_gevent",
    "make_nonblocking",
    "nb_read",
    "nb_write",
    "tp_read",
    "tp_write",
]
# Not if GEVENT_NOWAITPID is set.
(__extensions__ if config.disable_watch_children else __implements__).append("waitpid")
if not config.disable_watch_children:
    __implements__ += ["posix_spawn", "posix_spawnp"]

# Kept before `os` is patched; tests replace some.
_read = os.read
_write = os.write
_close = os.close
_raw_fork = os.fork
_raw_forkpty = os.forkpty
_raw_posix_spawn = os.posix_spawn
_raw_posix_spawnp = os.posix_spawnp
_waitpid = os.waitpid

_READ, _WRITE = 1, 2
ignored_errors = [errno.EAGAIN, errno.EINTR]


def make_nonblocking(fd):
    """Make a descriptor one that does not block; True if it was not."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL, 0)
    if flags & os.O_NONBLOCK:
        return None
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    return True


def nb_read(fd, n):
    """Read up to `n` bytes, as soon as there are some; none at the end of the file."""
    return _when_ready(fd, _READ, lambda: _read(fd, n))


def nb_write(fd, buf):
    """Write what can be written of `buf`, as soon as some can; returns how much that was."""
    return _when_ready(fd, _WRITE, lambda: _write(fd, buf))


def _when_ready(fd, events, call):
    watcher = None
    try:
        while True:
            try:
                return call()
            except OSError as error:
                if error.errno not in ignored_errors:
                    raise
            if watcher is None:
                hub = get_hub()
                watcher = hub.loop.io(fd, events)
            hub.wait(watcher)
    finally:
        if watcher is not None:
            watcher.close()


def tp_read(fd, n):
    """Read up to `n` bytes; a thread of the hub's pool waits for them."""
    return get_hub().threadpool.apply(_read, (fd, n))


def tp_write(fd, buf):
    """Write `buf`, as far as possible at once; a thread of the hub's pool waits for it."""
    return get_hub().threadpool.apply(_write, (fd, buf))


#: Descriptors that are about to be closed -> what is set when they are.
_closing = {}


def close(fd):
    """Close a descriptor; who still waits for it in the hub is told before."""
    fcntl.fcntl(fd, fcntl.F_GETFD)  # fails if it is not open
    hub = get_hub_if_exists()
    if hub is None or S_ISREG(os.fstat(fd).st_mode):
        return _close(fd)
    if fd in _closing:
        # Closed already, as far as the program can know; be sure that it is before it goes on.
        closed = _closing[fd]
        with hub.loop.idle() as watcher:
            hub.wait(watcher)
        closed.wait(0.001)
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    hub.loop.closing_fd(fd)
    check = hub.loop.check()
    closed = _closing[fd] = Event()

    def finish():
        try:
            _close(fd)
        except OSError:
            pass  # somebody else has closed it
        finally:
            _closing.pop(fd, None)
            check.stop()
            check.close()
            closed.set()

    check.start(finish)
    return None


def fork_gevent():
    """Fork; the child has a hub of its own. Nobody watches the child: see `fork_and_watch`."""
    import warnings

    with warnings.catch_warnings():
        # Newer Pythons warn of forks while there are threads; those here are the hub's.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = _raw_fork()
    if not pid:
        reinit()
    return pid


def forkpty_gevent():
    """As `fork_gevent`, with `os.forkpty`."""
    pid, master = _raw_forkpty()
    if not pid:
        reinit()
    return pid, master


#: Children: number -> their watcher, or (number, status, when they ended).
_watched_children = {}

#: Children that somebody waits for, -1: any -> what is set when they end.
_awaited = {}

#: How long the status of a child is kept that nobody asks for.
_KEPT_FOR = 60


def _on_child_hook():
    """Replaced by `manyhands.gevent.signal`: calls the program's handler of SIGCHLD."""


def _on_child(watcher, callback):
    watcher.stop()
    try:
        _watched_children[watcher.pid] = (watcher.pid, watcher.rstatus, monotonic())
        for awaited in (watcher.pid, -1):
            event = _awaited.pop(awaited, None)
            if event is not None:
                event.set()
        if callback:
            callback(watcher)
        _on_child_hook()
        _reap_children()
    finally:
        watcher.close()


def _reap_children(timeout=_KEPT_FOR):
    oldest = monotonic() - timeout
    for pid, child in list(_watched_children.items()):
        if isinstance(child, tuple) and child[2] < oldest:
            del _watched_children[pid]


def _watch_child(pid, callback=None, loop=None, ref=False):
    watcher = (loop or get_hub().loop).child(pid, ref=ref)
    _watched_children[pid] = watcher
    watcher.start(_on_child, watcher, callback)


def waitpid(pid, options):
    """Wait for a child, -1: for any.

    Only the greenlet waits, for a child that was made here; for others all do, if they are waited
    for by their number.
    """
    if pid == -1:
        found = _any_child(options)
        if found is None:
            return _waitpid(pid, options)
        pid = found
    child = _watched_children.get(pid)
    if child is None:
        return _waitpid(pid, options)
    if not isinstance(child, tuple):
        if options & os.WNOHANG:
            return 0, 0
        watcher = child
        while _watched_children.get(pid) is watcher:
            _wait_for_end(pid)
        child = (pid, watcher.rstatus)
    _watched_children.pop(pid, None)
    return child[:2]


def _any_child(options):
    """The number of a child that has ended; None if the system has to be asked."""
    while True:
        ended = [child for child in _watched_children.values() if isinstance(child, tuple)]
        if ended:
            return min(ended, key=lambda child: child[2])[0]
        if options != 0 or not _watched_children:
            return None
        _wait_for_end(-1)


def _wait_for_end(pid):
    event = _awaited.get(pid)
    if event is None:
        event = _awaited[pid] = Event()
    # Who waits for its child keeps the hub from giving up, which the watcher of the child does not.
    with get_hub().loop.async_() as keeper:
        keeper.start(_nothing)
        event.wait()


def _nothing():
    pass


def fork_and_watch(callback=None, loop=None, ref=False, fork=fork_gevent):
    """Fork by `fork`; the parent watches the child, and calls `callback` with the watcher when
    it has ended.
    """
    pid = fork()
    if pid:
        _watch_child(pid, callback, loop, ref)
    return pid


def forkpty_and_watch(callback=None, loop=None, ref=False, forkpty=forkpty_gevent):
    """As `fork_and_watch`, with `os.forkpty`."""
    pid, master = forkpty()
    if pid:
        _watch_child(pid, callback, loop, ref)
    return pid, master


def posix_spawn(*args, **kwargs):
    """`os.posix_spawn`; the child is watched."""
    pid = _raw_posix_spawn(*args, **kwargs)
    _watch_child(pid)
    return pid


def posix_spawnp(*args, **kwargs):
    """`os.posix_spawnp`; the child is watched."""
    pid = _raw_posix_spawnp(*args, **kwargs)
    _watch_child(pid)
    return pid


def fork(*args, **kwargs):
    """`fork_and_watch`, or `fork_gevent` if ``GEVENT_NOWAITPID`` is set."""
    if config.disable_watch_children:
        return fork_gevent()
    return fork_and_watch(*args, **kwargs)


def forkpty(*args, **kwargs):
    """`forkpty_and_watch`, or `forkpty_gevent` if ``GEVENT_NOWAITPID`` is set."""
    if config.disable_watch_children:
        return forkpty_gevent()
    return forkpty_and_watch(*args, **kwargs)


__imports__ = copy_globals(
    os, globals(), names_to_ignore=__implements__ + __extensions__, dunder_names_to_keep=()
)
__all__ = sorted({*__implements__, *__extensions__})
