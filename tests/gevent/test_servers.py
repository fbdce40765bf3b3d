"""What servers of streams and datagrams do beyond what gevent's own tests say."""

import errno
import os
import signal
import socket as stdlib
import ssl
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("greenlet")

from greenprograms import ours_only
from manyhands import gevent
from manyhands.gevent import pool, server, socket, ssl as green_ssl
from manyhands.gevent.event import Event
from manyhands.gevent.socket import socket as GreenSocket
from support import until_blocked

LIMIT = 20  # seconds: a watchdog, never a measure


@pytest.fixture(autouse=True)
def limit():
    with gevent.Timeout(LIMIT):
        yield


@pytest.fixture
def errors():
    """What the hub is told of, instead of a traceback."""
    seen = []
    gevent.get_hub().handle_error = lambda _where, _kind, error, _trace: seen.append(error)
    yield seen
    del gevent.get_hub().handle_error


@pytest.fixture
def made():
    """Makes servers, which are stopped in the end."""
    servers = []

    def make(*args, kind=server.StreamServer, started=True, **options):
        servers.append(kind(*args, **options))
        if started:
            servers[-1].start()
        return servers[-1]

    yield make
    for it in servers:
        it.stop(timeout=0)


HERE = ("127.0.0.1", 0)


def echo(connection, _address):
    while data := connection.recv(1000):
        connection.sendall(data)


def connect(address, family=stdlib.AF_INET):
    client = GreenSocket(family)
    client.settimeout(LIMIT)
    client.connect(address)
    return client


def answers(address, family=stdlib.AF_INET):
    """Whether somebody echoes there, and hangs up when we do."""
    with connect(address, family) as client:
        client.sendall(b"buns")
        client.shutdown(stdlib.SHUT_WR)
        return client.recv(10) == b"buns" and client.recv(10) == b""


def refuses(address):
    with GreenSocket() as client:
        return client.connect_ex(address) == errno.ECONNREFUSED


def settle():
    """Let the others run until they wait."""
    for _ in range(10):
        gevent.sleep(0)
    gevent.sleep(0.001)


# Where it listens


@pytest.mark.parametrize("listener", [HERE, "127.0.0.1:0", ":0", "*:0", 0, "0", ("", 0)])
def test_all_ways_of_naming_an_address(made, listener):
    it = made(listener, echo)
    assert answers(("127.0.0.1", it.server_port))
    assert it.server_port == it.address[1] == it.socket.getsockname()[1] != 0
    address = ("127.0.0.1", it.server_port)
    it.stop()
    assert refuses(address)


@pytest.mark.parametrize("listener", [("::1", 0), "[::1]:0", 0])
def test_addresses_of_the_longer_kind(made, listener):
    it = made(listener, echo)
    assert it.family == stdlib.AF_INET6
    assert answers(("::1", it.server_port), stdlib.AF_INET6)


def test_the_path_of_a_unix_socket(made, tmp_path):
    path = str(tmp_path / "it")
    it = made(path, echo)
    assert answers(path, stdlib.AF_UNIX)
    assert (it.family, it.server_host, it.server_port) == (stdlib.AF_UNIX, None, None)


@pytest.mark.parametrize("of", ["gevent", "the standard library"])
@pytest.mark.parametrize("kind", ["TCP", "unix"])
def test_a_socket_that_listens_already(made, tmp_path, of, kind):
    family = stdlib.AF_UNIX if kind == "unix" else stdlib.AF_INET
    given = (GreenSocket if of == "gevent" else stdlib.socket)(family)
    given.bind(str(tmp_path / "it") if kind == "unix" else HERE)
    given.listen()
    address = given.getsockname()
    it = made(given, echo)
    assert it.address == address
    assert [answers(address, family) for _ in range(3)] == [True] * 3
    it.stop()
    assert given.fileno() == -1  # it is the server's, who closes it
    with GreenSocket(family) as client:
        assert client.connect_ex(address) == errno.ECONNREFUSED


