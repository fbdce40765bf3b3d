"""An interactive interpreter inside of a program, for those who connect to it.

There is no password: whoever can connect can do all that the program can. So listen at an address
of this machine only: `BackdoorServer(("127.0.0.1", 5001), locals={"app": app}).serve_forever()`.
"""

import socket as _socket
import sys
from code import InteractiveConsole

from greenlet import getcurrent

from manyhands.gevent.server import StreamServer

__all__ = ["BackdoorServer"]

_STREAMS = ("stdin", "stdout", "stderr")

#: By greenlet, the file of its session.
_sessions = {}


class _ByGreenlet:
    """Stands for a stream of the program's: for the greenlet of a session it is that session's."""

    def __init__(self, original):
        self._original = original

    def __getattr__(self, name):
        return getattr(_sessions.get(getcurrent(), self._original), name)

    def __iter__(self):
        return iter(_sessions.get(getcurrent(), self._original))


def _enter(file):
    if not _sessions:
        for name in _STREAMS:
            setattr(sys, name, _ByGreenlet(getattr(sys, name)))
    _sessions[getcurrent()] = file


def _leave():
    _sessions.pop(getcurrent(), None)
    if not _sessions:
        for name in _STREAMS:
            stream = getattr(sys, name)
            # The program may have put another one there meanwhile.
            if isinstance(stream, _ByGreenlet):
                setattr(sys, name, stream._original)


class _Connection:
    """A connection as a text file for both directions."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, sock):
        self._socket = sock
        self._reader = sock.makefile("r", encoding="utf-8", errors="replace", newline=None)

    def write(self, data):
        self._socket.sendall(data.replace("\n", "\r\n").encode("utf-8", "replace"))
        return len(data)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def readline(self, *args):
        return self._reader.readline(*args)

    def read(self, *args):
        return self._reader.read(*args)

    def __iter__(self):
        return iter(self._reader)

    def flush(self):
        """Nothing: what is written is sent at once."""

    def isatty(self):
        return False

    def close(self):
        self._reader.close()


class _Console(InteractiveConsole):
    def raw_input(self, prompt=""):
        file = _sessions[getcurrent()]
        file.write(prompt)
        line = file.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")


class BackdoorServer(StreamServer):
    """Gives each connection an interpreter, whose names are `locals`; `banner` is what it says
    first."""

    def __init__(self, listener, locals=None, banner=None, **server_args):
        StreamServer.__init__(self, listener, spawn="default", **server_args)
        self.locals = {"__doc__": None, "__name__": "__console__", **(locals or {})}
        self.banner = banner
        self.stderr = sys.stderr

    def _create_interactive_locals(self):
        # What one session defines is not for the others.
        return {**self.locals, "__builtins__": __import__("builtins")}

    def handle(self, conn, address):
        """Talk with who has connected, until they leave."""
        if conn.family != getattr(_socket, "AF_UNIX", None):
            conn.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        file = _Connection(conn)
        names = self._create_interactive_locals()

        def leave(code=None):
            raise SystemExit(code)

        names.setdefault("quit", leave)
        names.setdefault("exit", leave)
        _enter(file)
        try:
            _Console(names).interact(banner=self.banner, exitmsg="")
        except SystemExit:
            pass  # of the session, not of the program
        except OSError:
            pass  # they have gone
        finally:
            _leave()
            file.close()
            conn.close()
