"""What is no request, or might be two, is refused, and nothing behind it is taken for one."""

import random

import pytest

pytest.importorskip("greenlet")

from wsgiserving import Serving

BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
SEEN = []


def application(environ, start_response):
    SEEN.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


@pytest.fixture(scope="module")
def server():
    with Serving(application) as serving:
        yield serving


@pytest.fixture(autouse=True)
def forget(server):
    SEEN.clear()
    yield
    server.quiet()


def post(*headers, body=b"", version="HTTP/1.1"):
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"POST /it {version}\r\nHost: a\r\n{lines}\r\n".encode() + body


def get(*lines):
    return "\r\n".join(("GET / HTTP/1.1", *lines, "", "")).encode("latin-1")


CHUNKED = "Transfer-Encoding: chunked"
FIVE = "Content-Length: 5"
BODY = b"5\r\nhello\r\n0\r\n\r\n"

REFUSED = {
    "both lengths": (400, post("Content-Length: 15", CHUNKED, body=BODY)),
    "both lengths, zero": (400, post("Content-Length: 0", CHUNKED, body=BODY)),
    "both lengths, chunks first": (400, post(CHUNKED, "content-length: 4", body=BODY)),
    "two lengths": (400, post(FIVE, "Content-Length: 6", body=b"hello!")),
    "two lengths in one": (400, post("Content-Length: 5, 6", body=b"hello!")),
    "the same length in one": (400, post("Content-Length: 5, 5", body=b"hello")),
    "two ways of writing a length": (400, post(FIVE, "Content-Length: 05", body=b"hello")),
    "no length": (400, post("Content-Length:")),
    "signed": (400, post("Content-Length: +5", body=b"hello")),
    "negative": (400, post("Content-Length: -1")),
    "hexadecimal length": (400, post("Content-Length: 0x5", body=b"hello")),
    "underscored length": (400, post("Content-Length: 1_0", body=b"hello")),
    "digits of another script": (400, post("Content-Length: \N{SUPERSCRIPT TWO}")),
    "length of many digits": (400, post("Content-Length: " + "9" * 5000)),
    "length that goes on": (400, post("Content-Length:", " 5", body=b"hello")),
    "not chunked at last": (400, post("Transfer-Encoding: chunked, gzip", body=BODY)),
    "not chunked at last, two headers": (400, post(CHUNKED, "Transfer-Encoding: gzip", body=BODY)),
    "identity": (400, post("Transfer-Encoding: identity", body=BODY)),
    "identity and a length": (400, post("Transfer-Encoding: identity", FIVE, body=BODY)),
    "empty coding": (400, post("Transfer-Encoding:", FIVE, body=b"hello")),
    "chunked twice": (400, post(CHUNKED, CHUNKED, body=BODY)),
    "chunked, with a dirty name": (400, post("Transfer-Encoding: xchunked", body=BODY)),
    "chunked, quoted": (400, post('Transfer-Encoding: "chunked"', body=BODY)),
    "chunked, with a control character": (400, post("Transfer-Encoding: \x0bchunked", body=BODY)),
    "chunked that goes on": (400, post("Transfer-Encoding:", " chunked", body=BODY)),
    "chunked of HTTP/1.0": (400, post(CHUNKED, body=BODY, version="HTTP/1.0")),
    "another coding": (501, post("Transfer-Encoding: gzip, chunked", body=BODY)),
    "another coding, two headers": (501, post("Transfer-Encoding: gzip", CHUNKED, body=BODY)),
    "space before the colon": (400, post("Content-Length : 5", body=b"hello")),
    "tab before the colon": (400, post("Transfer-Encoding\t: chunked", body=BODY)),
    "space in a name": (400, get("Content Length: 5")),
    "no name": (400, get(": 5")),
    "no colon": (400, get("Host")),
    "name beyond ASCII": (400, get("H\xf6st: a")),
    "control character in a name": (400, get("Ho\x00st: a")),
    "first header goes on": (400, get(" X: 1")),
    "white space only": (400, get(" ")),
    "host that goes on": (400, get("Host: a", " b")),
    "two hosts": (400, get("Host: a", "Host: b")),
    "bare CR in a value": (400, get("X: a\rContent-Length: 5")),
    "bare CR at the end of a value": (400, get("X: a\r")),
    "bare CR for a line": (400, get("\r")),
    "NUL in a value": (400, get("X: a\x00b")),
    "escape in a value": (400, get("X: \x1b[2J")),
    "headers that do not end": (400, b"GET / HTTP/1.1\r\nHost: a\r\n"),
    "header that does not end": (400, b"GET / HTTP/1.1\r\nHost: a"),
    "first line that does not end": (400, b"GET / HTTP/1.1"),
    "empty first line": (400, b"\r\n"),
    "one word": (400, b"GET\r\n\r\n"),
    "four words": (400, b"GET / HTTP/1.1 x\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\n\r\n"),
    "space at the end": (400, b"GET / HTTP/1.1 \r\n\r\n"),
    "space at the beginning": (400, b" GET / HTTP/1.1\r\n\r\n"),
    "tab for a space": (400, b"GET\t/ HTTP/1.1\r\n\r\n"),
    "form feed for a space": (400, b"GET\x0c/ HTTP/1.1\r\n\r\n"),
    "no-break space for a space": (400, b"GET\xa0/ HTTP/1.1\r\n\r\n"),
    "CR in the first line": (400, b"GET / HTTP/1.1\r\r\n\r\n"),
    "NUL in the target": (400, b"GET /\x00 HTTP/1.1\r\n\r\n"),
    "method that is none": (400, b"G(T / HTTP/1.1\r\n\r\n"),
    "POST of HTTP/0.9": (400, b"POST /\r\n\r\n"),
    "HTTP/2.0": (400, b"GET / HTTP/2.0\r\n\r\n"),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\n\r\n"),
    "lower case": (400, b"GET / http/1.1\r\n\r\n"),
    "version with a sign": (400, b"GET / HTTP/+1.1\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "long first line": (414, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n\r\n"),
    "long header": (431, get("X: " + "a" * 65536)),
    "long header that does not end": (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000),
    "many headers": (431, get(*("X: 1" for _ in range(101)))),
    "long headers": (431, get(*("X: " + "a" * 60_000 for _ in range(5)))),
    "long continued header": (431, get("X: 1", *(" " + "a" * 60_000 for _ in range(5)))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_none_is_refused_with_all_that_follows(server, name):
    code, request = REFUSED[name]
    with server.client() as client:
        ends = request.endswith((b"\n", b"hello", b"hello!"))
        client.send(request, BEHIND if ends else b"")
        client.finish()
        answers = client.answers()
    assert [answer.code for answer in answers] == [code]
    assert answers[0].lines["connection"] == "close"
    assert SEEN == []
    assert server.errors == []
    if code != 414:
        assert len(server.error_log) == 1


@pytest.mark.parametrize("name", ["both lengths", "another coding", "long first line"])
def test_a_request_that_is_refused_was_preceded_by_good_ones(server, name):
    code, request = REFUSED[name]
    with server.client() as client:
        client.send(post(FIVE, body=b"hello"), request, BEHIND)
        assert [answer.code for answer in client.answers()] == [200, code]
    assert SEEN == [("POST", "/it")]


CHUNKS_REFUSED = {
    "no number": b"x\r\nhello\r\n0\r\n\r\n",
    "nothing": b"\r\nhello\r\n0\r\n\r\n",
    "with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "negative": b"-1\r\nhello\r\n0\r\n\r\n",
    "with an underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "with a space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "with a space behind": b"5 \r\nhello\r\n0\r\n\r\n",
    "more than 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "only LF behind the number": b"5\nhello\r\n0\r\n\r\n",
    "only CR behind the number": b"5\rhello\r\n0\r\n\r\n",
    "only LF behind the extension": b"5;a\nhello\r\n0\r\n\r\n",
    "CR in the extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension too long": b"5;" + b"a" * 9000 + b"\r\nhello\r\n0\r\n\r\n",
    "chunk too long": b"5\r\nhello!\r\n0\r\n\r\n",
    "chunk too short": b"6\r\nhello\r\n0\r\n\r\n",
    "only LF behind the chunk": b"5\r\nhello\n0\r\n\r\n",
    "only CR behind the chunk": b"5\r\nhello\r0\r\n\r\n",
    "trailer without a colon": b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "trailer with a space in its name": b"0\r\nX Y: 1\r\n\r\n",
    "trailer with a CR": b"0\r\nX: 1\rY: 2\r\n\r\n",
    "trailer too long": b"0\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    "too many trailers": b"0\r\n" + b"X: 1\r\n" * 101 + b"\r\n",
}


@pytest.mark.parametrize("name", CHUNKS_REFUSED)
def test_a_body_whose_end_cannot_be_told_is_refused_with_all_that_follows(server, name):
    with server.client() as client:
        client.send(post(CHUNKED, body=CHUNKS_REFUSED[name]), BEHIND)
        assert [answer.code for answer in client.answers()] == [400]
    assert SEEN == [("POST", "/it")]
    assert server.errors == []


TAKEN = {
    "the same length twice": post(FIVE, FIVE, body=b"hello"),
    "a length with zeros": post("Content-Length: 005", body=b"hello"),
    "chunks": post(CHUNKED, body=BODY),
    "chunks in capitals": post("TRANSFER-ENCODING:Chunked\t ", body=BODY),
    "a number with zeros": post(CHUNKED, body=b"0000005\r\nhello\r\n000\r\n\r\n"),
    "an extension": post(CHUNKED, body=b'5;a="b";c\r\nhello\r\n0;d\r\n\r\n'),
    "trailers": post(CHUNKED, body=b"5\r\nhello\r\n0\r\nX: 1\r\nY:\r\n\r\n"),
    "lines that end in LF": post(FIVE, body=b"").replace(b"\r\n", b"\n") + b"hello",
    "a header that goes on": post("X: 1", "\t2", FIVE, body=b"hello"),
    "an underscored length": post("Content_Length: 999", FIVE, body=b"hello"),
    "100 headers": post(FIVE, *("X: 1" for _ in range(98)), body=b"hello"),
    "a long header": post("X: " + "a" * 65000, FIVE, body=b"hello"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_unusual_but_clear_is_taken(server, name):
    with server.client() as client:
        client.send(TAKEN[name], BEHIND)
        assert client.answer().body == b"hello"
        assert client.answer().code == 200
    assert SEEN == [("POST", "/it"), ("GET", "/behind")]
    assert (server.errors, server.error_log) == ([], [])


def mutations(seed):
    """Requests in a row, with some bytes changed, missing or doubled."""
    chance = random.Random(seed)
    data = bytearray(post(FIVE, body=b"hello") + post(CHUNKED, body=BODY) + get("Host: a") + BEHIND)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(data))
        what = chance.randrange(4)
        if what == 0:
            del data[place : place + chance.randrange(1, 4)]
        elif what == 1:
            data[place] = chance.choice(b"\r\n\t \x00:;,0159aX\xa0")
        elif what == 2:
            data[place:place] = data[place : place + chance.randrange(1, 20)]
        else:
            data[place:place] = chance.choice((b"\r\n", b"\n", b"\r", b" ", b"0", b"\x00"))
    return bytes(data)


@pytest.mark.parametrize("begin", range(0, 1000, 100))
def test_whatever_comes_is_answered_with_whole_answers_and_no_failure(server, begin):
    for seed in range(begin, begin + 100):
        data = mutations(seed)
        with server.client() as client:
            client.send(data)
            client.finish()
            codes = [answer.code for answer in client.answers()]
        # Who was refused gets nothing more.
        assert set(codes[:-1]) <= {200}, data
        assert set(codes[-1:]) <= {200, 400, 414, 431, 500, 501}, data
        # The end of a body that is missing is the application's to handle, which does not.
        assert all(str(error).startswith("unexpected end of file") for error in server.errors), data
