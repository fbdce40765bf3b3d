"""`SSHClient` against an OpenSSH server: connections, known hosts, commands."""

import socket
import threading
import warnings

import pytest
from manyhands import paramiko
from manyhands.paramiko.ssh_exception import NoValidConnectionsError


def run(client, command, **options):
    _, stdout, _ = client.exec_command(command, timeout=30, **options)
    return stdout.read().decode()


def test_exec(client):
    stdin, stdout, stderr = client.exec_command("cat; echo bad >&2; exit 7", timeout=30)
    stdin.write("one\ntwo\n")
    stdin.close()
    assert stdout.readlines() == ["one\n", "two\n"]
    assert stderr.read() == b"bad\n"
    assert stdout.channel.recv_exit_status() == 7
    assert stdout.channel.gettimeout() == 30


def test_input_that_nobody_holds_any_more_has_ended(client):
    _, stdout, _ = client.exec_command("cat; echo end", timeout=30)
    assert stdout.read() == b"end\n"


def test_exit_status_before_much_output(client):
    _, stdout, stderr = client.exec_command("head -c 5242880 /dev/zero >&2; echo done", timeout=60)
    assert stdout.channel.recv_exit_status() == 0
    assert stdout.read() == b"done\n"
    assert len(stderr.read()) == 5 << 20


def test_much_standard_error_while_standard_output_is_read(client):
    command = "head -c 5242880 /dev/zero >&2; echo between; head -c 5242880 /dev/zero >&2"
    _, stdout, stderr = client.exec_command(command, timeout=60)
    assert stdout.read() == b"between\n"
    assert len(stderr.read()) == 10 << 20


def test_terminal_and_environment(client):
    assert run(client, "tty", get_pty=True).startswith("/dev/")
    assert run(client, "echo $FRUIT", environment={"FRUIT": "fig"}) == "fig\n"
    # One that the server does not take.
    assert run(client, "echo -$DRINK", environment={b"DRINK": b"tea"}) == "-\n"
    both = run(client, "tty; echo $FRUIT", get_pty=True, environment={"FRUIT": "fig"})
    assert both.endswith("\r\nfig\r\n")


def test_buffered_output(client):
    _, stdout, _ = client.exec_command("printf 'one\\ntwo\\nthree'", bufsize=16, timeout=30)
    assert list(stdout) == ["one\n", "two\n", "three"]


def test_shell(client):
    channel = client.invoke_shell(term="dumb", width=100, height=30)
    channel.settimeout(30)
    channel.sendall("stty size; exit 3\n")
    output = channel.makefile("rb").read()
    assert b"30 100" in output
    assert channel.recv_exit_status() == 3


def test_timeout(client):
    _, stdout, _ = client.exec_command("sleep 60", timeout=0.1)
    with pytest.raises(socket.timeout):
        stdout.read()


def test_threads(client):
    results = {}

    def work(number):
        results[number] = run(client, f"echo {number}")

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == {number: f"{number}\n" for number in range(50)}


def test_after_close(server):
    client = server.client()
    _, stdout, _ = client.exec_command("echo left; sleep 60", timeout=30)
    assert stdout.readline() == "left\n"
    client.close()
    assert stdout.read() == b""
    assert stdout.channel.recv_exit_status() == -1
    assert client.get_transport() is None
    with pytest.raises(paramiko.SSHException, match="not connected"):
        client.exec_command("true")
    client.close()


def test_a_client_connects_again(server, client):
    first = client.get_transport()
    client.connect("127.0.0.1", server.port, server.user, pkey=server.key(), look_for_keys=False)
    assert not first.is_active()
    assert run(client, "echo again") == "again\n"


def test_files_keep_the_connection(server):
    _, stdout, _ = server.client().exec_command("sleep 0.1; echo late", timeout=30)
    assert stdout.read() == b"late\n"


def test_unknown_hosts_are_refused(server):
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        server.client(policy=paramiko.RejectPolicy)
    with paramiko.SSHClient() as client:
        with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
            client.connect("127.0.0.1", server.port, "nobody", "secret")
        assert client.get_transport() is None