def test_a_socket_that_was_inherited():
    program = """
        import sys
        from manyhands.gevent import server, socket
        def answer(connection, _):
            connection.sendall(b"child:" + connection.recv(10))
            it.close()
        it = server.StreamServer(socket.socket(fileno=int(sys.argv[1])), answer)
        it.serve_forever()
    """
    with stdlib.create_server(HERE) as listener:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(listener.fileno())],
            pass_fds=[listener.fileno()],
        )
        address = listener.getsockname()
    try:
        with connect(address) as client:
            client.sendall(b"buns")
            assert client.recv(100) == b"child:buns"
        assert child.wait(LIMIT) == 0
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("listener", "error"),
    [
        (None, TypeError),
        (b"127.0.0.1:0", TypeError),
        (1.5, TypeError),
        ("[::1", TypeError),
        (("127.0.0.1", "http"), TypeError),
        (("127.0.0.1",), TypeError),
        (("192.0.2.1", 0), OSError),
    ],
)
def test_what_is_no_address_is_refused_and_nothing_stays_open(made, tmp_path, listener, error):
    os.chdir(tmp_path)
    if listener == "[::1":  # a path, if it is anything
        error = OSError
        os.mkdir(listener)
    with pytest.raises(error):
        made(listener, echo)


def test_a_port_that_is_taken_is_named(made):
    taken = made(HERE, echo)
    with pytest.raises(OSError, match=str(taken.server_port)) as raised:
        made(("127.0.0.1", taken.server_port), echo)
    assert raised.value.errno == errno.EADDRINUSE


def test_what_makes_no_server_is_refused(made):
    with GreenSocket() as listener:
        listener.bind(HERE)
        with pytest.raises(TypeError, match="backlog"):
            server.StreamServer(listener, echo, backlog=3)
        # As that error closes what it was given, as stop() would.
        assert listener.fileno() == -1
    with pytest.raises(TypeError, match="handle"):
        server.StreamServer(HERE)

    class Never(server.StreamServer):
        max_accept = 0

    with pytest.raises(ValueError, match="max_accept"):
        Never(HERE, echo)


# Who handles it


def test_a_server_starts_and_stops(made):
    it = made(HERE, echo, started=False)
    assert (it.started, it.closed) == (False, False)
    assert "not started" in repr(it)
    it.start()
    assert (it.started, it.closed) == (True, False)
    assert f":{it.server_port}" in str(it)
    assert answers(it.address)
    it.stop()
    it.stop()
    assert (it.started, it.closed) == (False, True)
    assert refuses(it.address)
    with pytest.raises(AttributeError):
        it.start()  # what handled it is gone


def test_a_server_is_stopped_at_the_end_of_a_block():
    with server.StreamServer(HERE, echo) as it:
        it.start()
        assert answers(it.address)
    assert refuses(it.address)


def test_who_is_being_handled_is_not_disturbed_by_close(made):
    it = made(HERE, echo)
    with connect(it.address) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        it.close()
        client.sendall(b"b")
        assert client.recv(1) == b"b"
        client.shutdown(stdlib.SHUT_WR)
        assert client.recv(1) == b""


def test_each_gets_a_greenlet_of_its_own(made):
    seen = set()
    it = made(HERE, lambda _connection, _address: seen.add(gevent.getcurrent()))
    for _ in range(3):
        with connect(it.address) as client:
            assert client.recv(1) == b""
    assert len(seen) == 3
    assert all(isinstance(one, gevent.Greenlet) for one in seen)


def test_a_handler_gets_a_socket_of_gevent_and_the_address(made):
    seen = []
    it = made(HERE, lambda *args: seen.append(args))
    with connect(it.address) as client:
        assert client.recv(1) == b""
        ((given, address),) = seen
        assert type(given) is GreenSocket
        assert given.fileno() == -1
        assert address == client.getsockname()


def test_without_spawn_it_is_handled_at_once_in_the_hub(made, errors):
    seen = []

    def handle(connection, _address):
        seen.append(gevent.getcurrent())
        connection._sock.send(b"x")
        connection.recv(1)  # nothing may wait here

    it = made(HERE, handle, spawn=None)
    for _ in range(2):
        it.delay = it.min_delay = 0
        with connect(it.address) as client:
            assert client.recv(1) == b"x"
            assert client.recv(1) == b""
    assert seen == [gevent.get_hub(), gevent.get_hub()]
    assert len(errors) == 2


