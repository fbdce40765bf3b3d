"""A server for WSGI applications.

Requests that two programs may understand differently are refused, and their connections closed,
also where gevent takes them: those with both Content-Length and Transfer-Encoding, or several
Content-Length that differ, or several Host; those whose Transfer-Encoding does not end in "chunked"
or comes with HTTP/1.0; control characters and carriage returns in the first line, in headers, or
between chunks; more than one space between the words of the first line; a space before a header's
colon; Content-Length, Transfer-Encoding, Host, Connection, Expect that go on in the next line;
those that end before their headers do. The answer is 400; it is 501 for other transfer codings
than "chunked", 414 for a first line of 8 KiB or more, 431 for a header over 64 KiB, for more than
256 KiB of headers, or more than 100. Headers with an underscore in their names are left out, as
that could pass for a dash.
"""

import sys
from typing import ClassVar

from manyhands.gevent import socket
from manyhands.gevent._wsgi_environ import (
    Environ,
    LoggingLogAdapter,
    SecureEnviron,
    WSGISecureEnviron,
    _NoopLog as _NoopLog,
    make_log,
)
from manyhands.gevent._wsgi_handler import WSGIHandler
from manyhands.gevent._wsgi_input import (
    MAX_REQUEST_LINE,
    Input,
)
from manyhands.gevent.server import StreamServer

__all__ = [
    "MAX_REQUEST_LINE",
    "Environ",
    "Input",
    "LoggingLogAdapter",
    "SecureEnviron",
    "WSGIHandler",
    "WSGISecureEnviron",
    "WSGIServer",
]


class WSGIServer(StreamServer):
    """Serves a WSGI application by HTTP/1.1, or by HTTPS with the arguments of StreamServer for
    that.

    `log` and `error_log` are files, loggers, or None for nothing; standard error if not given.
    `environ` is what each request's dict begins with.
    """

    handler_class = WSGIHandler
    #: Which class is used to show a request's dict in errors.
    secure_environ_class = WSGISecureEnviron
    #: Of which class the requests' dicts are: as the standard says, dict itself.
    environ_class = dict

    base_env: ClassVar = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"gevent/26.9 Python/{sys.version_info[0]}.{sys.version_info[1]}",
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }

    def __init__(
        self,
        listener,
        application=None,
        backlog=None,
        spawn="default",
        log="default",
        error_log="default",
        handler_class=None,
        environ=None,
        **ssl_args,
    ):
        StreamServer.__init__(self, listener, backlog=backlog, spawn=spawn, **ssl_args)
        if application is not None:
            self.application = application
        if handler_class is not None:
            self.handler_class = handler_class
        self.log = make_log(sys.stderr if log == "default" else log, 20)
        self.error_log = make_log(sys.stderr if error_log == "default" else error_log, 40)
        self.set_environ(environ)
        self.set_max_accept()

    def set_environ(self, environ=None):
        """Say what each request's dict begins with."""
        if environ is not None:
            self.environ = environ
        update = getattr(self, "environ", None)
        self.environ = self.environ_class(self.base_env)
        self.environ["wsgi.url_scheme"] = "https" if self.ssl_enabled else "http"
        if update is not None:
            self.environ.update(update)
        self.environ.setdefault("wsgi.errors", sys.stderr)

    def set_max_accept(self):
        """Several processes that accept at one socket share what comes better one by one."""
        if self.environ.get("wsgi.multiprocess"):
            self.max_accept = 1

    def get_environ(self):
        """What a request's dict begins with."""
        return self.environ_class(self.environ)

    def init_socket(self):
        StreamServer.init_socket(self)
        self.update_environ()

    def update_environ(self):
        """Note where it listens."""
        address = self.address
        if isinstance(address, tuple):
            if "SERVER_NAME" not in self.environ:
                try:
                    name = socket.getfqdn(address[0])
                except OSError:
                    name = str(address[0])
                self.environ["SERVER_NAME"] = name
            self.environ.setdefault("SERVER_PORT", str(address[1]))
        else:
            self.environ.setdefault("SERVER_NAME", "")
            self.environ.setdefault("SERVER_PORT", "")

    def handle(self, sock, address):
        """Serve a connection."""
        self.handler_class(sock, address, self).handle()