def test_warnings_about_unknown_hosts(server):
    with pytest.warns(UserWarning, match="Unknown ssh-ed25519 host key"):
        server.client(policy=paramiko.WarningPolicy()).close()


def test_known_hosts(server, tmp_path):
    file = tmp_path / "known_hosts"
    file.write_text("")
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(file))
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        options = {"pkey": server.key(), "look_for_keys": False, "allow_agent": False}
        client.connect("127.0.0.1", server.port, server.user, **options)
    name = f"[127.0.0.1]:{server.port}"
    assert file.read_text().startswith(f"{name} ssh-ed25519 ")
    for load in (paramiko.SSHClient.load_host_keys, paramiko.SSHClient.load_system_host_keys):
        with paramiko.SSHClient() as client:
            load(client, str(file))
            client.connect("127.0.0.1", server.port, server.user, **options)
            assert run(client, "echo known") == "known\n"


def test_the_known_key_is_asked_for(server):
    with paramiko.SSHClient() as client:
        key = server.key("host_rsa")
        client.get_host_keys().add(f"[127.0.0.1]:{server.port}", "ssh-rsa", key)
        client.connect("127.0.0.1", server.port, server.user, pkey=server.key(), timeout=30)
        assert client.get_transport().get_remote_server_key() == key
        assert client.get_transport().host_key_type == "rsa-sha2-512"


def test_a_revoked_key_is_refused(server, tmp_path):
    file = tmp_path / "known_hosts"
    name, key = f"[127.0.0.1]:{server.port}", server.key("host")
    line = f"{name} {key.get_name()} {key.get_base64()}\n"
    for lines in (line + "@revoked * " + line.partition(" ")[2], "@revoked " + line):
        file.write_text(lines)
        with paramiko.SSHClient() as client:
            client.load_system_host_keys(str(file))
            # Nor is it one that is not known.
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
            with pytest.raises(paramiko.SSHException, match=f"{server.port}: .* is revoked"):
                client.connect("127.0.0.1", server.port, server.user, password="x")
            assert client.get_transport() is None


def test_a_host_may_have_two_keys_of_a_type(server, tmp_path):
    file = tmp_path / "known_hosts"
    keys = (server.key("other"), server.key("host"))
    lines = [f"[127.0.0.1]:{server.port} {it.get_name()} {it.get_base64()}\n" for it in keys]
    file.write_text("".join(lines))
    with paramiko.SSHClient() as client:
        client.load_system_host_keys(str(file))
        client.connect("127.0.0.1", server.port, server.user, pkey=server.key(), allow_agent=False)
        assert run(client, "echo known") == "known\n"


def test_changed_host_key(server):
    with paramiko.SSHClient() as client:
        name = f"[127.0.0.1]:{server.port}"
        client.get_host_keys().add(name, "ssh-ed25519", server.key("other"))
        with pytest.raises(paramiko.BadHostKeyException) as caught:
            client.connect("127.0.0.1", server.port, "nobody", password="x", timeout=30)
        assert caught.value.key == server.key("host")
        assert caught.value.expected_key == server.key("other")
        assert client.get_transport() is None


def test_no_server(free_port):
    with paramiko.SSHClient() as client:
        with pytest.raises(NoValidConnectionsError, match=f"port {free_port} on 127.0.0.1"):
            client.connect("127.0.0.1", free_port, timeout=30)
        with pytest.raises(socket.gaierror):
            client.connect("host.invalid", timeout=30)


def test_a_server_that_says_nothing(runtime):
    with socket.create_server(("127.0.0.1", 0)) as silent, paramiko.SSHClient() as client:
        port = silent.getsockname()[1]
        with pytest.raises(paramiko.SSHException, match=f"SSH protocol banner: 127.0.0.1:{port}"):
            client.connect("127.0.0.1", port, banner_timeout=0.05)
        with pytest.raises(paramiko.SSHException, match="timed out"):
            client.connect("127.0.0.1", port, timeout=0.05)


