"""`Transport` against an OpenSSH server."""

import os
import select
import signal
import socket
import threading
import time

import pytest
from manyhands import paramiko


def test_facts(server, transport):
    assert transport.is_active()
    assert transport.active
    assert transport.is_alive()
    assert transport.is_authenticated()
    assert transport.get_username() == server.user
    assert transport.remote_version.startswith("SSH-2.0-OpenSSH")
    assert transport.local_version.startswith("SSH-2.0-Manyhands")
    assert transport.getpeername() == ("127.0.0.1", server.port)
    assert transport.get_remote_server_key() == server.key("host")
    assert transport.host_key_type == "ssh-ed25519"
    assert transport.local_cipher == transport.remote_cipher == "aes128-gcm@openssh.com"
    assert "cipher aes128-gcm@openssh.com) (active" in repr(transport)
    assert transport.get_exception() is None
    transport.close()
    assert not transport.is_active()
    assert not transport.is_authenticated()
    assert "unconnected" in repr(transport)


@pytest.mark.parametrize("address", ["127.0.0.1:{}", ("127.0.0.1", "{}"), None])
def test_where_to(server, address):
    if address is None:
        address = socket.create_connection(("127.0.0.1", server.port))
    elif isinstance(address, tuple):
        address = ("127.0.0.1", server.port)
    else:
        address = address.format(server.port)
    with paramiko.Transport(address) as transport:
        transport.connect(server.key("host"), server.user, pkey=server.key())
        assert transport.is_authenticated()
        assert transport.sock.fileno() >= 0
    assert transport.sock.fileno() == -1


def test_nothing_there(free_port):
    with pytest.raises(paramiko.SSHException, match=r"Unable to connect to 127\.0\.0\.1"):
        paramiko.Transport(("127.0.0.1", free_port))


def test_another_host_key(server):
    with paramiko.Transport(("127.0.0.1", server.port)) as transport:
        with pytest.raises(paramiko.SSHException, match="Bad host key from server: expected"):
            transport.connect(server.key("other"), "nobody", "secret")
        assert not transport.is_active()


def test_what_comes_first(server):
    with paramiko.Transport(("127.0.0.1", server.port)) as transport:
        with pytest.raises(paramiko.SSHException, match="No existing session"):
            transport.auth_none("nobody")
        with pytest.raises(paramiko.SSHException, match="No existing session"):
            transport.get_remote_server_key()
        with pytest.raises(paramiko.SSHException, match="SSH session not active"):
            transport.open_session()
        assert transport.get_username() is None
        assert transport.get_banner() is None
        transport.start_client()
        with pytest.raises(paramiko.SSHException, match="begun before"):
            transport.start_client()
        with pytest.raises(paramiko.SSHException, match="not authenticated"):
            transport.open_session()


def test_banner(start, tmp_path):
    (tmp_path / "banner").write_text("Only for some.\n")
    server = start(f"Banner {tmp_path}/banner")
    with server.transport() as transport:
        transport.auth_publickey(server.user, server.key())
        assert transport.get_banner() == b"Only for some.\n"


def test_options(server):
    with paramiko.Transport(("127.0.0.1", server.port)) as transport:
        options = transport.get_security_options()
        assert options.ciphers[0] == "aes128-gcm@openssh.com"
        assert options.compression == ("none",)
        options.ciphers = ["aes256-ctr"]
        options.digests = ("hmac-sha2-512",)
        options.key_types = ("rsa-sha2-256",)
        options.kex = ("ecdh-sha2-nistp256",)
        options.compression = ["zlib@openssh.com"]
        with pytest.raises(ValueError, match="unknown algorithm 'rot13'"):
            options.ciphers = ("aes256-ctr", "rot13")
        with pytest.raises(TypeError):
            options.kex = "ecdh-sha2-nistp256"
        transport.connect(username=server.user, pkey=server.key())
        assert transport.local_cipher == "aes256-ctr"
        assert transport.local_mac == "hmac-sha2-512"
        assert transport.host_key_type == "rsa-sha2-256"
        with transport.open_session() as channel:
            channel.exec_command("echo it works")
            assert channel.makefile().read() == b"it works\n"


def test_kinds_of_channels(server, transport):
    with transport.open_channel("direct-tcpip", ("127.0.0.1", server.port)) as channel:
        assert channel.recv(4) == b"SSH-"
    with pytest.raises(paramiko.ChannelException) as caught:
        transport.open_channel("direct-tcpip", ("127.0.0.1", 1), ("127.0.0.1", 0))
    assert caught.value.code == 2
    with pytest.raises(paramiko.ChannelException, match="refused by the server"):
        transport.open_x11_channel(("127.0.0.1", 6000))
    with pytest.raises(paramiko.ChannelException, match="opens no 'odd' channels"):
        transport.open_channel("odd")
    with pytest.raises(paramiko.SSHException, match="needs a dest_addr"):
        transport.open_channel("direct-tcpip")


