"""What a hub does with exceptions that nobody has caught."""

import sys
import traceback

from greenlet import GreenletExit, getcurrent

from manyhands.gevent.exceptions import HubDestroyed


class _TellsOfErrors:
    """The part of a hub that prints exceptions, and has those that end a program go on in the main
    greenlet."""

    #: These end a program: in whatever greenlet they are raised, they go on in the main one.
    SYSTEM_ERROR = (KeyboardInterrupt, SystemExit, SystemError)
    #: These are no errors: nobody is told.
    NOT_ERROR = (GreenletExit, SystemExit)

    _exception_stream = None

    def _normalize_exception(self, type, value, tb):
        if value is None and type is not None:
            value = type() if callable(type) else type
        if isinstance(value, BaseException):
            type = value.__class__ if type is None else type
            tb = value.__traceback__ if tb is None else tb
        return type, value, tb

    def handle_error(self, context, type, value, tb):
        """An exception has ended a greenlet or left a callback: print it, and if it is to end the
        program, have it go on in the main greenlet. `context` says where it was; None: that
        matters to the main greenlet."""
        type, value, tb = self._normalize_exception(type, value, tb)
        if type is HubDestroyed:
            self.parent.throw(value)
            return
        if not issubclass(type, self.NOT_ERROR):
            self.print_exception(context, type, value, tb)
        if context is None or issubclass(type, self.SYSTEM_ERROR):
            self.handle_system_error(type, value, tb)

    def handle_system_error(self, type, value, tb=None):
        """Have it go on in the main greenlet; whoever calls this goes on later, if the program
        does."""
        type, value, tb = self._normalize_exception(type, value, tb)
        current = getcurrent()
        if current is self or current is self.parent or self.loop is None:
            self.parent.throw(type, value, tb)
            return
        turn = self.loop.run_callback(current.switch)
        try:
            self.parent.throw(type, value, tb)
        finally:
            turn.stop()

    @property
    def exception_stream(self):
        """Where exceptions are printed to; None: nowhere."""
        stream = self._exception_stream
        if stream is None:
            stream = sys.stderr
        return stream

    @exception_stream.setter
    def exception_stream(self, stream):
        self._exception_stream = stream

    @exception_stream.deleter
    def exception_stream(self):
        self._exception_stream = None

    def print_exception(self, context, t, v, tb):
        """Say that there was one, and where."""
        stream = self.exception_stream
        if stream is None:  # such as under pythonw, or late in the program's end
            return
        if t is not None and issubclass(t, self.NOT_ERROR):
            return
        t, v, tb = self._normalize_exception(t, v, tb)
        lines = traceback.format_exception(t, v, tb)
        if context is not None:
            shown = context
            if not isinstance(context, str):
                try:
                    shown = self.format_context(context)
                except Exception:
                    shown = repr(type(context))
            import time

            name = getattr(t, "__name__", str(t))
            lines.append(f"{time.ctime()} {shown} failed with {name}\n\n")
        try:
            stream.write("".join(lines))
            stream.flush()
        except Exception:
            pass  # closed, or something of a program's own that fails: there is nobody to tell
