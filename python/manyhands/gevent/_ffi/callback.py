"""A callback that waits for its turn in the loop."""

from manyhands.gevent.core import callback

__all__ = ["callback"]