def test_it_looks_like_a_thread(server):
    transport = paramiko.Transport(("127.0.0.1", server.port))
    with pytest.raises(RuntimeError, match="was not begun"):
        transport.join()
    transport.setDaemon(True)
    transport.setName("mine")
    assert (transport.isDaemon(), transport.getName()) == (True, "mine")
    transport.start_client(timeout=30)
    transport.join(0)
    transport.join(0.01)
    assert transport.is_alive()
    waiter = threading.Thread(target=transport.join, daemon=True)
    waiter.start()
    transport.close()
    waiter.join(30)
    assert not waiter.is_alive()
    transport.join()


def test_too_many_sessions(start):
    server = start("MaxSessions 2")
    with server.client() as client:
        transport = client.get_transport()
        channels = [transport.open_session(), transport.open_session()]
        words = rf"127.0.0.1:{server.port}: .*refused by the server.*no more sessions.*MaxSessions"
        for attempt in (transport.open_session, client.open_sftp):
            with pytest.raises(paramiko.ChannelException, match=words):
                attempt()
        with pytest.raises(paramiko.ChannelException, match=words):
            client.exec_command("true")
        channels[0].exec_command("echo the others go on")
        assert channels[0].makefile().read() == b"the others go on\n"
        channels[0].close()
        # As soon as the server has noticed there is room again.
        end = time.monotonic() + 30
        while True:
            try:
                _, stdout, _ = client.exec_command("echo again")
                break
            except paramiko.ChannelException:
                assert time.monotonic() < end
                time.sleep(0.01)
        assert stdout.read() == b"again\n"


def test_forwarding(transport):
    chosen = transport.request_port_forward("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", chosen)) as outside:
        channel = transport.accept(30)
        assert channel.origin_addr == outside.getsockname()
        outside.sendall(b"in")
        assert channel.recv(10) == b"in"
        channel.sendall(b"out")
        assert outside.recv(10) == b"out"
        channel.close()
        assert outside.recv(10) == b""
    assert transport.accept(0.01) is None
    transport.cancel_port_forward("127.0.0.1", chosen)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", chosen))
    with pytest.raises(paramiko.SSHException, match="did not accept"):
        transport.cancel_port_forward("127.0.0.1", chosen)


def test_forwarding_to_a_handler(transport, free_port):
    seen = []

    def handle(channel, origin, server):
        seen.append((origin, server))
        channel.sendall(b"handled")
        channel.close()

    assert transport.request_port_forward("127.0.0.1", free_port, handle) == free_port
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", free_port)) as outside:
            name = outside.getsockname()
            assert outside.recv(100) == b"handled"
            assert outside.recv(100) == b""
        assert seen.pop() == (name, ("127.0.0.1", free_port))


def test_a_handler_that_fails(transport, caplog):
    chosen = transport.request_port_forward("127.0.0.1", 0, lambda *_: 1 / 0)
    with socket.create_connection(("127.0.0.1", chosen)) as outside:
        assert outside.recv(100) == b""
    assert "ZeroDivisionError" in caplog.text
    assert transport.is_active()


def test_accept_ends_with_the_connection(transport):
    transport.request_port_forward("127.0.0.1", 0)
    threading.Timer(0.05, transport.close).start()
    assert transport.accept() is None
    assert transport.accept() is None


def test_forwarding_that_is_refused(start):
    server = start("AllowTcpForwarding no")
    with server.client() as client:
        with pytest.raises(paramiko.SSHException, match=r"port forwarding.*did not accept"):
            client.get_transport().request_port_forward("127.0.0.1", 0)
        with pytest.raises(paramiko.ChannelException, match="prohibited"):
            client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", server.port))


def test_requests(transport):
    assert transport.global_request("nothing@example.org", ("text", 1, True)) is None
    assert transport.global_request("nothing@example.org", wait=False) is None
    transport.send_ignore()
    transport.send_ignore(1000)
    transport.renegotiate_keys()
    with transport.open_session() as channel:
        channel.exec_command("echo still")
        assert channel.makefile().read() == b"still\n"
    transport.close()
    with pytest.raises(paramiko.SSHException, match="SSH session not active"):
        transport.send_ignore()


def test_keepalive_notices_a_server_that_is_stopped(start):
    server = start()
    with server.client() as client:
        transport = client.get_transport()
        transport.set_keepalive(0.05)
        channel = transport.open_session()
        channel.exec_command("sleep 60")
        server.send(signal.SIGSTOP)
        assert channel.recv_exit_status() == -1
        assert "no sign of life" in str(transport.get_exception())
        server.send(signal.SIGCONT)


