"""The exceptions of `gevent`."""

from greenlet import GreenletExit

__all__ = ["LoopExit"]


class LoopExit(Exception):
    """Nothing can wake the main greenlet any more: nobody has a turn, and nothing keeps the loop.

    Arguments: a message, the hub, and a list that says of each greenlet that is parked where it
    waits.
    """

    def __str__(self):
        if len(self.args) != 3 or not self.args[2]:
            return str(self.args[0]) if self.args else ""
        message, hub, waits = self.args
        return "\n".join([f"{message}", f"\tHub: {hub!r}", "\tThose who wait:", *waits])

    @property
    def hub(self):
        """The hub whose loop has ended; None if the exception was not made by one."""
        return self.args[1] if len(self.args) == 3 else None


class BlockingSwitchOutError(AssertionError):
    """Something that blocks was called where nothing may: in the hub's own greenlet."""


class InvalidSwitchError(AssertionError):
    """Somebody switched to a greenlet that waits for something else."""


class InvalidThreadUseError(RuntimeError):
    """Something that belongs to one thread was used from another."""


class ConcurrentObjectUseError(AssertionError):
    """Two greenlets use an object at once that allows one only."""


class HubDestroyed(GreenletExit):
    """The hub's greenlet is ended, as the hub was destroyed."""

    def __init__(self, destroy_loop):
        GreenletExit.__init__(self, destroy_loop)
        self.destroy_loop = destroy_loop
