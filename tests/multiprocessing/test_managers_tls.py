"""Managers whose connections are by TLS."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import ssl
import textwrap
import time
from collections.abc import Iterator
from multiprocessing import ProcessError
from pathlib import Path
from typing import Any

import pytest
from certificates import Files, made
from manyhands.multiprocessing import connection, get_context, managers
from support import Hand, alarm, in_fork, run_script

KEY = b"a key"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made(tmp_path_factory.mktemp("ours"), "ours", "DNS:localhost,IP:127.0.0.1")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return made(tmp_path_factory.mktemp("others"), "others", "DNS:elsewhere")


def manager_of(files: Files, host: str = "127.0.0.1", **options: Any) -> Any:
    tls = managers.TLS(*files, ca=files[0])
    return managers.SyncManager((host, 0), KEY, ctx=get_context("fork"), tls=tls, **options)


@pytest.fixture
def server(ours: Files) -> Iterator[Any]:
    with manager_of(ours) as manager:
        yield manager.address


@pytest.fixture
def client(server: Any, ours: Files) -> Any:
    return client_of(server, ours[0])


def client_of(address: Any, ca: str | None) -> Any:
    manager = managers.SyncManager(address, KEY, tls=managers.TLS(ca=ca))
    manager.connect()
    return manager


def double(shared: Any) -> None:
    shared["doubled"] = shared["number"] * 2


def test_what_goes_over_the_network_is_not_to_be_read(ours: Files, server: Any) -> None:
    """By somebody between the two, who sees everything."""
    seen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def between() -> None:
            near, _ = listener.accept()
            far = socket.create_connection(server)
            both = {near: far, far: near}
            with near, far:
                while True:
                    for one in connection.wait(list(both)):
                        part = one.recv(65536)  # type: ignore[union-attr]
                        if not part:
                            return
                        seen.extend(part)
                        both[one].sendall(part)  # type: ignore[index]

        hand = Hand(between)
        manager = client_of(listener.getsockname(), ours[0])
        shared = manager.dict(secret="of great value")
        assert shared["secret"] == "of great value"
        del shared, manager
        hand.finish()
    assert len(seen) > 500
    assert b"of great value" not in seen
    assert b"#CHALLENGE#" not in seen


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("is_text", [False, True])
def test_children_use_proxies(server: Any, ours: Files, method: str, is_text: bool) -> None:
    ca = Path(ours[0]).read_text() if is_text else ours[0]
    shared = client_of(server, ca).dict(number=21)
    process = get_context(method).Process(target=double, args=(shared,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert shared["doubled"] == 42


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_server_is_started_by_any_method(ours: Files, method: str) -> None:
    tls = managers.TLS(*ours, ca=ours[0])
    context = get_context(method)
    with managers.SyncManager(("localhost", 0), KEY, ctx=context, tls=tls) as manager:
        # By the name that the certificate is for.
        assert manager.address[0] == "localhost"
        assert manager.list([1])[0] == 1


def test_a_proxy_finds_its_way_through_pickles(client: Any) -> None:
    outer = client.dict()
    outer["inner"] = client.list([1, 2])
    assert list(outer["inner"]) == [1, 2]
    pickled = pickle.dumps(outer)
    del client

    def elsewhere() -> None:
        managers.BaseProxy._address_to_local.clear()
        connection_key = managers.process.current_process()
        connection_key.authkey = KEY
        assert list(pickle.loads(pickled)["inner"]) == [1, 2]

    in_fork(elsewhere)


def test_large_values_go_both_ways(client: Any) -> None:
    value = os.urandom(1 << 20) * 24
    shared = client.list([value])
    assert shared[0] == value
    shared.append(value)
    assert shared[1] == value


def test_threads_have_connections_of_their_own(client: Any) -> None:
    shared = client.dict()

    def work(number: int) -> None:
        for step in range(50):
            shared[number] = step
            assert shared[number] == step

    hands = [Hand(work, number) for number in range(4)]
    for hand in hands:
        hand.result()
    assert shared.copy() == dict.fromkeys(range(4), 49)


def test_a_forked_child_and_its_parent_do_not_disturb_each_other(client: Any) -> None:
    shared = client.list([0])

    def child() -> None:
        for _ in range(20):
            shared.append("child")

    in_fork(child)
    shared.append("parent")
    assert len(shared) == 22


def test_a_wait_is_interrupted(client: Any) -> None:
    queue = client.Queue()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with alarm(interrupt), pytest.raises(KeyboardInterrupt):
        queue.get()
    assert queue.empty()


def test_a_handler_may_use_the_manager_in_a_wait(client: Any) -> None:
    queue = client.Queue()
    with alarm(lambda: queue.put("from the handler")):
        assert queue.get() == "from the handler"


def test_what_cannot_be_pickled_does_no_harm(client: Any) -> None:
    shared = client.list()
    before = shared._tls.link.connection
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        shared.append(lambda: None)
    assert len(shared) == 0
    assert shared._tls.link.connection is before


def test_a_broken_connection_is_made_again(client: Any) -> None:
    shared = client.list([1])
    descriptor = socket.socket(fileno=os.dup(shared._tls.link.connection.fileno()))
    with descriptor:
        descriptor.shutdown(socket.SHUT_RDWR)
    assert shared[0] == 1


def test_a_server_that_dies_in_a_call(ours: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyhands.multiprocessing._manager_link._PERSISTENCE", 0.3)
    with manager_of(ours) as manager:
        hand = Hand(manager.Queue().get).blocks()
        os.kill(manager._process.pid, signal.SIGKILL)
        with pytest.raises(managers.ServerLost):
            hand.result()


def test_a_ca_that_knows_nothing_of_the_server(server: Any, others: Files) -> None:
    for ca in (others[0], None):
        with pytest.raises(ssl.SSLCertVerificationError, match="not trusted") as raised:
            client_of(server, ca)
        assert repr(server) in str(raised.value)


def test_a_connection_that_is_there_does_not_make_another_ca_right(
    client: Any, server: Any, others: Files
) -> None:
    shared = client.list([1])
    with pytest.raises(ssl.SSLCertVerificationError):
        client_of(server, others[0])
    assert Hand(shared.__getitem__, 0).result() == 1


def test_a_certificate_of_another_host(others: Files) -> None:
    with manager_of(others) as manager:
        address = manager.address
        with pytest.raises(ssl.SSLCertVerificationError, match=r"not for '127\.0\.0\.1'") as raised:
            manager.list()
        assert repr(address) in str(raised.value)


def test_a_wrong_key(server: Any, ours: Files) -> None:
    tls = managers.TLS(ca=ours[0])
    manager = managers.SyncManager(server, b"another key", tls=tls)
    with pytest.raises(ProcessError, match="digest"):
        # A connection of this thread would do.
        Hand(manager.connect).result()


def test_a_server_that_speaks_no_tls(ours: Files) -> None:
    with managers.SyncManager(("127.0.0.1", 0), KEY, ctx=get_context("fork")) as plain:
        with pytest.raises(ssl.SSLError, match="speaks no TLS") as raised:
            client_of(plain.address, ours[0])
        assert repr(plain.address) in str(raised.value)
        assert list(plain.list([1])) == [1]


def test_a_client_that_speaks_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        manager = managers.SyncManager(listener.getsockname(), KEY)
        hand = Hand(manager.connect)
        # As the server does, which hears nothing.
        listener.accept()[0].close()
        with pytest.raises(EOFError, match="if it wants TLS, give the manager tls="):
            hand.result()


def test_a_server_that_hangs_up_in_the_handshake(ours: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hand = Hand(client_of, listener.getsockname(), ours[0])
        accepted = listener.accept()[0]
        accepted.recv(10)
        accepted.close()
        with pytest.raises(ConnectionResetError, match="TLS was being set up"):
            hand.result()


def test_a_server_that_says_nothing_is_not_waited_for_in_haste(ours: Files) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        way = managers.Way(connection.Client, KEY, "pickle")
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            way.connect_in_haste(listener.getsockname(), 0.05, managers.TLS(ca=ours[0]))
        assert time.monotonic() - begun < 10


def test_polling_takes_nothing_away(ours: Files, server: Any) -> None:
    secured = managers.TLS(ca=ours[0]).connect(server)
    assert secured.poll(None)
    assert secured.poll()
    assert secured.recv_bytes().startswith(b"#CHALLENGE#")
    assert not secured.poll()
    assert not secured.poll(0.01)
    secured.send_bytes(b"nonsense")
    assert secured.poll(None)
    assert secured.recv_bytes() == b"#FAILURE#"
    assert secured.poll(None)
    with pytest.raises(EOFError):
        secured.recv_bytes()
    with pytest.raises(TypeError, match="another process"):
        pickle.dumps(secured)
    secured.close()
    assert secured.closed


def test_shutting_down_takes_the_server_down(ours: Files) -> None:
    manager = manager_of(ours)
    manager.start()
    process = manager._process
    manager.shutdown()
    assert process.exitcode == 0


def test_a_server_that_its_own_process_runs(ours: Files) -> None:
    source = """
        import sys, threading
        from manyhands.multiprocessing.managers import TLS, SyncManager

        cert, key = sys.argv[1:]
        tls = TLS(cert, key, ca=cert)
        server = SyncManager(("localhost", 0), b"k", tls=tls).get_server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        manager = SyncManager(server.address, b"k", tls=tls)
        manager.connect()
        print(manager.dict(a=1)["a"], "ssl" in sys.modules)
    """
    assert run_script(textwrap.dedent(source), *ours).split() == ["1", "True"]


def test_who_has_no_use_for_it_does_not_load_openssl() -> None:
    source = """
        import sys
        from manyhands.multiprocessing import managers

        print("ssl" in sys.modules)
    """
    assert run_script(textwrap.dedent(source)).split() == ["False"]


def test_what_is_of_no_use_is_refused(ours: Files, others: Files, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="together"):
        managers.TLS(cert=ours[0])
    host = ("127.0.0.1", 0)
    with pytest.raises(TypeError, match="TLS"):
        managers.BaseManager(host, KEY, tls=ours)
    good = managers.TLS(*ours, ca=ours[0])
    for address in (None, str(tmp_path / "socket")):
        with pytest.raises(ValueError, match="host, port"):
            managers.BaseManager(address, KEY, tls=good)
    with pytest.raises(ValueError, match="xmlrpclib"):
        managers.BaseManager(host, KEY, "xmlrpclib", tls=good)
    for tls in (managers.TLS(ca=ours[0]), managers.TLS(ours[0], others[1])):
        with pytest.raises(ValueError, match="certificate"):
            managers.BaseManager(host, KEY, tls=tls).start()
        with pytest.raises(ValueError, match="certificate"):
            managers.BaseManager(host, KEY, tls=tls).get_server()
    with pytest.raises(FileNotFoundError):
        managers.BaseManager(host, KEY, tls=managers.TLS("no", "file")).start()
    with pytest.raises(ValueError, match="no certificate"):
        managers.TLS(ca=ours[1]).connect(host)


def test_nothing_secret_is_in_what_is_pickled(client: Any, ours: Files) -> None:
    pickled = pickle.dumps(client.list())
    assert ours[0].encode() in pickled
    assert ours[1].encode() not in pickled
    assert KEY not in pickled
