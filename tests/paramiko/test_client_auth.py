"""Ways to authenticate against an OpenSSH server, and what is said when they fail."""

import os
import shutil
import subprocess

import pytest
from manyhands import paramiko
from sshd import LIMIT, make_key


def works(client):
    _, stdout, _ = client.exec_command("echo in", timeout=30)
    return stdout.read() == b"in\n"


@pytest.mark.parametrize(
    "options",
    [
        ("ed25519",),
        ("rsa", "-b", "2048"),
        ("rsa", "-b", "2048", "-m", "PEM"),
        ("ecdsa", "-b", "256"),
        ("ecdsa", "-b", "384", "-m", "PKCS8"),
        ("ecdsa", "-b", "521"),
    ],
    ids=" ".join,
)
def test_keys(server, tmp_path, options):
    name = "-".join(("key", *options))
    make_key(server.folder, name, *options)
    server.authorize(name)
    with server.client(key_filename=server.path(name)) as client:
        assert works(client)
    with server.client(pkey=server.key(name)) as client:
        assert works(client)


@pytest.fixture
def secret(server):
    """A key with a passphrase."""
    if not (server.folder / "secret").exists():
        make_key(server.folder, "secret", "ed25519", "-N", "open sesame", "-a", "1")
        server.authorize("secret")
    return server.path("secret")


def test_encrypted_keys(server, secret):
    for options in ({"passphrase": "open sesame"}, {"password": "open sesame"}):
        with server.client(key_filename=secret, **options) as client:
            assert works(client)
    with pytest.raises(paramiko.PasswordRequiredException, match="secret"):
        server.client(key_filename=secret)
    with pytest.raises(paramiko.SSHException, match="secret"):
        server.client(key_filename=secret, passphrase="wrong")


def test_several_keys(server, secret):
    files = [server.path("other"), secret, server.path("user")]
    with server.client(key_filename=files) as client:
        assert works(client)


def test_wrong_key(server):
    key = server.key("other")
    with pytest.raises(paramiko.AuthenticationException) as caught:
        server.client(pkey=key)
    told = str(caught.value)
    assert told.startswith("Authentication failed")
    assert f"127.0.0.1:{server.port}" in told
    assert repr(server.user) in told


def test_all_that_was_tried_is_told(server):
    key = server.key("other")
    with pytest.raises(paramiko.AuthenticationException) as caught:
        server.client(pkey=key, password="wrong")
    assert f"(tried: ssh-ed25519 {key.fingerprint}, a password)" in str(caught.value)


def test_too_many_attempts(start):
    server = start("MaxAuthTries 2")
    for number in range(3):
        make_key(server.folder, f"bad{number}", "ed25519")
    files = [server.path(f"bad{number}") for number in range(3)]
    with pytest.raises(paramiko.SSHException, match="Too many authentication failures"):
        server.client(key_filename=files)


def test_what_the_server_does_not_let_in_by(start):
    server = start("PasswordAuthentication no", "KbdInteractiveAuthentication no")
    with pytest.raises(paramiko.BadAuthenticationType, match="by password") as caught:
        server.client(password="secret")
    assert caught.value.allowed_types == ["publickey"]
    with server.transport() as transport:
        with pytest.raises(paramiko.BadAuthenticationType) as caught:
            transport.auth_none(server.user)
        assert caught.value.allowed_types == ["publickey"]
        assert not transport.is_authenticated()
        # It goes on after that.
        assert transport.auth_publickey(server.user, server.key()) == []
        assert transport.is_authenticated()
        assert transport.get_username() == server.user


def test_wrong_password(server):
    with pytest.raises(paramiko.AuthenticationException, match="accept this password"):
        server.client(password="wrong")


def test_nothing_to_try(server):
    with pytest.raises(paramiko.SSHException, match="No authentication methods available"):
        server.client(key_filename=[])


def test_two_of_them(start):
    server = start("AuthenticationMethods publickey,password")
    with server.transport() as transport:
        assert transport.auth_publickey(server.user, server.key()) == ["password"]
        assert not transport.is_authenticated()


def test_the_connection_of_a_failed_client_can_go_on(server):
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        with pytest.raises(paramiko.AuthenticationException):
            client.connect("127.0.0.1", server.port, server.user, pkey=server.key("other"))
        client.get_transport().auth_publickey(server.user, server.key())
        assert works(client)


