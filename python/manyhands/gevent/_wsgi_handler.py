"""What is done for one connection."""

import time
import traceback
from urllib.parse import unquote_to_bytes

from manyhands.gevent._wsgi_input import (
    MAX_REQUEST_LINE,
    Input,
    InvalidClientRequest,
)
from manyhands.gevent._wsgi_request import (
    Headers,
    body_length,
    parse_request_line,
    read_headers,
    without_line_end,
)
from manyhands.gevent._wsgi_response import CLIENT_GONE, Answers

__all__ = ["WSGIHandler"]

#: How often what has come is read, and forgotten, before a connection is closed.
_MOST_UNREAD = 16


def _whole(status):
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-length: 0\r\n\r\n".encode()


class WSGIHandler(Answers):
    """Reads requests of one connection, has the application answer them, and sends that."""

    protocol_version = "HTTP/1.1"
    close_connection = False
    headers = None
    path = None
    request_version = None
    requestline = None
    wsgi_input = None

    def __init__(self, sock, address, server, rfile=None):
        self.socket = sock
        self.client_address = address
        self.server = server
        self.rfile = sock.makefile("rb", -1) if rfile is None else rfile

    def handle(self):
        """Serve requests until the connection ends."""
        try:
            while self.socket is not None:
                self.time_start, self.time_finish = time.time(), 0
                result = self.handle_one_request()
                if result is None:
                    break
                if result is True:
                    continue
                self.status, answer = result
                self._send(answer)
                self.time_finish = self.time_finish or time.time()
                self.log_request()
                break
        except OSError as error:
            if error.errno not in CLIENT_GONE:
                raise
        finally:
            self._close()

    def _close(self):
        sock, self.socket = self.socket, None
        rfile, self.rfile = self.rfile, None
        if sock is not None:
            try:
                # What is left unread would have the kernel drop the answer that is on its way.
                sock.settimeout(0)
                for _ in range(_MOST_UNREAD):
                    if not sock.recv(65536):
                        break
            except OSError:
                pass
            sock.close()
        if rfile is not None:
            rfile.close()

    def read_requestline(self):
        """The first line of a request; nothing at the connection's end."""
        return self.rfile.readline(MAX_REQUEST_LINE)

    def handle_one_request(self):
        """Serve one: True if there may be more, None if not, or a status and a whole answer to
        send."""
        if self.rfile.closed:
            return None
        try:
            line = self.read_requestline()
        except OSError:
            return None
        if not line:
            return None
        if isinstance(line, bytes):
            line = line.decode("latin-1")
        self.requestline = without_line_end(line)
        self.response_length = 0
        if len(line) >= MAX_REQUEST_LINE:
            return "414", _whole("414 Request URI Too Long")
        try:
            if not line.endswith("\n"):
                raise InvalidClientRequest("the connection ends in the first line")
            if not self.read_request(self.requestline):
                return "400", _whole("400 Bad Request")
        except InvalidClientRequest as error:
            self.log_error("%s", error.formatted_message)
            return error.status.split(" ", 1)[0], _whole(error.status)
        except Exception:
            self._print_unexpected_exc()
            self.log_error("Invalid request: %s", self.requestline)
            return "400", _whole("400 Bad Request")
        self.environ = self.get_environ()
        self.application = self.server.application
        self.handle_one_response()
        if self.close_connection or self.rfile is None or self.rfile.closed:
            return None
        return True

    @staticmethod
    def _print_unexpected_exc():
        traceback.print_exc()

    def read_request(self, raw_requestline):
        """Understand the first line, and read the headers. False if it is no request, which is
        answered with 400; InvalidClientRequest says more."""
        self.command, self.path, self.request_version = parse_request_line(raw_requestline)
        old = self.request_version == "HTTP/0.9"
        self.headers = Headers() if old else read_headers(self.rfile)
        self.content_length, self._is_chunked = body_length(self.headers, self.request_version)
        connection = self.headers.elements("Connection")
        if self.request_version == "HTTP/1.1":
            self.close_connection = "close" in connection
        else:
            self.close_connection = "keep-alive" not in connection or "close" in connection
        return True

    def log_error(self, msg, *args):
        """Write it to the log of errors."""
        try:
            message = msg % args
        except Exception:
            traceback.print_exc()
            message = f"{msg!r} {args!r}"
        try:
            peer = self.socket.getpeername()
        except Exception:
            peer = "(dead)"
        try:
            self.server.error_log.write(f"{peer}: {message}\n")
        except Exception:
            traceback.print_exc()

    def _wants_upgrade(self):
        connection = (self.headers.get("Connection") or "").lower()
        return connection == "upgrade" or "Upgrade" in self.headers

    def get_environ(self):
        """The dict for the application."""
        env = self.server.get_environ()
        env["REQUEST_METHOD"] = self.command
        env["SCRIPT_NAME"] = ""
        path, _, query = self.path.partition("?")
        env["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
        env["QUERY_STRING"] = query
        env["SERVER_PROTOCOL"] = self.request_version
        if isinstance(self.client_address, tuple):
            env["REMOTE_ADDR"] = str(self.client_address[0])
            env["REMOTE_PORT"] = str(self.client_address[1])
        else:
            env["REMOTE_ADDR"] = str(self.client_address or "")
        for name, value in self.headers:
            # An underscore could pass for a dash.
            if "_" in name:
                continue
            key = name.replace("-", "_").upper()
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            elif key in env:
                continue
            if key in env:
                env[key] += ("; " if "COOKIE" in key else ",") + value
            else:
                env[key] = value
        waits = env.get("HTTP_EXPECT", "").lower() == "100-continue"
        sock = self.socket if waits and self.request_version == "HTTP/1.1" else None
        self.wsgi_input = Input(self.rfile, self.content_length, sock, self._is_chunked)
        env["wsgi.input"] = self.wsgi_input
        # Where a connection becomes another protocol's, the body has no end that anybody knows.
        env["wsgi.input_terminated"] = not self._wants_upgrade()
        return env
