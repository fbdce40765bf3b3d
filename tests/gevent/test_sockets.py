"""What gevent's own tests do not say about sockets."""

import errno
import os
import pickle
import socket as stdlib
import threading

import pytest

pytest.importorskip("greenlet")

from manyhands import gevent
from manyhands.gevent import select, socket


@pytest.fixture
def pair():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def waiting(greenlet):
    """Let it run until it waits."""
    gevent.idle()
    assert not greenlet.ready()
    return greenlet


def test_a_reader_waits_without_stopping_the_others(pair):
    reader = waiting(gevent.spawn(pair[0].recv, 10))
    pair[1].sendall(b"x")
    assert reader.get(timeout=5) == b"x"


def test_a_new_socket_with_the_number_of_a_closed_one_can_be_waited_for():
    for _ in range(3):
        ours, theirs = socket.socketpair()
        reader = waiting(gevent.spawn(ours.recv, 10))
        theirs.send(b"x")
        assert reader.get(timeout=5) == b"x"
        ours.close()
        theirs.close()


@pytest.mark.parametrize("how", ["os.close", "raw close", "detach"])
def test_a_new_socket_with_the_number_of_one_closed_behind_our_back_can_be_waited_for(how):
    numbers = set()
    for _ in range(3):
        ours, theirs = socket.socketpair()
        numbers.add(ours.fileno())
        for _ in range(2):  # the second wait needs no system call: the poller knows the descriptor
            reader = waiting(gevent.spawn(ours.recv, 10))
            theirs.send(b"x")
            assert reader.get(timeout=5) == b"x"
        theirs.close()
        if how == "os.close":
            os.close(ours.fileno())
            ours.detach()
        elif how == "raw close":
            ours._sock.close()
        else:
            os.close(ours.detach())
        ours.close()
    assert len(numbers) == 1


def test_a_socket_that_is_used_by_another_thread_later_can_be_waited_for(pair):
    first = waiting(gevent.spawn(pair[0].recv, 10))
    pair[1].send(b"x")
    assert first.get(timeout=5) == b"x"
    got = []

    def use():
        reader = waiting(gevent.spawn(pair[0].recv, 10))
        pair[1].send(b"y")
        got.append(reader.get(timeout=5))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert got == [b"y"]


@pytest.mark.parametrize("operation", ["recv", "recv_into", "recvfrom", "accept", "sendall"])
def test_closing_tells_those_who_wait(operation, pair):
    ours = pair[0]
    calls = {
        "recv": lambda: ours.recv(10),
        "recv_into": lambda: ours.recv_into(bytearray(10)),
        "recvfrom": lambda: ours.recvfrom(10),
        "sendall": lambda: ours.sendall(bytes(10_000_000)),
        "accept": lambda: ours.accept(),
    }
    if operation == "accept":
        ours.close()
        ours = socket.socket()
        ours.bind(("127.0.0.1", 0))
        ours.listen()
    waiter = waiting(gevent.spawn(calls[operation]))
    ours.close()
    assert ours.fileno() == -1
    with pytest.raises(OSError, match="closed in another greenlet") as raised:
        waiter.get(timeout=5)
    assert type(raised.value) is socket.cancel_wait_ex
    assert raised.value.errno == errno.EBADF


def test_closing_tells_one_who_waits_in_another_thread(pair):
    ready = threading.Event()
    raised = []

    def use():
        gevent.spawn(ready.set)
        try:
            pair[0].recv(10)
        except OSError as error:
            raised.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    assert ready.wait(5)
    pair[0].close()
    thread.join(5)
    assert [type(error) for error in raised] == [socket.cancel_wait_ex]


def test_shutting_down_tells_those_who_wait(pair):
    reader = waiting(gevent.spawn(pair[0].recv, 10))
    pair[0].shutdown(socket.SHUT_RDWR)
    with pytest.raises(socket.cancel_wait_ex):
        reader.get(timeout=5)


