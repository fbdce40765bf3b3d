"""Channels and their files."""

import select
import socket
import threading
import time

import pytest
from manyhands import paramiko


@pytest.fixture
def session(transport):
    """A channel on which nothing runs yet."""
    with transport.open_session(timeout=30) as channel:
        channel.settimeout(30)
        yield channel


def test_outputs_and_status(session):
    session.exec_command("printf abc; printf de >&2; exit 5")
    assert session.recv_exit_status() == 5
    assert session.exit_status_ready()
    assert session.exit_status == 5
    assert session.status_event.wait(0)
    assert session.recv_ready()
    assert session.recv(2) == b"ab"
    assert session.recv(100) == b"c"
    assert session.recv(100) == b""
    assert not session.recv_ready()
    assert session.recv_stderr_ready()
    assert session.recv_stderr(100) == b"de"
    assert session.recv_stderr(100) == b""
    assert session.eof_received


def test_before_the_end(session):
    session.exec_command("cat")
    assert not session.exit_status_ready()
    assert session.exit_status == -1
    assert not session.status_event.wait(0.01)
    assert not session.recv_ready()
    assert not session.closed
    assert session.active
    session.shutdown_write()
    assert session.recv_exit_status() == 0


def test_ends_by_signals(session):
    session.exec_command("kill -TERM $$")
    assert session.recv_exit_status() == -1


def test_input(session):
    session.exec_command("cat")
    assert session.send_ready()
    assert session.send("text") == 4
    session.sendall(b"bytes" * 1000)
    session.sendall(memoryview(b"view"))
    session.sendall(bytearray(b"!"))
    session.shutdown_write()
    assert session.makefile("rb").read() == b"text" + b"bytes" * 1000 + b"view!"
    with pytest.raises(OSError, match="closed"):
        session.send(b"more")


def test_much_both_ways(session):
    session.exec_command("cat")
    data = bytes(range(256)) * (16 << 12)
    thread = threading.Thread(target=lambda: (session.sendall(data), session.shutdown_write()))
    thread.start()
    assert session.makefile("rb").read() == data
    thread.join(30)


def test_combined_outputs(session):
    assert session.set_combine_stderr(True) is False
    session.exec_command("echo one >&2; echo two")
    assert sorted(session.makefile().readlines()) == ["one\n", "two\n"]
    assert session.recv_stderr(10) == b""
    assert session.set_combine_stderr(False) is True


def test_timeouts(session):
    assert session.gettimeout() == 30
    session.exec_command("cat")
    session.settimeout(0.01)
    for wait in (lambda: session.recv(1), lambda: session.recv_stderr(1)):
        with pytest.raises(socket.timeout):
            wait()
    session.setblocking(False)
    assert session.gettimeout() == 0
    with pytest.raises(socket.timeout):
        session.recv(1)
    session.setblocking(True)
    assert session.gettimeout() is None


def test_a_server_that_does_not_read(session):
    session.exec_command("sleep 60")
    session.settimeout(0.2)
    assert session.send_ready()
    with pytest.raises(socket.timeout):
        session.sendall(bytes(64 << 20))
    assert not session.send_ready()
    session.close()
    assert session.send_ready()


def test_select(transport):
    # Its descriptor goes when it does.
    session = transport.open_session()
    session.exec_command("read line; echo $line; read line")
    assert not select.select([session], [], [], 0)[0]
    session.sendall("ready\n")
    assert select.select([session], [], [], 30)[0]
    assert session.recv(100) == b"ready\n"
    assert not select.select([session], [], [], 0)[0]
    session.sendall("end\n")
    assert select.select([session], [], [], 30)[0]
    assert session.recv(100) == b""


def test_terminals(session):
    session.get_pty("xterm", 90, 20)
    session.exec_command("stty size; read line; stty size; echo $TERM")
    output = session.makefile("rb")
    assert output.readline() == b"20 90\r\n"
    session.resize_pty(111, 33)
    session.sendall("\n")
    assert output.read().split() == [b"33", b"111", b"xterm"]


def test_environment(session):
    session.set_environment_variable("FRUIT", "date")
    session.exec_command("echo $FRUIT")
    assert session.makefile().read() == b"date\n"