@pytest.mark.parametrize("pool_of", [1, 2, 5])
@pytest.mark.parametrize("how", ["number", "pool"])
def test_a_pool_limits_how_many_are_handled(made, pool_of, how):
    busy, most, release = [], [], Event()

    def handle(connection, _address):
        busy.append(1)
        most.append(len(busy))
        connection.sendall(b"x")
        release.wait()
        busy.pop()

    it = made(HERE, handle, spawn=pool_of if how == "number" else pool.Pool(pool_of))
    clients = [connect(it.address) for _ in range(8)]
    settle()
    assert len(busy) == pool_of
    assert it.full()
    assert it._watcher is None  # it does not spin while it is full
    release.set()
    assert [client.recv(1) for client in clients] == [b"x"] * 8
    assert [client.recv(1) for client in clients] == [b""] * 8
    assert max(most) == pool_of
    assert not it.full()
    for client in clients:
        client.close()


def test_a_place_in_the_pool_that_was_not_taken_by_the_server_counts_too(made):
    shared = pool.Pool(1)
    other = shared.spawn(gevent.sleep, LIMIT)
    it = made(HERE, echo, spawn=shared)
    with connect(it.address) as client:
        client.sendall(b"x")
        settle()
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(LIMIT)
        other.kill()
        assert client.recv(1) == b"x"


def test_a_function_that_spawns(made):
    seen = []

    def spawn(function, *args):
        seen.append(args[-1])
        return gevent.spawn(function, *args)

    it = made(HERE, echo, spawn=spawn)
    assert answers(it.address)
    assert len(seen) == 1


def test_what_a_handler_raises_is_told_and_harms_nobody(made, errors):
    def handle(connection, _address):
        connection.sendall(b"x")
        raise ZeroDivisionError

    it = made(HERE, handle, spawn=2)
    for _ in range(5):
        with connect(it.address) as client:
            assert client.recv(1) == b"x"
            assert client.recv(1) == b""
    settle()
    assert [type(error) for error in errors] == [ZeroDivisionError] * 5


def test_who_cannot_be_spawned_is_hung_up_on_and_the_next_is_tried(made, errors):
    refuse = [True]

    def spawn(*args):
        if refuse:
            refuse.clear()
            raise RuntimeError("no more")
        return gevent.spawn(*args)

    it = made(HERE, echo, spawn=spawn)
    with connect(it.address) as client:
        assert client.recv(1) == b""
    assert answers(it.address)
    assert [str(error) for error in errors] == ["no more"]


def test_so_many_are_accepted_before_others_have_their_turn(made):
    handled = []
    it = made(HERE, lambda *args: handled.append(args), spawn=None, started=False)
    it.max_accept = 2
    it.init_socket()
    clients = [connect(it.address) for _ in range(5)]
    counts = []
    for _ in range(4):
        it._do_read()
        counts.append(len(handled))
    assert counts == [2, 4, 5, 5]
    for client in clients:
        client.close()


# The end


def test_stop_waits_for_those_who_are_being_handled(made):
    ended, begun, finish = [], Event(), Event()

    def handle(_connection, _address):
        begun.set()
        finish.wait()
        ended.append(True)

    it = made(HERE, handle, spawn=3)
    with connect(it.address):
        begun.wait()
        stopping = gevent.spawn(it.stop, LIMIT)
        settle()
        assert not stopping.ready()
        assert refuses(it.address)
        finish.set()
        stopping.get()
    assert ended == [True]


@pytest.mark.parametrize("how", ["argument", "attribute"])
def test_stop_kills_those_who_do_not_end_in_time(made, how):
    ended, begun = [], Event()

    def handle(_connection, _address):
        begun.set()
        try:
            Event().wait()
        except BaseException as error:
            ended.append(type(error))
            raise

    it = made(HERE, handle, spawn=3)
    with connect(it.address) as client:
        begun.wait()
        if how == "attribute":
            it.stop_timeout = 0
            it.stop()
        else:
            it.stop(timeout=0)
        assert ended == [gevent.GreenletExit]
        assert client.recv(1) == b""


def test_serve_forever_ends_when_it_is_stopped(made):
    it = made(HERE, echo, started=False)
    serving = gevent.spawn(it.serve_forever)
    settle()
    assert answers(it.address)
    it.stop()
    serving.get()