def test_a_wait_can_be_cancelled_by_its_event(pair):
    reader = waiting(gevent.spawn(pair[0].recv, 10))
    socket.cancel_wait(pair[0]._read_event, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        reader.get(timeout=5)
    pair[1].send(b"x")
    assert pair[0].recv(10) == b"x"


def test_a_killed_reader_loses_nothing_that_was_sent(pair):
    reader = waiting(gevent.spawn(pair[0].recv, 10))
    pair[1].send(b"precious")
    select.select([pair[0]], [], [], 5)  # it has come, and the reader's turn is about to
    reader.kill()
    assert not isinstance(reader.value, bytes) or reader.value == b"precious"
    if isinstance(reader.value, gevent.GreenletExit):
        assert pair[0].recv(10) == b"precious"


def test_a_killed_eager_reader_loses_nothing(pair):
    pair[1].sendall(bytes(range(200)))
    got = bytearray()

    def read():
        while len(got) < 200:
            got.extend(pair[0].recv(1))

    reader = gevent.spawn(read)
    gevent.sleep(0)
    reader.kill()
    assert 0 < len(got) < 200  # it was killed where it let us run
    while len(got) < 200:
        got.extend(pair[0].recv(1))
    assert got == bytes(range(200))


def test_one_who_never_has_to_wait_lets_others_run(pair):
    turns = []
    done = []

    def eager():
        for _ in range(1000):
            pair[1].send(b"x")
            pair[0].recv(1)
        done.append(True)

    def other():
        while not done:
            turns.append(1)
            gevent.sleep(0)

    gevent.joinall([gevent.spawn(eager), gevent.spawn(other)])
    assert len(turns) > 10


def test_two_readers_are_told_apart_from_a_reader_and_a_writer(pair):
    reader = waiting(gevent.spawn(pair[0].recv, 10))
    writer = waiting(gevent.spawn(pair[0].sendall, bytes(3_000_000)))
    with pytest.raises(AssertionError, match="already used by another greenlet"):
        pair[0].recv(10)
    pair[1].send(b"x")
    assert reader.get(timeout=5) == b"x"
    left = 3_000_000
    while left:
        left -= len(pair[1].recv(1_000_000))
    writer.get(timeout=5)


def test_the_time_of_all_waits_of_one_operation_counts_together(pair):
    pair[0].settimeout(0.05)

    def drip():
        while True:
            pair[1].recv(100_000)
            gevent.sleep(0.01)

    dripper = gevent.spawn(drip)
    with pytest.raises(TimeoutError, match=r"^timed out$"):
        pair[0].sendall(bytes(1 << 30))
    dripper.kill()


def test_times_out_as_the_standard_library_does(pair):
    pair[0].settimeout(0.001)
    with pytest.raises(socket.timeout) as raised:
        pair[0].recv(1)
    assert raised.value.args == ("timed out",)
    pair[0].setblocking(False)
    for attempt in (
        lambda: pair[0].recv(1),
        lambda: pair[0].recv_into(bytearray(1)),
        lambda: pair[0].recvfrom(1),
    ):
        with pytest.raises(BlockingIOError) as raised:
            attempt()
        assert raised.value.args == (errno.EAGAIN, os.strerror(errno.EAGAIN))
    pair[0].settimeout(None)
    with pytest.raises(BlockingIOError):
        pair[0].recv(1, socket.MSG_DONTWAIT)


@pytest.mark.parametrize("size", [0, 1, 100, 16 * 1024, 16 * 1024 + 1, 1 << 20])
def test_receives_what_was_sent_whatever_the_size_of_the_buffer(size, pair):
    data = os.urandom(size)
    sender = gevent.spawn(pair[1].sendall, data)
    got = bytearray()
    while len(got) < size:
        some = pair[0].recv(size)
        assert type(some) is bytes
        got += some
    assert got == data
    sender.get()
    pair[1].close()
    assert pair[0].recv(size or 1) == b""


def test_receives_into_any_buffer_that_can_be_written(pair):
    pair[1].sendall(b"abcdef")
    buffer = bytearray(4)
    assert pair[0].recv_into(buffer, 2) == 2
    assert pair[0].recv_into(memoryview(buffer)[2:]) == 2
    assert buffer == b"abcd"
    with pytest.raises(ValueError, match="buffer too small"):
        pair[0].recv_into(buffer, 5)
    with pytest.raises((TypeError, BufferError)):
        pair[0].recv_into(b"read only")
    with pytest.raises(ValueError, match="negative buffersize"):
        pair[0].recv(-1)


def test_errors_are_those_of_the_standard_library(pair):
    pair[1].close()
    with pytest.raises(BrokenPipeError) as raised:
        pair[0].sendall(b"x")
    assert raised.value.args == (errno.EPIPE, os.strerror(errno.EPIPE))
    pair[0].close()
    for attempt in (
        lambda: pair[0].send(b"x"),
        lambda: pair[0].recv(1),
        pair[0].accept,
        pair[0].getsockname,
    ):
        with pytest.raises(OSError, match="Bad file descriptor") as raised:
            attempt()
        assert raised.value.args == (errno.EBADF, os.strerror(errno.EBADF))


def test_a_socket_is_no_pickle_and_says_what_it_is(pair):
    with pytest.raises(TypeError, match="Cannot serialize socket object"):
        pickle.dumps(pair[0])
    assert f"fd={pair[0].fileno()}" in repr(pair[0])
    pair[0].close()
    assert "[closed]" in repr(pair[0])
    assert isinstance(pair[1]._sock, stdlib.SocketType.__mro__[1])


def test_a_wait_that_does_not_keep_the_loop_lets_it_end(pair):
    pair[0].ref = False
    reader = gevent.spawn(pair[0].recv, 1)
    assert gevent.wait(timeout=5)
    assert not reader.ready()
    pair[1].send(b"x")
    gevent.sleep(0.01)
    assert reader.get(timeout=5) == b"x"


def test_names_are_not_looked_up_for_numbers():
    class Refuses:
        def apply(self, function, args=(), kwargs=None):
            raise AssertionError(f"{function} in a thread")

    hub = gevent.get_hub()
    before, hub.threadpool = hub._threadpool, Refuses()
    try:
        for host in ("127.0.0.1", "::1", None, b"127.0.0.1"):
            assert socket.getaddrinfo(host, 80)
        assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
        with pytest.raises(AssertionError, match="in a thread"):
            socket.getaddrinfo("localhost", 80)
    finally:
        hub.threadpool = before


def test_connects_and_tells_why_it_could_not():
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    client = socket.create_connection(address, timeout=5)
    server, peer = listener.accept()
    assert peer == client.getsockname()
    assert server.family is socket.AF_INET
    assert (client.timeout, server.timeout) == (5, None)
    for sock in (client, server, listener):
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with socket.socket() as again:
        assert again.connect_ex(address) == errno.ECONNREFUSED


def test_a_full_listener_of_this_machine_is_waited_for(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "it"))
        listener.listen(0)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        connecting = [gevent.spawn(client.connect, str(tmp_path / "it")) for client in clients]
        for _ in clients:
            listener.accept()[0].close()
        gevent.joinall(connecting, timeout=5, raise_error=True)
        assert all(it.ready() for it in connecting)
        for client in clients:
            client.close()


def test_a_poll_and_a_selector_tell_reading_from_writing(pair):
    from manyhands.gevent import selectors

    poll = select.poll()
    poll.register(pair[0], select.POLLIN | select.POLLOUT)
    assert poll.poll(5000) == [(pair[0].fileno(), select.POLLOUT)]
    with selectors.DefaultSelector() as selector:
        key = selector.register(pair[0], selectors.EVENT_READ | selectors.EVENT_WRITE)
        assert selector.select(5) == [(key, selectors.EVENT_WRITE)]
        pair[1].send(b"x")
        seen = 0
        while seen != selectors.EVENT_READ | selectors.EVENT_WRITE:
            ((_, what),) = selector.select(5)
            seen |= what
