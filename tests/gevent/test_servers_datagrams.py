"""What servers of datagrams do beyond what gevent's own tests say."""

import errno
import socket as stdlib

import pytest

pytest.importorskip("greenlet")

from manyhands import gevent
from manyhands.gevent import server
from manyhands.gevent.event import Event
from manyhands.gevent.socket import socket as GreenSocket

HERE = ("127.0.0.1", 0)
LIMIT = 20  # seconds: a watchdog, never a measure


@pytest.fixture(autouse=True)
def limit():
    with gevent.Timeout(LIMIT):
        yield


@pytest.fixture
def errors():
    seen = []
    gevent.get_hub().handle_error = lambda _where, _kind, error, _trace: seen.append(error)
    yield seen
    del gevent.get_hub().handle_error


@pytest.fixture
def made():
    servers = []

    def make(listener, handle, **options):
        servers.append(server.DatagramServer(listener, handle, **options))
        servers[-1].start()
        return servers[-1]

    yield make
    for it in servers:
        it.stop(timeout=0)


@pytest.fixture
def client():
    with GreenSocket(type=stdlib.SOCK_DGRAM) as it:
        it.bind(HERE)
        it.settimeout(LIMIT)
        yield it


@pytest.mark.parametrize("how", ["address", "socket", "socket of the standard library"])
def test_a_datagram_is_handled_and_answered(made, client, how):
    listener = HERE
    if how != "address":
        listener = (GreenSocket if how == "socket" else stdlib.socket)(type=stdlib.SOCK_DGRAM)
        listener.bind(HERE)
    it = made(listener, lambda data, address: it.sendto(data.upper(), address))
    for data in (b"buns", b"", bytes(8000).replace(b"\0", b"a")):
        client.sendto(data, it.address)
        assert client.recvfrom(9000) == (data.upper(), it.address)
    it.stop()
    if how != "address":
        assert listener.fileno() == -1


def test_a_unix_socket(made, tmp_path):
    path = str(tmp_path / "it")
    it = made(path, lambda data, address: it.sendto(data, address))
    with GreenSocket(stdlib.AF_UNIX, stdlib.SOCK_DGRAM) as client:
        client.bind(str(tmp_path / "client"))
        client.settimeout(LIMIT)
        client.sendto(b"buns", path)
        assert client.recv(10) == b"buns"


def test_many_datagrams_are_handled_side_by_side(made, client):
    started, release = [], Event()

    def handle(data, address):
        started.append(data)
        release.wait()
        it.sendto(data, address)

    it = made(HERE, handle)
    sent = [b"%d" % number for number in range(50)]
    for data in sent:
        client.sendto(data, it.address)
    while len(started) < 50:
        gevent.sleep(0)
    release.set()
    assert sorted(client.recv(10) for _ in range(50)) == sorted(sent)


def test_a_pool_limits_how_many_are_handled(made, client):
    started, release = [], Event()

    def handle(data, address):
        started.append(data)
        release.wait()
        it.sendto(data, address)

    it = made(HERE, handle, spawn=2)
    for number in range(5):
        client.sendto(b"%d" % number, it.address)
    while len(started) < 2:
        gevent.sleep(0)
    gevent.sleep(0.001)
    assert started == [b"0", b"1"]
    release.set()
    assert sorted(client.recv(10) for _ in range(5)) == [b"%d" % number for number in range(5)]


def test_what_a_handler_raises_is_told_and_harms_nobody(made, client, errors):
    def handle(data, address):
        if data == b"bad":
            raise ZeroDivisionError
        it.sendto(data, address)

    it = made(HERE, handle)
    for data in (b"bad", b"good", b"bad", b"good"):
        client.sendto(data, it.address)
    assert [client.recv(10) for _ in range(2)] == [b"good"] * 2
    assert [type(error) for error in errors] == [ZeroDivisionError] * 2


def test_without_spawn_it_is_handled_at_once_in_the_hub(made, client):
    seen = []

    def handle(data, address):
        seen.append((data, gevent.getcurrent()))
        it._socket._sock.sendto(b"x", address)

    it = made(HERE, handle, spawn=None)
    client.sendto(b"buns", it.address)
    assert client.recv(10) == b"x"
    assert seen == [(b"buns", gevent.get_hub())]


def test_an_answer_to_who_has_gone_harms_nobody(made, client, errors):
    it = made(HERE, lambda data, address: it.sendto(data, address))
    with GreenSocket(type=stdlib.SOCK_DGRAM) as gone:
        gone.bind(HERE)
        gone.sendto(b"bye", it.address)
    for _ in range(3):
        client.sendto(b"buns", it.address)
        assert client.recv(10) == b"buns"
    assert {error.errno for error in errors} <= {errno.ECONNREFUSED}


def test_a_server_that_is_stopped_receives_nothing(made, client):
    seen = []
    it = made(HERE, lambda *args: seen.append(args))
    address = it.address
    it.stop()
    client.sendto(b"buns", address)
    gevent.sleep(0.001)
    assert (seen, it.started, it.closed) == ([], False, True)
