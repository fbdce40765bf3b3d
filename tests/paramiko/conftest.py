"""What tests of SSH get: servers, and connections to them."""

import socket

import pytest
import sshd
from manyhands import paramiko


@pytest.fixture(scope="session")
def runtime():
    """The thread that all connections share, and stays when a test has ended."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with paramiko.Transport(ours) as transport, pytest.raises(paramiko.SSHException):
        transport.start_client()


@pytest.fixture(scope="session")
def server(tmp_path_factory, runtime):
    server = sshd.Server(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def start(tmp_path, runtime):
    """Starts a server that has these further lines in its configuration."""
    servers = []

    def start(*lines):
        folder = tmp_path / f"sshd{len(servers)}"
        folder.mkdir()
        servers.append(sshd.Server(folder, *lines))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def transport(server):
    with server.transport() as transport:
        transport.auth_publickey(server.user, server.key())
        yield transport


@pytest.fixture
def free_port():
    return sshd.free_port()
