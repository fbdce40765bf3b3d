"""How a request is answered, and what is written to the logs of it."""

import errno
import sys
import time
from datetime import datetime
from email.utils import formatdate

from greenlet import GreenletExit

from manyhands.gevent._wsgi_input import InvalidClientInput

__all__ = ["CLIENT_GONE", "Answers"]

CLIENT_GONE = (errno.EPIPE, errno.ECONNRESET, errno.EBADF)

_ERRORS = {
    400: ("400 Bad Request", b""),
    500: ("500 Internal Server Error", b"Internal Server Error"),
}
_ERROR_HEADERS = (("Content-Type", "text/plain"), ("Connection", "close"))

_date = (0, b"")


def _date_now():
    """The Date header's value, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True).encode())
    return _date[1]


class Answers:
    """The part of a connection's handler that has the application answer one request."""

    #: What is raised when an application does what it must not.
    ApplicationError = AssertionError

    code = None
    headers_sent = False
    response_headers = ()
    response_length = 0
    response_use_chunked = False
    result = None
    status = None
    time_start = time_finish = 0

    def start_response(self, status, headers, exc_info=None):
        """What an application calls: say the status and the headers. Returns a function to write
        with."""
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        if not isinstance(status, str):
            raise UnicodeError("The status string must be a native string")
        if "\r" in status or "\n" in status:
            raise ValueError("carriage return or newline in status", status)
        code = int(status.split(" ", 1)[0])
        encoded = []
        length = date = connection = None
        for header in headers:
            name, value = header
            if not isinstance(name, str) or not isinstance(value, str):
                raise UnicodeError("The header must be a native string", name, value)
            if "\r" in name or "\n" in name:
                raise ValueError("carriage return or newline in header name", name)
            if "\r" in value or "\n" in value:
                raise ValueError("carriage return or newline in header value", value)
            encoded.append((name.encode("latin-1"), value.encode("latin-1")))
            lower = name.lower()
            if lower == "content-length":
                length = value
            elif lower == "date":
                date = value
            elif lower == "connection":
                connection = value.lower()
        if code in (204, 304) and length is not None and length != "0":
            why = f"Invalid Content-Length for {code} response: {length!r} (must be absent or zero)"
            # In bytes: an application may return what it caught.
            raise AssertionError(why.encode("latin-1"))
        self.status, self.code = status, code
        self.response_headers = encoded
        self.provided_content_length, self.provided_date = length, date
        self._provided_connection = connection
        if connection == "close":
            self.close_connection = True
        return self.write

    def finalize_headers(self):
        """Add what the application has not said."""
        headers = self.response_headers
        if self.provided_date is None:
            headers.append((b"Date", _date_now()))
        if self._provided_connection is None:
            if self.close_connection:
                headers.append((b"Connection", b"close"))
            elif self.request_version == "HTTP/1.0":
                headers.append((b"Connection", b"keep-alive"))
        if self.code < 200 or self.code in (204, 304) or self.provided_content_length is not None:
            return
        if hasattr(self.result, "__len__"):
            length = sum(len(chunk) for chunk in self.result)
            self.provided_content_length = str(length)
            headers.append((b"Content-Length", str(length).encode()))
        elif self.request_version == "HTTP/1.1":
            self.response_use_chunked = True
            headers.append((b"Transfer-Encoding", b"chunked"))
        else:
            self.close_connection = True

    def write(self, data):
        """Send some of the body, after the headers."""
        if self.code in (204, 304) and data:
            raise self.ApplicationError(f"The {self.code} response must have no body")
        if not self.headers_sent:
            if not self.status:
                raise AssertionError("The application did not call start_response()")
            self._send_headers(data)
        elif data:
            self._send(self._framed(data))

    def _framed(self, data):
        if not data or self.command == "HEAD":
            return b""
        if self.response_use_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def _send_headers(self, data):
        self.headers_sent = True
        self.finalize_headers()
        parts = [b"HTTP/1.1 ", self.status.encode("latin-1"), b"\r\n"]
        for name, value in self.response_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", self._framed(data))
        self._send(b"".join(parts))

    def _send(self, data):
        self.socket.sendall(data)
        self.response_length += len(data)

    def process_result(self):
        """Send what the application has returned."""
        result = self.result
        if type(result) in (list, tuple):
            data = b"".join(result)
            if data:
                self.write(data)
        else:
            for data in result:
                if data:
                    self.write(data)
        if self.status and not self.headers_sent:
            self.write(b"")
        if self.response_use_chunked and self.command != "HEAD":
            self._send(b"0\r\n\r\n")

    def run_application(self):
        """Call the application, and send what it returns."""
        try:
            self.result = self.application(self.environ, self.start_response)
            self.process_result()
        finally:
            close = getattr(self.result, "close", None)
            if close is not None:
                close()
            self.result = None

    def handle_one_response(self):
        """Answer the request that was read."""
        self.time_start, self.time_finish = time.time(), 0
        self.status = self.code = self.result = None
        self.headers_sent = self.response_use_chunked = False
        self.response_headers = []
        self.response_length = 0
        self.provided_date = self.provided_content_length = self._provided_connection = None
        try:
            try:
                self.run_application()
            finally:
                try:
                    self.wsgi_input._discard()
                except OSError:
                    # Nobody can tell where the next request would begin.
                    self.close_connection = True
        except InvalidClientInput as error:
            self.log_error("%s", error)
            self._send_error(400)
        except OSError as error:
            if error.errno in CLIENT_GONE:
                self.close_connection = True
            else:
                self.handle_error(*sys.exc_info())
        except SystemExit:
            raise
        except BaseException:
            self.handle_error(*sys.exc_info())
        finally:
            self.time_finish = time.time()
            self.log_request()
            self.environ = self.wsgi_input = None

    def _send_error(self, code):
        self.close_connection = True
        if self.response_length or self.socket is None:
            return
        status, body = _ERRORS[code]
        self.result = (body,)
        self.headers_sent = self.response_use_chunked = False
        try:
            self.start_response(status, _ERROR_HEADERS)
            self.write(body)
        except OSError:
            pass  # it has gone
        finally:
            self.result = None

    def handle_error(self, t, v, tb):
        """An application has failed: tell of it, and answer 500 if nothing was sent."""
        if not issubclass(t, GreenletExit):
            secure = self.server.secure_environ_class
            context = self.environ
            if not isinstance(context, secure):
                context = secure(context)
            self.server.loop.handle_error(context, t, v, tb)
        self._send_error(500)

    # Logs

    def log_request(self):
        """Write it to the log."""
        self.server.log.write(self.format_request() + "\n")

    def format_request(self):
        """A line for the log."""
        now = datetime.now().replace(microsecond=0)
        address = self.client_address
        client = address[0] if isinstance(address, tuple) else address or "-"
        status = (self.status or "000").split(" ", 1)[0]
        length = self.response_length or "-"
        took = f"{self.time_finish - self.time_start:.6f}" if self.time_finish else "-"
        line = self.requestline or ""
        if not line.isprintable():
            line = repr(line)[1:-1]  # what it would do to a terminal that shows the log
        return f'{client or "-"} - - [{now}] "{line}" {status} {length} {took}'