def test_keepalive_may_be_set_before_the_start(start):
    server = start()
    transport = paramiko.Transport(("127.0.0.1", server.port))
    transport.set_keepalive(0.05)
    with transport:
        transport.start_client(timeout=30)
        server.send(signal.SIGSTOP)
        try:
            end = time.monotonic() + 30
            while transport.is_active():
                assert time.monotonic() < end
                time.sleep(0.01)
        finally:
            server.send(signal.SIGCONT)


def test_keepalive(transport):
    transport.set_keepalive(0.5)
    with transport.open_session() as channel:
        channel.exec_command("sleep 1.2; echo alive")
        assert channel.makefile().read() == b"alive\n"
    transport.set_keepalive(0)


def test_timeouts(server):
    with server.client() as client:
        server.send(signal.SIGSTOP)
        try:
            with pytest.raises(paramiko.SSHException, match="opening a channel: timed out"):
                client.get_transport().open_session(timeout=0.05)
            with pytest.raises(paramiko.SSHException, match="timed out"):
                client.exec_command("true", timeout=0.05)
        finally:
            server.send(signal.SIGCONT)
    with server.transport() as transport:
        transport.auth_timeout = 0.05
        server.send(signal.SIGSTOP)
        try:
            with pytest.raises(paramiko.AuthenticationException, match="Authentication timeout"):
                transport.auth_publickey(server.user, server.key())
        finally:
            server.send(signal.SIGCONT)


def test_interrupts(transport):
    class Interrupted(Exception):
        pass

    def interrupt(number, frame):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with transport.open_session() as channel:
            channel.exec_command("cat")
            for wait in (
                lambda: channel.recv(1),
                channel.recv_exit_status,
                lambda: channel.sendall(bytes(1 << 30)),
                lambda: transport.accept(),
            ):
                timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
                timer.start()
                began = time.monotonic()
                with pytest.raises(Interrupted):
                    wait()
                assert time.monotonic() - began < 30
                timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_forks(server, transport):
    """A child's copy is of no use, and closing it does not end the parent's; connections of its
    own work."""
    with transport.open_session() as channel:
        channel.exec_command("cat")
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            told = b""
            try:
                signal.alarm(30)
                assert not transport.is_active()
                with pytest.raises(paramiko.SSHException):
                    transport.open_session()
                with pytest.raises(OSError, match="parent process"):
                    channel.send(b"x")
                channel.close()
                transport.close()
                with server.client() as client:
                    told = client.exec_command("echo child")[1].read()
            except BaseException as error:
                told = repr(error).encode()
            finally:
                os.write(into, told)
                os._exit(0)
        os.close(into)
        assert select.select([out], [], [], 30)[0]
        assert os.read(out, 1000) == b"child\n"
        os.close(out)
        os.waitpid(child, 0)
        channel.sendall(b"parent")
        assert channel.recv(100) == b"parent"


def test_nothing_is_left_of_what_nobody_holds(server):
    """The connection goes with the last that needs it."""
    before = len(server.tree())
    transport = server.transport()
    transport.auth_publickey(server.user, server.key())
    channel = transport.open_session()
    del transport
    channel.exec_command("echo kept")
    assert channel.makefile().read() == b"kept\n"
    del channel
    end = time.monotonic() + 30
    while len(server.tree()) > before:
        assert time.monotonic() < end


def test_what_is_not_offered(transport):
    for call in (transport.start_server, transport.add_server_key, transport.load_server_moduli):
        with pytest.raises(NotImplementedError, match="server side"):
            call()
    with pytest.raises(NotImplementedError, match="GSSAPI"):
        paramiko.Transport(("127.0.0.1", 1), gss_kex=True)
    with pytest.raises(NotImplementedError, match="packets"):
        transport.set_hexdump(True)
    assert transport.get_hexdump() is False


def test_keys_are_exchanged_after_as_many_bytes_as_a_program_says(start):
    server = start("LogLevel DEBUG1")
    with server.transport() as transport:
        packetizer = transport.packetizer
        transport.auth_publickey(server.user, server.key())
        assert packetizer.REKEY_BYTES == 1 << 29
        channel = transport.open_session()
        channel.exec_command("head -c 8M /dev/zero")
        while channel.recv(1 << 20):
            pass
        assert server.log().count("SSH2_MSG_NEWKEYS received") == 1
        packetizer.REKEY_BYTES = 1 << 20
        channel = transport.open_session()
        channel.exec_command("head -c 8M /dev/zero")
        size = 0
        while data := channel.recv(1 << 20):
            size += len(data)
        assert size == 8 << 20
        with pytest.raises(ValueError, match="more than 0"):
            packetizer.REKEY_BYTES = 0
        with pytest.raises(AttributeError):
            packetizer.send_message = None
    exchanges = server.log().count("SSH2_MSG_NEWKEYS received")
    # What was under way when one was asked for counts, too.
    assert 3 <= exchanges <= 9