def test_keys_of_the_user(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    with pytest.raises(paramiko.SSHException, match="No authentication methods"):
        server.client(key_filename=[], look_for_keys=True)
    shutil.copy(server.path("user"), tmp_path / ".ssh" / "id_ed25519")
    with server.client(key_filename=[], look_for_keys=True) as client:
        assert works(client)


def test_certificates(server):
    make_key(server.folder, "authority", "ed25519")
    public = (server.folder / "authority.pub").read_text()
    with open(server.folder / "authorized", "a") as file:
        file.write(f"cert-authority {public}")
    for name, *options in (("signed", "ed25519"), ("signed_rsa", "rsa", "-b", "2048")):
        path = make_key(server.folder, name, *options)
        command = ["ssh-keygen", "-q", "-s", server.path("authority"), "-I", "test"]
        command += ["-n", server.user, f"{path}.pub"]
        subprocess.run(command, check=True, timeout=LIMIT)
        # The certificate beside the key is found, and may be named instead.
        for file in (path, f"{path}-cert.pub"):
            with server.client(key_filename=str(file)) as client:
                assert works(client)
        os.rename(f"{path}-cert.pub", f"{path}-elsewhere.pub")
        with pytest.raises(paramiko.AuthenticationException):
            server.client(key_filename=str(path))
        key = paramiko.PKey.from_path(path)
        key.load_certificate(f"{path}-elsewhere.pub")
        with server.client(pkey=key) as client:
            assert works(client)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An agent of the test's own; a function that adds a key to it."""
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE)
    process.stdout.readline()
    monkeypatch.setenv("SSH_AUTH_SOCK", path)

    def add(key):
        subprocess.run(["ssh-add", "-q", key], check=True, timeout=LIMIT)

    yield add
    process.kill()
    process.communicate(timeout=LIMIT)


def test_agent(server, agent):
    for name, *options in (("kept", "ed25519"), ("kept_rsa", "rsa", "-b", "2048")):
        agent(make_key(server.folder, name, *options))
        server.authorize(name)
        with server.client(key_filename=[], allow_agent=True) as client:
            assert works(client)
        subprocess.run(["ssh-add", "-q", "-D"], check=True, timeout=LIMIT)


def test_an_agent_that_refuses(server, agent):
    agent(server.path("user"))
    held = paramiko.Agent()
    key = held.get_keys()[0]
    subprocess.run(["ssh-add", "-q", "-D"], check=True, timeout=LIMIT)
    with server.transport() as transport:
        with pytest.raises(paramiko.SSHException, match="cannot be used for signing"):
            transport.auth_publickey(server.user, key)
        # Nothing was sent that would count as an attempt.
        transport.auth_publickey(server.user, server.key())
    held.close()


def test_what_a_key_raises_comes_out(server):
    class Odd(paramiko.Ed25519Key):
        def sign_ssh_data(self, data, algorithm=None):
            raise ZeroDivisionError

    with server.transport() as transport:
        key = Odd.from_private_key_file(server.path("user"))
        with pytest.raises(ZeroDivisionError):
            transport.auth_publickey(server.user, key)


def test_strategies(server):
    class Strategy(paramiko.AuthStrategy):
        def get_sources(self):
            yield paramiko.NoneAuth(server.user)
            yield paramiko.InMemoryPrivateKey(server.user, server.key("other"))
            yield paramiko.InMemoryPrivateKey(server.user, server.key())

    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        strategy = Strategy(paramiko.SSHConfig())
        result = client.connect("127.0.0.1", server.port, auth_strategy=strategy)
        assert [type(each.result) for each in result] == [
            paramiko.BadAuthenticationType,
            paramiko.AuthenticationException,
            list,
        ]
        assert works(client)


def test_events(server):
    import threading

    with paramiko.Transport(("127.0.0.1", server.port)) as transport:
        started = threading.Event()
        transport.start_client(event=started)
        assert started.wait(30)
        assert transport.is_active()
        for name in ("other", "user"):
            done = threading.Event()
            assert transport.auth_publickey(server.user, server.key(name), event=done) == []
            assert done.wait(30)
            assert transport.is_authenticated() == (name == "user")
            failed = isinstance(transport.get_exception(), paramiko.AuthenticationException)
            assert failed == (name == "other")


def test_agent_forwarding(server, agent, client):
    agent(server.path("user"))
    channel = client.get_transport().open_session()
    channel.settimeout(30)
    handler = paramiko.agent.AgentRequestHandler(channel)
    channel.exec_command("ssh-add -L && ssh-add -L")
    output = channel.makefile("rb").read()
    assert channel.recv_exit_status() == 0, channel.recv_stderr(1000)
    assert output.count(b"ssh-ed25519 ") == 2
    handler.close()
