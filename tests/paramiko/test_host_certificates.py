"""Servers that an authority vouches for (`@cert-authority` in known hosts)."""

import base64
import subprocess

import pytest
from manyhands import paramiko
from manyhands.paramiko._host_certificates import is_vouched_for
from sshd import LIMIT, make_key

KINDS = {"ed25519": (), "rsa": ("-b", "2048"), "ecdsa": ("-b", "256")}


@pytest.fixture
def authority(tmp_path):
    return make_key(tmp_path, "authority", "ed25519")


@pytest.fixture
def certified(start, tmp_path, authority):
    """Starts a server whose key of that kind an authority has signed, with these options."""

    def certified(*options, kind="ed25519", signer=authority):
        key = make_key(tmp_path, f"certified_{kind}", kind, *KINDS[kind])
        command = ["ssh-keygen", "-q", "-s", signer, "-I", "the server", *options, f"{key}.pub"]
        subprocess.run(command, check=True, timeout=LIMIT)
        return start(f"HostKey {key}", f"HostCertificate {key}-cert.pub")

    return certified


HOST = ("-h", "-n", "localhost,127.0.0.*")


@pytest.fixture
def connect(tmp_path):
    """Connects with these lines as what is known of hosts."""

    def connect(server, *lines):
        file = tmp_path / "known_hosts"
        file.write_text("".join(f"{line}\n" for line in lines))
        client = paramiko.SSHClient()
        client.load_system_host_keys(str(file))
        login = {"pkey": server.key(), "allow_agent": False, "look_for_keys": False}
        try:
            client.connect("127.0.0.1", server.port, server.user, timeout=LIMIT, **login)
            return client.get_transport().get_remote_server_key()
        finally:
            client.close()

    return connect


def line_of(key, hosts, marker=""):
    kind, blob = key.with_suffix(".pub").read_text().split()[:2]
    return f"{marker}{hosts} {kind} {blob}"


@pytest.mark.parametrize("kind", KINDS)
def test_who_an_authority_vouches_for_is_known(certified, connect, authority, tmp_path, kind):
    server = certified(*HOST, kind=kind)
    key = connect(server, line_of(authority, "*.example,[127.0.0.1]:*", "@cert-authority "))
    assert key == paramiko.PKey.from_path(tmp_path / f"certified_{kind}")
    # As OpenSSH, without the port, too.
    connect(server, line_of(authority, "127.0.0.1", "@cert-authority "))


def test_somebody_elses_authority_is_none(certified, connect, authority):
    server = certified(*HOST)
    other = server.folder / "other"
    for line in (
        line_of(authority, "other.example", "@cert-authority "),
        line_of(other, "*", "@cert-authority "),
        # It is no key of a host.
        line_of(authority, "*"),
    ):
        with pytest.raises(paramiko.SSHException):
            connect(server, line)
    # Its own key may be known all the same.
    key = connect(
        server,
        line_of(other, "*", "@cert-authority "),
        line_of(server.folder.parent / "certified_ed25519", "[127.0.0.1]:*"),
    )
    assert key.get_name() == "ssh-ed25519"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("-h", "-n", "elsewhere"), "it holds for elsewhere"),
        ((*HOST, "-V", "20200101:20210101"), "it does not hold at this time"),
        ((*HOST, "-V", "20900101:20910101"), "it does not hold at this time"),
    ],
)
def test_certificates_that_do_not_hold(certified, connect, authority, options, problem):
    server = certified(*options)
    words = f"127.0.0.1:{server.port}: the certificate 'the server' .* is no good: {problem}"
    with pytest.raises(paramiko.SSHException, match=words):
        connect(server, line_of(authority, "*", "@cert-authority "))


def test_revoked(certified, connect, authority, tmp_path):
    server = certified(*HOST)
    trusted = line_of(authority, "*", "@cert-authority ")
    with pytest.raises(paramiko.SSHException, match="is revoked"):
        connect(server, trusted, line_of(tmp_path / "certified_ed25519", "*", "@revoked "))
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        connect(server, trusted, line_of(authority, "*", "@revoked "))


def test_a_server_without_a_certificate(server, connect, authority):
    trusted = line_of(authority, "*", "@cert-authority ")
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        connect(server, trusted)
    connect(server, trusted, line_of(server.folder / "host", "*"))


@pytest.mark.parametrize(
    ("options", "damage", "problem"),
    [
        (HOST, True, "its signature is wrong"),
        (("-n", "127.0.0.1"), False, "it is that of a user"),
        (("-n", "127.0.0.1", "-O", "force-command=true"), False, "it is that of a user"),
        (("-h",), False, "it holds for no host"),
        ((*HOST, "-O", "critical:odd=1"), False, "demands what is not known here: odd"),
    ],
)
def test_certificates_that_no_server_shows(tmp_path, authority, options, damage, problem):
    key = make_key(tmp_path, "key", "ed25519")
    command = ["ssh-keygen", "-q", "-s", authority, "-I", "odd", *options, f"{key}.pub"]
    subprocess.run(command, check=True, timeout=LIMIT)
    blob = base64.b64decode((tmp_path / "key-cert.pub").read_text().split()[1])
    if damage:
        blob = blob[:-1] + bytes([blob[-1] ^ 1])
    authorities = [paramiko.PKey.from_path(authority)]
    with pytest.raises(paramiko.SSHException, match=problem):
        is_vouched_for("host", "127.0.0.1", blob, authorities)
    assert not is_vouched_for("host", "127.0.0.1", blob, [])
    with pytest.raises(paramiko.SSHException, match="the certificate of the server"):
        is_vouched_for("host", "127.0.0.1", blob[:-9], authorities)
