"""What tests of SSH get: servers, and connections to them."""

import pytest
import sshd


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
