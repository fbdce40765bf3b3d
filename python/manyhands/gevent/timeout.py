"""Limits of time for whatever a greenlet does."""

from manyhands.gevent._green import RawTimeout

__all__ = ["Timeout", "with_timeout"]


class Timeout(RawTimeout):
    """Raises itself, or another exception, in the greenlet that started it when the time is up.

    As a context manager it is started at the beginning and cancelled at the end; with
    `exception=False` it then ends the block without raising anything. It derives from
    BaseException so that `except Exception` does not swallow it.
    """

    @classmethod
    def start_new(cls, timeout=None, exception=None, ref=True, _one_shot=False):
        """A started one: `timeout` itself if it is one, started if it was not; else one of so many
        seconds."""
        if isinstance(timeout, Timeout):
            if not timeout.pending:
                timeout.start()
            return timeout
        timeout = cls(timeout, exception, ref=ref)
        timeout.start()
        return timeout

    @staticmethod
    def _start_new_or_dummy(timeout, exception=None, ref=True):
        return Timeout.start_new(timeout, exception, ref)

    def __repr__(self):
        pending = " pending" if self.pending else ""
        exception = "" if self.exception is None else f" exception={self.exception!r}"
        return (
            f"<{type(self).__name__} at {hex(id(self))} seconds={self.seconds}{exception}{pending}>"
        )

    def __str__(self):
        if self.seconds is None:
            return ""
        suffix = "" if self.seconds == 1 else "s"
        text = f"{self.seconds} second{suffix}"
        if self.exception is None:
            return text
        if self.exception is False:
            return f"{text} (silent)"
        return f"{text}: {self.exception}"


Timeout._set_usual()


def with_timeout(seconds, function, *args, **kwds):
    """Call the function. If it takes longer than so many seconds, Timeout is raised in it; if it
    lets that pass, and a `timeout_value` was given, that is the result instead."""
    has_value = "timeout_value" in kwds
    value = kwds.pop("timeout_value", None)
    timeout = Timeout.start_new(seconds)
    try:
        return function(*args, **kwds)
    except Timeout as error:
        if error is timeout and has_value:
            return value
        raise
    finally:
        timeout.cancel()
