"""What stands before the body of a request: its first line, its headers, how long the body is.

What could be understood in two ways is refused, as somebody between the client and here may have
understood it in the other (RFC 9112, sections 5 to 7 and 11.2).
"""

import re

from manyhands.gevent._wsgi_input import (
    TOKEN,
    InvalidClientRequest,
)

__all__ = ["Headers", "body_length", "parse_request_line", "read_headers", "without_line_end"]

_MOST_HEADERS = 100
_LONGEST_HEADER = 65536
#: All of them together.
_LONGEST_HEADERS = 4 * _LONGEST_HEADER
#: A number of that many digits is no length that anybody sends, and still a 64-bit number.
_MOST_DIGITS = 18

_SPACE = " \t"
_NEVER_CONTINUED = ("connection", "content-length", "expect", "host", "transfer-encoding")

_VERSIONS = ("HTTP/1.0", "HTTP/1.1", "HTTP/0.9")
_TOO_LARGE = "431 Request Header Fields Too Large"

# A tab is none in the value of a header, where it is a kind of space.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_TAB = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(list):
    """Pairs of names and values, in their order. Names are found whatever their case."""

    def get(self, name, default=None):
        name = name.lower()
        for key, value in self:
            if key.lower() == name:
                return value
        return default

    def get_all(self, name, default=None):
        name = name.lower()
        return [value for key, value in self if key.lower() == name] or default

    def elements(self, name):
        """What stands between the commas in all headers of that name, in lower case."""
        value = ",".join(self.get_all(name, ()))
        return [element for it in value.split(",") if (element := it.strip(_SPACE).lower())]

    getheader = get

    def items(self):
        return list(self)

    def __contains__(self, name):
        return self.get(name) is not None


def without_line_end(line):
    """The line, without what ends it: CR LF, or LF alone. A further CR stays."""
    return line.removesuffix("\n").removesuffix("\r")


def parse_request_line(line):
    """The method, the target and the version that it says."""
    if _CONTROL.search(line):
        raise InvalidClientRequest(f"Invalid HTTP method: {line!r}: a control character")
    words = line.split(" ")
    if not all(words) or len(words) not in (2, 3):
        raise InvalidClientRequest(f"Invalid HTTP method: {line!r}")
    method, target = words[:2]
    if len(words) == 2:
        if method != "GET":
            raise InvalidClientRequest(
                f"Expected GET method; Got command={method!r}; path={target!r}"
            )
        return method, target, "HTTP/0.9"
    if not _is_token(method):
        raise InvalidClientRequest(f"Invalid HTTP method: {line!r}")
    if words[2] not in _VERSIONS:
        raise InvalidClientRequest(f"Invalid http version: {line!r}")
    return method, target, words[2]


def read_headers(file):
    """The headers that are next in the file, up to the line that ends them."""
    headers = Headers()
    left = _LONGEST_HEADERS
    while True:
        line = file.readline(_LONGEST_HEADER + 1)
        if line in (b"\r\n", b"\n"):
            return headers
        left -= len(line)
        if len(line) > _LONGEST_HEADER or left < 0:
            raise InvalidClientRequest("headers that are too long", _TOO_LARGE)
        if len(headers) >= _MOST_HEADERS:
            raise InvalidClientRequest("too many headers", _TOO_LARGE)
        if not line.endswith(b"\n"):
            raise InvalidClientRequest("the connection ends where headers are")
        text = without_line_end(line.decode("latin-1"))
        if _CONTROL_BUT_TAB.search(text):
            raise InvalidClientRequest(f"{text!r} has a control character")
        if text.startswith(tuple(_SPACE)):
            _continue_header(headers, text)
            continue
        name, colon, value = text.partition(":")
        if not colon or not _is_token(name):
            raise InvalidClientRequest(f"{text!r} is no header")
        headers.append((name, value.strip(_SPACE)))


def _continue_header(headers, text):
    """An obsolete way of writing long headers. Those that say where the request ends, and whom it
    is for, are never long."""
    if not headers or headers[-1][0].lower() in _NEVER_CONTINUED:
        raise InvalidClientRequest(f"{text!r} continues no header that may be")
    name, value = headers[-1]
    headers[-1] = (name, f"{value} {text.strip(_SPACE)}".strip(_SPACE))


def _is_token(text):
    return bool(text) and TOKEN.issuperset(text.encode("latin-1"))


def body_length(headers, version):
    """How long the body is: the number that Content-Length says, or None; and whether it comes in
    chunks, which say it themselves."""
    if len(headers.get_all("Host", ())) > 1:
        raise InvalidClientRequest("several Host")
    lengths = set(headers.get_all("Content-Length", ()))
    if len(lengths) > 1:
        raise InvalidClientRequest("several Content-Length")
    length = lengths.pop() if lengths else None
    if "Transfer-Encoding" in headers:
        if length is not None:
            raise InvalidClientRequest("both Content-Length and Transfer-Encoding")
        _expect_chunks(headers, version)
        return None, True
    if length is None:
        return None, False
    if not (length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS):
        raise InvalidClientRequest(f"Invalid Content-Length: {length!r}")
    return int(length), False


def _expect_chunks(headers, version):
    codings = headers.elements("Transfer-Encoding")
    if version != "HTTP/1.1":
        raise InvalidClientRequest(f"Transfer-Encoding in {version}")
    if codings.count("chunked") != 1 or codings[-1] != "chunked":
        raise InvalidClientRequest(f"Invalid Transfer-Encoding: {codings!r}: the end is not told")
    if len(codings) > 1:
        raise InvalidClientRequest(f"Invalid Transfer-Encoding: {codings!r}", "501 Not Implemented")