def test_a_server_that_is_none(runtime):
    with socket.create_server(("127.0.0.1", 0)) as other, paramiko.SSHClient() as client:

        def answer():
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(paramiko.SSHException, match=r"127\.0\.0\.1.*handshake"):
            client.connect(*other.getsockname(), timeout=30)
        thread.join()


def test_what_is_not_offered(server):
    with paramiko.SSHClient() as client, pytest.raises(NotImplementedError, match="GSSAPI"):
        client.connect("127.0.0.1", server.port, gss_auth=True)


@pytest.mark.parametrize(
    ("kind", "all_of_them"),
    [
        ("ciphers", "preferred_ciphers"),
        ("kex", "preferred_kex"),
        ("keys", "preferred_keys"),
    ],
)
def test_disabled_algorithms(server, kind, all_of_them):
    names = list(getattr(paramiko.Transport, f"_{all_of_them}"))
    with pytest.raises(paramiko.IncompatiblePeer, match="is left to be offered"):
        server.client(disabled_algorithms={kind: names})
    first = names[0]
    with server.client(disabled_algorithms={kind: [first]}) as client:
        transport = client.get_transport()
        assert first not in getattr(transport, all_of_them)
        assert first not in (transport.local_cipher, transport.host_key_type)
        assert run(client, "echo other") == "other\n"


def test_compression(server):
    with server.client(compress=True) as client:
        assert run(client, "head -c 100000 /dev/zero | wc -c") == "100000\n"


def test_a_factory_and_timeouts(server):
    made = []

    class Mine(paramiko.Transport):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            made.append(self)

    options = {"banner_timeout": 21, "auth_timeout": 22, "channel_timeout": 23}
    with server.client(transport_factory=Mine, **options) as client:
        assert made == [client.get_transport()]
        for name, seconds in options.items():
            assert getattr(made[0], name) == seconds


def test_jump(server, client):
    hop = client.get_transport().open_channel(
        "direct-tcpip", ("127.0.0.1", server.port), ("127.0.0.1", 0), timeout=30
    )
    with paramiko.SSHClient() as second:
        second.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        second.connect("inside", 22, server.user, pkey=server.key(), sock=hop, timeout=30)
        assert run(second, "echo there") == "there\n"


def test_proxy_command(server):
    with warnings.catch_warnings():
        # What it has started is waited for by nobody.
        warnings.simplefilter("ignore", ResourceWarning)
        proxy = paramiko.ProxyCommand(
            f"ssh -q -F none -o BatchMode=yes -o StrictHostKeyChecking=no"
            f" -o UserKnownHostsFile=/dev/null -i {server.path('user')} -p {server.port}"
            f" -W 127.0.0.1:{server.port} {server.user}@127.0.0.1"
        )
        with server.client(sock=proxy) as client:
            assert run(client, "echo through") == "through\n"
        proxy.process.wait(30)
        for pipe in (proxy.process.stdin, proxy.process.stdout, proxy.process.stderr):
            pipe.close()


def test_sockets_that_are_only_like_one(server):
    class Like:
        def __init__(self, sock):
            self.sock = sock
            self.send, self.recv = sock.send, sock.recv

        def close(self):
            self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()

    sock = socket.create_connection(("127.0.0.1", server.port))
    with server.client(sock=Like(sock)) as client:
        assert client.get_transport().getpeername() == ("unknown", 0)
        assert run(client, "echo like") == "like\n"


def test_logs(server, caplog):
    caplog.set_level("DEBUG")
    with paramiko.SSHClient() as client:
        client.set_log_channel("mine.ssh")
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        client.connect("127.0.0.1", server.port, server.user, pkey=server.key(), timeout=30)
        assert client.get_transport().get_log_channel() == "mine.ssh"
    assert "OpenSSH" in next(r.getMessage() for r in caplog.records if r.name == "mine.ssh")
