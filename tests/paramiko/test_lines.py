"""Slow lines, long outputs, and keys that are exchanged in the middle of them."""

import itertools
import os
import re
from pathlib import Path

import pytest
from slowlink import SlowLink
from sshd import Server

ALL = bool(os.environ.get("MANYHANDS_TEST_ALL"))

#: 2 GiB take some seconds.
LONG = (2 << 30) if ALL else 200 << 20

#: As much of a file as other clients have in a packet.
PACKET = 32 << 10


def near(link, server):
    """A client that is connected through the link."""
    port, server.port = server.port, link.port
    try:
        return server.client()
    finally:
        server.port = port


@pytest.fixture(params=[0.01, 0.05], ids=["10 ms", "50 ms"])
def link(server, request):
    link = SlowLink(server.port, request.param)
    yield link
    link.close()


def trips(link, work):
    """How many round trips something takes."""
    before = link.trips
    work()
    return link.trips - before


def test_slow_lines(server, link, tmp_path):
    content = os.urandom(4 << 20)
    local, back, remote = tmp_path / "local", tmp_path / "back", server.path("slow")
    local.write_bytes(content)

    def command():
        _, stdout, _ = client.exec_command("echo out", timeout=30)
        assert stdout.read() == b"out\n"
        assert stdout.channel.recv_exit_status() == 0

    def put():
        sftp.put(str(local), remote)

    def get():
        sftp.get(remote, str(back))
        assert back.read_bytes() == content

    def read():
        with sftp.open(remote) as file:
            assert file.read() == content

    def write():
        with sftp.open(remote, "wb") as file:
            for start in range(0, len(content), PACKET):
                file.write(content[start : start + PACKET])
        assert Path(remote).read_bytes() == content

    def many():
        pairs = [(remote, tmp_path / str(number)) for number in range(50)]
        assert sftp.get_many(pairs) == [10] * 50

    with near(link, server) as client:
        assert link.trips <= 8
        assert trips(link, command) <= 3
        with client.open_sftp() as sftp:
            # Of each there are 128 packets; the server takes no more than 64 of them at a time.
            for work in (put, get, read, write):
                assert trips(link, work) <= 16, work
            Path(remote).write_bytes(b"0123456789")
            assert trips(link, many) <= 16
    Path(remote).unlink()


def resident():
    """Bytes of memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10


@pytest.mark.patience(300)
def test_long_output_takes_little_memory(client):
    _, stdout, _ = client.exec_command(f"head -c {LONG} /dev/zero", timeout=60)
    before = resident()
    total = most = 0
    while data := stdout.channel.recv(1 << 20):
        total += len(data)
        most = max(most, resident())
    assert total == LONG
    assert most - before < 100 << 20
    assert stdout.channel.recv_exit_status() == 0


@pytest.mark.patience(300)
def test_long_output_that_nobody_reads_takes_little_memory(client):
    size = LONG // 4
    before = resident()
    _, stdout, stderr = client.exec_command(f"head -c {size} /dev/zero >&2; echo out", timeout=60)
    # That other output and the exit status do not wait for it.
    assert stdout.read() == b"out\n"
    assert stdout.channel.recv_exit_status() == 0
    assert resident() - before < 100 << 20
    total = 0
    while data := stderr.channel.recv_stderr(1 << 20):
        total += len(data)
    assert total == size


@pytest.fixture
def restless(tmp_path, runtime):
    """A server that wants new keys after each MiB."""
    folder = tmp_path / "restless"
    folder.mkdir()
    server = Server(folder, "RekeyLimit 1M", "LogLevel DEBUG1")
    yield server
    server.stop()


def exchanges(server):
    return server.log().count("SSH2_MSG_NEWKEYS received")


def test_keys_change_in_the_middle(restless, tmp_path):
    content = os.urandom(10 << 20)
    local, back, remote = tmp_path / "local", tmp_path / "back", restless.path("remote")
    local.write_bytes(content)
    with restless.client() as client:
        counts = [exchanges(restless)]
        _, stdout, _ = client.exec_command(f"cat {local}", timeout=30)
        assert stdout.read() == content
        counts.append(exchanges(restless))
        stdin, stdout, _ = client.exec_command("cat", timeout=30)
        stdin.channel.sendall(content)
        stdin.channel.shutdown_write()
        assert stdout.read() == content
        counts.append(exchanges(restless))
        with client.open_sftp() as sftp:
            sftp.put(str(local), remote)
            counts.append(exchanges(restless))
            sftp.get(remote, str(back))
            counts.append(exchanges(restless))
        assert back.read_bytes() == Path(remote).read_bytes() == content
    # In each of them, and more than once.
    assert all(after - before > 1 for before, after in itertools.pairwise(counts))


def test_both_sides_want_new_keys_in_the_middle(restless):
    content = os.urandom(6 << 20)
    with restless.client() as client:
        stdin, stdout, _ = client.exec_command("cat", timeout=30)
        for start in range(0, len(content), 1 << 20):
            stdin.channel.sendall(content[start : start + (1 << 20)])
            client.get_transport().renegotiate_keys()
        stdin.channel.shutdown_write()
        assert stdout.read() == content
