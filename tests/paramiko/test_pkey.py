"""`manyhands.paramiko.pkey` and its classes, with files of `ssh-keygen` and `openssl`."""

import os
import stat
import subprocess
from io import StringIO

import pytest
from manyhands.paramiko import (
    ECDSAKey,
    Ed25519Key,
    Message,
    PasswordRequiredException,
    PKey,
    RSAKey,
    SSHException,
    UnknownKeyType,
)
from manyhands.paramiko.pkey import OPENSSH, PEM

CLASSES = {"rsa": RSAKey, "ecdsa": ECDSAKey, "ed25519": Ed25519Key}


def keygen(path, kind, password="", form="RFC4716"):
    command = ["ssh-keygen", "-q", "-t", kind, "-N", password, "-m", form, "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return str(path)


def new_key(kind):
    if kind == "rsa":
        return RSAKey.generate(2048)
    return CLASSES[kind].generate()


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_file_of_ssh_keygen_is_read_with_its_passphrase_only(tmp_path, kind, form):
    path = keygen(tmp_path / "key", kind, "secret", form)
    key = CLASSES[kind].from_private_key_file(path, "secret")
    assert key.can_sign()
    assert key == PKey.from_path(path, b"secret")
    line = (tmp_path / "key.pub").read_text().split()
    assert (key.get_name(), key.get_base64()) == (line[0], line[1])
    shown = subprocess.check_output(["ssh-keygen", "-l", "-f", path], text=True, timeout=60)
    assert key.fingerprint in shown
    with pytest.raises(PasswordRequiredException, match=path):
        CLASSES[kind].from_private_key_file(path)
    with pytest.raises(SSHException, match="Bad password"):
        CLASSES[kind].from_private_key_file(path, "wrong")
    with pytest.raises(TypeError):
        PKey.from_path(path)


@pytest.mark.parametrize("form", [PEM, OPENSSH])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_key_survives_a_file_that_only_its_owner_reads(tmp_path, kind, form):
    key = new_key(kind)
    path = str(tmp_path / "key")
    key.write_private_key_file(path, "secret", form)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert PKey.from_path(path, "secret") == key
    text = StringIO()
    key.write_private_key(text)
    text.seek(0)
    assert CLASSES[kind].from_private_key(text) == key


@pytest.mark.parametrize("kind", CLASSES)
def test_signatures_are_the_keys_own(kind):
    key = new_key(kind)
    public = CLASSES[kind](data=key.asbytes())
    assert not public.can_sign()
    assert public == key
    assert hash(public) == hash(key)
    assert public != new_key(kind)
    signature = key.sign_ssh_data(b"data")
    assert public.verify_ssh_sig(b"data", Message(bytes(signature)))
    assert not public.verify_ssh_sig(b"other", Message(bytes(signature)))
    with pytest.raises(SSHException):
        public.sign_ssh_data(b"data")


def test_an_rsa_key_has_two_algorithms_and_not_sha1():
    key = RSAKey.generate(2048)
    for algorithm in ("rsa-sha2-256", "rsa-sha2-512", "rsa-sha2-256-cert-v01@openssh.com"):
        name = Message(bytes(key.sign_ssh_data(b"x", algorithm))).get_text()
        assert name == algorithm.removesuffix("-cert-v01@openssh.com")
    with pytest.raises(SSHException):
        key.sign_ssh_data(b"x", "ssh-rsa")


def test_a_certificate_beside_a_key_is_loaded(tmp_path):
    path = keygen(tmp_path / "key", "ed25519")
    authority = keygen(tmp_path / "ca", "ed25519")
    command = ["ssh-keygen", "-q", "-s", authority, "-I", "id", "-n", "root", path]
    subprocess.run(command, check=True, timeout=60)
    key = PKey.from_path(path)
    assert key == PKey.from_path(path + "-cert.pub")
    assert key.public_blob.key_type == "ssh-ed25519-cert-v01@openssh.com"
    assert Ed25519Key(data=key.public_blob.key_blob) == key
    with pytest.raises(ValueError, match="incompatible"):
        new_key("rsa").load_certificate(path + "-cert.pub")


def test_errors_say_what_is_wrong(tmp_path):
    path = tmp_path / "none"
    path.write_text("nothing")
    with pytest.raises(SSHException, match="not a valid RSA private key file"):
        RSAKey.from_private_key_file(str(path))
    with pytest.raises(ValueError, match="no private key"):
        PKey.from_path(path)
    with pytest.raises(SSHException, match="encountered ssh-ed25519 key"):
        RSAKey.from_private_key_file(keygen(tmp_path / "ed", "ed25519"))
    with pytest.raises(UnknownKeyType):
        PKey.from_type_string("ssh-future", b"")
    with pytest.raises(SSHException):
        PKey.from_type_string("ssh-ed25519", b"\0\0")
    with pytest.raises(FileNotFoundError):
        RSAKey.from_private_key_file(str(tmp_path / "missing"))
    for wrong in (lambda: RSAKey.generate(16), lambda: ECDSAKey.generate(bits=100), Ed25519Key):
        with pytest.raises(ValueError, match=r"\w"):
            wrong()
