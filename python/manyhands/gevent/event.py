"""Events: what greenlets wait for until somebody says that it has come."""

from manyhands.gevent import _green

__all__ = ["AsyncResult", "Event"]

Event = _green.primitives.Event
AsyncResult = _green.primitives.AsyncResult
