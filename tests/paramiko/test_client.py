"""`SSHClient` against an OpenSSH server."""

import getpass
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from manyhands import paramiko
from manyhands.paramiko.ssh_exception import NoValidConnectionsError


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sshd")
    folder.chmod(0o700)
    for name in ("host", "user", "other"):
        command = ["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", folder / name]
        subprocess.run(command, check=True, timeout=30)
    shutil.copy(folder / "user.pub", folder / "authorized")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    (folder / "config").write_text(
        f"HostKey {folder}/host\nListenAddress 127.0.0.1:{port}\n"
        f"AuthorizedKeysFile {folder}/authorized\nSetEnv HOME={folder}\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxSessions 50\nAcceptEnv FRUIT\n"
    )
    with open(folder / "log", "w") as log:
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", folder / "config"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.01)
    yield folder, port
    process.kill()
    process.wait(30)


def connect(server, key="user", policy=paramiko.AutoAddPolicy):
    folder, port = server
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(policy)
    connection = {"allow_agent": False, "look_for_keys": False, "timeout": 30}
    user, file = getpass.getuser(), str(folder / key)
    try:
        client.connect("127.0.0.1", port, user, key_filename=file, **connection)
    except BaseException:
        client.close()
        raise
    return client


@pytest.fixture
def client(server):
    with connect(server) as client:
        yield client


def test_exec(client):
    stdin, stdout, stderr = client.exec_command("cat; echo bad >&2; exit 7", timeout=30)
    stdin.write("one\ntwo\n")
    stdin.close()
    assert stdout.readlines() == ["one\n", "two\n"]
    assert stderr.read() == b"bad\n"
    assert stdout.channel.recv_exit_status() == 7


def test_exit_status_before_much_output(client):
    _, stdout, stderr = client.exec_command("head -c 5242880 /dev/zero >&2; echo done", timeout=60)
    assert stdout.channel.recv_exit_status() == 0
    assert stdout.read() == b"done\n"
    assert len(stderr.read()) == 5 << 20


def test_terminal_and_environment(client):
    _, stdout, _ = client.exec_command("tty", get_pty=True, timeout=30)
    assert stdout.read().startswith(b"/dev/")
    _, stdout, _ = client.exec_command("echo $FRUIT", environment={"FRUIT": "fig"}, timeout=30)
    assert stdout.read() == b"fig\n"


def test_timeout(client):
    _, stdout, _ = client.exec_command("sleep 60", timeout=0.1)
    with pytest.raises(socket.timeout):
        stdout.read()


def test_unknown_host(server):
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        connect(server, policy=paramiko.RejectPolicy)


def test_changed_host_key(server):
    folder, port = server
    with paramiko.SSHClient() as client:
        other = paramiko.Ed25519Key.from_private_key_file(str(folder / "other"))
        client.get_host_keys().add(f"[127.0.0.1]:{port}", "ssh-ed25519", other)
        with pytest.raises(paramiko.BadHostKeyException):
            client.connect("127.0.0.1", port, "nobody", password="x", timeout=30)


def test_wrong_key(server):
    with pytest.raises(paramiko.AuthenticationException):
        connect(server, key="other")


def test_no_server():
    with paramiko.SSHClient() as client, pytest.raises(NoValidConnectionsError):
        client.connect("127.0.0.1", free_port(), timeout=30)


def test_threads(client):
    results = []

    def run(number):
        _, stdout, _ = client.exec_command(f"echo {number}", timeout=60)
        results.append(int(stdout.read()))

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == list(range(20))


def test_jump(server, client):
    folder, port = server
    hop = client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", port), timeout=30)
    with paramiko.SSHClient() as second:
        second.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        key = paramiko.PKey.from_path(folder / "user")
        second.connect("inside", 22, getpass.getuser(), pkey=key, sock=hop, timeout=30)
        _, stdout, _ = second.exec_command("echo there", timeout=30)
        assert stdout.read() == b"there\n"
