"""Starts a process as a copy of a fresh interpreter that has imported the program's modules."""

from manyhands.multiprocessing import forkserver, popen_spawn_posix

__all__ = ["Popen"]


class _DupFd:
    """A descriptor on its way to the child, which finds it at that place of a list."""

    def __init__(self, ind):
        self.ind = ind

    def detach(self):
        return forkserver.get_inherited_fds()[self.ind]


class Popen(popen_spawn_posix.Popen):
    """A started process, and what was passed to it."""

    method = "forkserver"
    DupFd = _DupFd

    def duplicate_for_child(self, fd):
        self._fds.append(fd)
        return len(self._fds) - 1

    def _descriptors(self):
        return [(fd, -1) for fd in self._fds]