def test_refusals(session, transport):
    with pytest.raises(paramiko.SSHException, match="did not accept the subsystem"):
        session.invoke_subsystem("none")
    assert session.closed
    for call in (session.invoke_shell, session.get_pty, lambda: session.exec_command("true")):
        with pytest.raises(paramiko.SSHException, match="Channel is not open"):
            call()
    with pytest.raises(NotImplementedError, match="server side"):
        session.send_exit_status(0)


def test_names(session, transport):
    assert session.get_id() == session.chanid
    assert session.get_name() == str(session.chanid)
    session.set_name("mine")
    assert session.get_name() == "mine"
    assert session.get_transport() is transport
    assert session.getpeername() == transport.getpeername()
    assert repr(session).startswith(f"<paramiko.Channel {session.chanid} (open) -> <paramiko.Tr")
    session.close()
    assert "(closed)" in repr(session)


def test_close_wakes_readers(session):
    session.exec_command("cat")
    results = []
    readers = [
        threading.Thread(target=lambda: results.append(session.recv(1))),
        threading.Thread(target=lambda: results.append(session.recv_stderr(1))),
        threading.Thread(target=lambda: results.append(session.recv_exit_status())),
    ]
    for reader in readers:
        reader.start()
    # None of them has anything to read, whenever they begin.
    session.close()
    for reader in readers:
        reader.join(30)
    assert sorted(map(repr, results)) == ["-1", "b''", "b''"]


def test_shutdown(session):
    session.exec_command("cat; echo more")
    session.shutdown(socket.SHUT_RDWR)
    assert session.eof_sent
    assert session.eof_received
    assert session.recv_exit_status() == 0


def test_files(session):
    session.exec_command("cat; printf 'last' >&2")
    stdin = session.makefile_stdin("wb")
    stdin.write("one\r\n")
    stdin.write(b"two\rthree")
    stdin.flush()
    stdin.close()
    assert stdin.closed
    with pytest.raises(OSError, match="File is closed"):
        stdin.write(b"")
    stdout = session.makefile("rU")
    assert stdout.channel is session
    assert "ChannelFile from <paramiko.Channel" in repr(stdout)
    assert stdout.readline(2) == "on"
    assert stdout.readline() == "e\n"
    assert stdout.tell() == 5
    assert list(stdout) == ["two\n", "three"]
    assert set(stdout.newlines) == {b"\r\n", b"\r"}
    with session.makefile_stderr("rb") as stderr:
        assert stderr.readable()
        assert not stderr.writable()
        room = bytearray(2)
        assert stderr.readinto(room) == 2
        assert stderr.read(1) == b"s"
        # What was not asked for is left where it is.
        assert session.recv_stderr(1) == b"t"
        assert stderr.read() == b""
        with pytest.raises(OSError, match="not open for writing"):
            stderr.write(b"x")
    with pytest.raises(OSError, match="not open for reading"):
        session.makefile("w").read()


def test_buffers_of_writes(session):
    session.exec_command("cat")
    session.settimeout(30)
    lines = session.makefile("w", 1)
    lines.write("one\ntwo")
    assert session.recv(100) == b"one\n"
    lines.flush()
    assert session.recv(100) == b"two"
    blocks = session.makefile("wb", 4)
    blocks.write(b"abc")
    assert not session.recv_ready()
    blocks.write(b"d")
    assert session.recv(100) == b"abcd"


@pytest.mark.parametrize("when", ["read", "exit", "send"])
def test_a_server_that_dies(start, when):
    server = start()
    with server.client() as client:
        channel = client.get_transport().open_session()
        channel.exec_command("echo begun; sleep 60")
        assert channel.recv(100) == b"begun\n"
        threading.Timer(0.05, server.stop).start()
        if when == "read":
            assert channel.recv(100) == b""
        elif when == "exit":
            assert channel.recv_exit_status() == -1
        else:
            # More than there is room for on the way.
            with pytest.raises(OSError, match=f"127.0.0.1:{server.port}"):
                channel.sendall(bytes(1 << 30))
        # Whoever knows of the end first, the others do soon.
        end = time.monotonic() + 30
        while client.get_transport().is_active():
            assert time.monotonic() < end
        with pytest.raises(paramiko.SSHException, match="SSH session not active"):
            client.exec_command("true")
