"""Connections through other hosts, in one process."""

import threading

import pytest
from manyhands import paramiko


def run(client, command):
    _, stdout, _ = client.exec_command(command, timeout=30)
    return stdout.read().decode()


@pytest.fixture
def behind(start):
    """A server that only accepts another key."""
    server = start()
    (server.folder / "authorized").write_text((server.folder / "other.pub").read_text())
    return server


def test_hosts_by_name(server, start):
    first, second = start(), start()
    key = server.path("user")
    for other in (first, second):
        with open(other.folder / "authorized", "a") as file:
            file.write((server.folder / "user.pub").read_text())
    jumps = ",".join(f"{it.user}@127.0.0.1:{it.port}" for it in (first, second))
    with server.client(proxy_jump=jumps, key_filename=key) as client:
        # Who connects is the host before.
        assert run(client, "echo $SSH_CLIENT").startswith("127.0.0.1 ")
        inner = client.get_transport()
        outer = client._jump.get_transport()
        outermost = client._jump._jump.get_transport()
        assert [it.getpeername()[1] for it in (outer, outermost)] == [first.port] * 2
        assert outermost.sock.getpeername()[1] == first.port
        with client.open_sftp() as sftp:
            assert sftp.normalize("/") == "/"
    assert not any(it.is_active() for it in (inner, outer, outermost))
    for other in (first, second):
        assert "Accepted publickey" in other.log()


def test_none_is_no_host(server):
    with server.client(proxy_jump="none") as client:
        assert client._jump is None


def test_a_connection_that_is_there(server, client, behind):
    for jump in (client, client.get_transport()):
        with behind.client(proxy_jump=jump, key_filename=behind.path("other")) as far:
            assert run(far, "echo far") == "far\n"
        # It is the program's own.
        assert run(client, "echo near") == "near\n"


def test_a_channel_as_the_socket(client, behind):
    there = ("127.0.0.1", behind.port)
    channel = client.get_transport().open_channel("direct-tcpip", there, ("127.0.0.1", 0))
    threads = threading.active_count()
    far = behind.client(sock=channel, key_filename=behind.path("other"))
    # The engine has it; nothing is copied by threads of Python's.
    assert threading.active_count() == threads
    assert run(far, "echo far") == "far\n"
    far.close()
    assert channel.closed


def test_what_is_left_of_a_client_that_nobody_holds(server, behind):
    with open(behind.folder / "authorized", "a") as file:
        file.write((server.folder / "user.pub").read_text())
    jump = f"{server.user}@127.0.0.1:{server.port}"
    far = behind.client(proxy_jump=jump, key_filename=server.path("user"))
    _, stdout, _ = far.exec_command("sleep 0.1; echo late", timeout=30)
    del far
    assert stdout.read() == b"late\n"


def test_much_both_ways(client, behind):
    size = 24 << 20
    with behind.client(proxy_jump=client, key_filename=behind.path("other")) as far:
        stdin, stdout, _ = far.exec_command("cat", timeout=60)
        counted = []

        def count():
            total = 0
            while data := stdout.channel.recv(1 << 20):
                total += len(data)
            counted.append(total)

        reader = threading.Thread(target=count, daemon=True)
        reader.start()
        stdin.channel.sendall(bytes(size))
        stdin.channel.shutdown_write()
        reader.join(60)
        assert counted == [size]
    assert run(client, "echo near") == "near\n"


def test_the_end_of_the_host_between(server, start, behind):
    between = start()
    jump = between.client()
    far = behind.client(proxy_jump=jump, key_filename=behind.path("other"))
    _, stdout, _ = far.exec_command("echo here; sleep 60", timeout=30)
    assert stdout.readline() == "here\n"
    between.stop()
    assert stdout.read() == b""
    assert stdout.channel.recv_exit_status() == -1
    assert not far.get_transport().is_active()
    far.close()
    jump.close()


def test_errors_say_which_host(server, client, start, behind, free_port):
    near, far = f"127.0.0.1:{server.port}", f"127.0.0.1:{behind.port}"
    nobody = f"127.0.0.1:{free_port}"
    options = {"allow_agent": False, "look_for_keys": False, "timeout": 30}
    other = paramiko.SSHClient()
    other.set_missing_host_key_policy(paramiko.AutoAddPolicy)
    # The host to jump through does not let us in; it is not shown the password.
    with pytest.raises(
        paramiko.SSHException, match=f"No authentication methods available for {near}"
    ):
        other.connect(
            "127.0.0.1", behind.port, password="x", proxy_jump=f"{server.user}@{near}", **options
        )
    key = {"key_filename": server.path("other")}
    with pytest.raises(paramiko.AuthenticationException, match=f"{near} does not accept"):
        other.connect("127.0.0.1", behind.port, proxy_jump=near, **key, **options)
    assert other.get_transport() is None
    # It lets us in, and has no way to the other.
    with pytest.raises(paramiko.ChannelException, match=f"{near}.*connect to {nobody}"):
        other.connect("127.0.0.1", free_port, proxy_jump=client, **key, **options)
    # The one behind does not let us in.
    with pytest.raises(paramiko.AuthenticationException, match=f"{far} does not accept"):
        other.connect(
            "127.0.0.1",
            behind.port,
            proxy_jump=client,
            key_filename=server.path("user"),
            **options,
        )
    # Nor is it one that is known.
    with (
        paramiko.SSHClient() as stranger,
        pytest.raises(paramiko.SSHException, match=f"{behind.port}.*not found in known_hosts"),
    ):
        stranger.connect("127.0.0.1", behind.port, proxy_jump=client, **key, **options)
    other.close()


def test_what_is_no_way(server, client):
    with pytest.raises(ValueError, match="not both"):
        server.client(sock=object(), proxy_jump="one")
    with pytest.raises(ValueError, match="no host"):
        server.client(proxy_jump="one,,two")
    with pytest.raises(paramiko.SSHException, match="not there or not authenticated"):
        server.client(proxy_jump=paramiko.SSHClient())
    with pytest.raises(TypeError, match="SSHClient or Transport, not int"):
        server.client(proxy_jump=7)


def test_many_hosts_through_one(server, start, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    between = start()
    with open(between.folder / "authorized", "a") as file:
        file.write((server.folder / "user.pub").read_text())
    options = {"key_filename": server.path("user"), "allow_agent": False, "look_for_keys": False}
    options |= {"timeout": 30, "policy": paramiko.AutoAddPolicy}
    jump = f"{between.user}@127.0.0.1:{between.port}"
    hosts = [f"{server.user}@127.0.0.1:{server.port}"] * 8
    results = paramiko.run_many(hosts, "echo out", proxy_jump=jump, **options)
    assert [it.stdout for it in results] == [b"out\n"] * 8
    assert between.log().count("Accepted publickey") == 1
    with pytest.raises(OSError, match="port 1 "):
        paramiko.run_many(hosts, "true", proxy_jump="127.0.0.1:1", **options)


def test_the_configuration_tells_it():
    config = paramiko.SSHConfig.from_text("Host far\n ProxyJump ann@one:2222,two\n")
    assert config.lookup("far")["proxyjump"] == "ann@one:2222,two"