def test_serve_forever_stops_what_it_started_when_it_is_killed(made):
    it = made(HERE, echo, started=False)
    serving = gevent.spawn(it.serve_forever)
    settle()
    assert it.started
    serving.kill()
    assert not it.started
    assert refuses(it.address)


CTRL_C = """
ended = []
def handle(connection, _):
    connection.sendall(b"x")
    try:
        gevent.sleep(1000)
    finally:
        ended.append(True)
it = module("server").StreamServer(("127.0.0.1", 0), handle, spawn=3)
it.start()
print(it.server_port, flush=True)
try:
    it.serve_forever(stop_timeout=0)
except KeyboardInterrupt:
    print("interrupted", it.started, ended, flush=True)
"""


@ours_only
def test_ctrl_c_ends_serve_forever(implementation):
    with implementation.start(CTRL_C) as process:
        port = int(process.stdout.readline())
        with connect(("127.0.0.1", port)) as client:
            assert client.recv(1) == b"x"
            until_blocked(process.pid, process.pid)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LIMIT)
            assert out == "interrupted False [True]\n"
            # The hub may say what it was, as gevent's does, but not where.
            assert err in ("", "KeyboardInterrupt\n")
            assert client.recv(1) == b""
    assert process.returncode == 0


# Errors


class Failing(server.StreamServer):
    """Accepting fails as often as `failures` says."""

    failures = ()

    def do_read(self):
        if self.failures:
            raise self.failures.pop(0)
        return super().do_read()


def test_accepting_that_fails_pauses_longer_and_longer_and_goes_on(made, errors):
    it = made(HERE, echo, kind=Failing, started=False)
    it.min_delay, it.max_delay = 0.0001, 0.0005
    it.delay = it.min_delay
    delays = []
    timer = it.loop.timer

    class Loop:
        def __getattr__(self, name):
            return getattr(gevent.get_hub().loop, name)

        def timer(self, after):
            delays.append(after)
            return timer(after)

    it.loop = Loop()
    it.failures = [OSError(errno.ENOBUFS, "no room") for _ in range(5)]
    it.start()
    assert answers(it.address)
    assert delays == [0.0001, 0.0002, 0.0004, 0.0005, 0.0005]
    assert it.delay == it.min_delay
    assert {error.errno for error in errors} == {errno.ENOBUFS}


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK])
def test_a_socket_at_which_nothing_can_be_accepted_is_closed(made, errors, capsys, number):
    it = made(HERE, echo, kind=Failing)
    it.failures = [OSError(number, "gone")]
    serving = gevent.spawn(it.serve_forever)
    with GreenSocket() as client:
        client.connect_ex(it.address)
        serving.get()
    assert it.closed
    assert "ERROR" in capsys.readouterr().err
    assert len(errors) == 1


def test_a_client_that_has_gone_before_it_is_accepted_harms_nobody(made, errors):
    it = made(HERE, echo, started=False)
    it.init_socket()
    for _ in range(20):
        client = connect(it.address)
        client.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    it.start()
    assert answers(it.address)
    assert {type(error) for error in errors} <= {ConnectionResetError}


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    from certificates import made

    return made(tmp_path_factory.mktemp("certificate"), "it", "IP:127.0.0.1")


@pytest.mark.parametrize("how", ["files", "context"])
def test_a_server_of_tls(made, certificate, errors, how):
    if how == "files":
        it = made(HERE, echo, certfile=certificate[0], keyfile=certificate[1])
    else:
        context = green_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        it = made(HERE, echo, ssl_context=context)
    assert it.ssl_enabled
    trusting = green_ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(certificate[0])
    with connect(it.address) as plain:  # who does not shake hands delays nobody
        with trusting.wrap_socket(connect(it.address), server_hostname="127.0.0.1") as client:
            client.sendall(b"buns")
            assert client.recv(10) == b"buns"
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((AssertionError, ConnectionResetError)):
            assert plain.recv(1) == b"x"
    settle()
    assert all(isinstance(error, OSError) for error in errors)
    assert len(errors) == 1


def test_a_socket_that_speaks_tls_already_is_refused(certificate):
    context = green_ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with socket.socket() as listener:
        listener.bind(HERE)
        listener.listen()
        secured = context.wrap_socket(listener, server_side=True)
        with pytest.raises(TypeError, match="SSLSocket"):
            server.StreamServer(secured, echo)
        secured.close()
