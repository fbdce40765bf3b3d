"""The server of the start method `forkserver`: a zygote that has loaded the program's modules.

The names are the standard library's. What is behind them is started and used by `_nursery`.
"""

from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import _nursery

_original = original("multiprocessing.forkserver")

__all__ = [
    "connect_to_new_process",
    "ensure_running",
    "get_inherited_fds",
    "set_forkserver_preload",
]

MAXFDS_TO_SEND = _original.MAXFDS_TO_SEND


class ForkServer:
    """This process's server, and what it loads."""

    def __init__(self):
        self._inherited_fds = None
        self._preload_modules = ["__main__"]

    @property
    def _forkserver_pid(self):
        return _nursery.nursery("forkserver").pid

    def _stop(self):
        _nursery.stop()

    _stop_unlocked = _stop

    def set_forkserver_preload(self, modules_names):
        """Set which modules the server loads for all its children."""
        if not all(type(mod) is str for mod in modules_names):
            raise TypeError("module_names must be a list of strings")
        self._preload_modules = modules_names

    def get_inherited_fds(self):
        """Return the descriptors that this process got from its parent, None if it was not started
        by a server.
        """
        return self._inherited_fds

    def connect_to_new_process(self, fds):
        """Start a process by the standard library's server, which speaks the protocol that users of
        this function know.
        """
        return _original.connect_to_new_process(fds)

    def ensure_running(self):
        """Have the server started."""
        _nursery.nursery("forkserver").start(_nursery.spawn.get_preparation_data("ignore"))


_forkserver = ForkServer()
ensure_running = _forkserver.ensure_running
get_inherited_fds = _forkserver.get_inherited_fds
connect_to_new_process = _forkserver.connect_to_new_process
set_forkserver_preload = _forkserver.set_forkserver_preload

forward(globals(), _original)
