"""Known hosts and configurations that nobody would write: they are read or refused, and what
paramiko reads means the same here."""

import base64
import importlib
import os
import random
from importlib.util import find_spec

import pytest
from manyhands import paramiko
from manyhands.paramiko import config as our_config
from manyhands.paramiko.ssh_exception import ConfigParseError, CouldNotCanonicalize

ROUNDS = 3_000

SEEDS = range(40 if os.environ.get("MANYHANDS_TEST_ALL") else 2)

HOSTS = ("a", "b.example", "[a]:22", "[b.example]:2222", "", "*", "!a", "é", "|1|a|b")


@pytest.fixture(params=SEEDS)
def rng(request):
    return random.Random(request.param)


@pytest.fixture
def stock():
    """paramiko itself, to compare with."""
    spec = find_spec("paramiko")
    # The folder of these tests has that name, too, but is no package.
    if spec is None or spec.origin is None:
        pytest.skip("paramiko is not installed: ci/requirements-trials-paramiko.txt")
    return importlib.import_module("paramiko")


# Known hosts.

KEYS = [
    (key.get_name(), key.get_base64())
    for key in (paramiko.RSAKey.generate(1024), paramiko.ECDSAKey.generate())
]

SALT = base64.b64encode(bytes(20)).decode()

PIECES = (
    *("a", "b.example", "[a]:22", "*", "?", "*.example", "!a", "!*", "[", "#", "=", "AAAA"),
    *("@revoked", "@cert-authority", "@x", "|1|", "|1|a|b", f"|1|{SALT}|{SALT}"),
    *(",", " ", "  ", "\t", "\n", "\r", "\0", "\v", "é", "\udcff", "\u2028"),
    *("ssh-rsa", "ssh-ed25519", "ssh-dss", "ssh-rsa-cert-v01@openssh.com", "comment"),
)


def damaged(rng, text):
    raw = bytearray(base64.b64decode(text))
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(raw) + 1)
        raw[place : place + rng.choice((0, 1, 1, 4, 99999))] = rng.randbytes(rng.randrange(3))
    return base64.b64encode(raw).decode()


def line_of_hosts(rng):
    words = [
        rng.choice(PIECES) + rng.choice(("", "", " ", "\t", ",")) for _ in range(rng.randrange(4))
    ]
    if rng.random() < 0.8:
        kind, key = rng.choice(KEYS)
        if rng.random() < 0.3:
            key = damaged(rng, key)
        words += [" ", rng.choice((kind, kind, kind, rng.choice(PIECES))), " ", key]
    return "".join([*words, rng.choice(("\n", "\n", "\r\n", " comment of two\n", ""))])


def write(path, text):
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return str(path)


def used(hosts):
    """What can be done with them, for every name."""
    for host in HOSTS:
        found = hosts.lookup(host)
        for kind in found or ():
            key = found[kind]
            # One that is revoked is known all the same.
            assert hosts.check(host, key) is not hosts.is_revoked(host, key)
        hosts.authorities(host)
    return {name: dict(keys) for name, keys in hosts.items()}


def test_known_hosts(rng, tmp_path):
    read = 0
    for _ in range(ROUNDS):
        text = "".join(line_of_hosts(rng) for _ in range(rng.randrange(6)))
        hosts = paramiko.HostKeys(write(tmp_path / "hosts", text))
        meaning = used(hosts)
        read += len(meaning)
        hosts.save(str(tmp_path / "saved"))
        again = paramiko.HostKeys(str(tmp_path / "saved"))
        assert used(again) == meaning, text
    assert read > ROUNDS / 4


def test_known_hosts_mean_what_they_mean_to_paramiko(rng, stock, tmp_path):
    names = ("a", "b.example", "[a]:22", "[b.example]:2222", paramiko.HostKeys.hash_host("a"))
    for _ in range(ROUNDS // 3):
        lines = []
        for _ in range(rng.randrange(6)):
            kind, key = rng.choice(KEYS)
            if rng.random() < 0.1:
                kind = rng.choice(("ssh-dss", "odd", kind))
            chosen = ",".join(rng.sample(names, rng.randrange(1, 4)))
            fields = [chosen, kind, key, *rng.choice(((), ("comment",), ("a", "b")))]
            lines.append(rng.choice((" ", "\t")).join(fields))
            lines.append(rng.choice(("", "# comment", "a ssh-rsa", "odd")))
        path = write(tmp_path / "hosts", "\n".join(lines) + "\n")
        ours, theirs = paramiko.HostKeys(path), stock.HostKeys(path)
        for name in (*names, "c"):
            found = [
                found and {kind: found[kind].asbytes() for kind in found}
                for found in (ours.lookup(name), theirs.lookup(name))
            ]
            assert found[0] == found[1], lines


@pytest.mark.patience(60)
def test_many_known_hosts_take_no_longer_each(tmp_path):
    kind, key = KEYS[1]
    lines = [f"host{number}.example,alias{number} {kind} {key}\n" for number in range(50_000)]
    hosts = paramiko.HostKeys(write(tmp_path / "hosts", "".join(lines)))
    hosts.load(str(tmp_path / "hosts"))
    assert len(hosts) == 100_000
    assert hosts.lookup("alias7")[kind].get_base64() == key


def test_patterns_cost_no_more_than_they_are_long():
    kind, key = KEYS[1]
    entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{'*a' * 40}b,!{'*a?' * 40}b {kind} {key}")
    assert not entry.matches("a" * 200)
    config = paramiko.SSHConfig.from_text(f"Host {'*a' * 40}b\n User ann\n")
    assert config.lookup("a" * 200) == {"hostname": "a" * 200}


# Configurations.

WORDS = (
    *("a", "b.example", "*", "?", "!a", "a*", "[a", "]", "*.example,!b*", "a,b"),
    *("yes", "no", "none", "always", "0", "-1", "1", "many", "any", "inet", "inet6"),
    *("%h", "%%", "%", "%d", "%C", "%L", "%l", "%p", "%r", "%u", "%n", "~", "~/x", "~root/x", "%~"),
    *(
        '"',
        "'",
        '"two words"',
        "\\",
        "=",
        ",",
        "#",
        "\t",
        "\r",
        "\0",
        "\v",
        "é",
        "\udcff",
        "x" * 99,
    ),
)

OPTIONS = (
    *("HostName", "User", "Port", "IdentityFile", "ProxyJump", "ProxyCommand", "LocalForward"),
    *("CanonicalizeHostname", "CanonicalDomains", "CanonicalizeMaxDots", "AddressFamily"),
    *("CanonicalizeFallbackLocal", "HostKeyAlias", "ControlPath", "Tag", "Odd", "Include"),
)

CONDITIONS = (
    *("all", "canonical", "final", "exec", "host", "originalhost", "user", "localuser"),
    *("tagged", "localnetwork", "version", "!host", "!exec", "!all", "odd"),
)


class Commands:
    """Nothing is run."""

    @staticmethod
    def run(command, hide, warn):
        return type("Outcome", (), {"ok": len(command) % 2 == 0})


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No commands, no questions to name servers, no files but those of the test."""
    monkeypatch.setattr(our_config, "invoke", Commands)
    monkeypatch.setattr(our_config.socket, "getaddrinfo", refused)
    monkeypatch.setattr(our_config.socket, "gethostbyname", lambda name: "x" * (len(name) % 2))
    monkeypatch.setattr(our_config.socket, "getfqdn", lambda: "here.example")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "a").write_text("User included\nInclude b*\nPort 7\n")
    (tmp_path / ".ssh" / "b.example").write_bytes(b"Host *\nInclude a\nUser \xff\n")


def refused(*_args):
    raise our_config.socket.gaierror


def line_of_options(rng):
    kind = rng.random()
    count = rng.choice((0, 1, 1, 1, 2, 3, 6))
    words = [rng.choice(WORDS) for _ in range(count)]
    if kind < 0.2:
        begin = "Host"
    elif kind < 0.4:
        begin = "Match"
        words = [word for it in words for word in (rng.choice(CONDITIONS), it)]
        words += rng.choice(((), ("all",)))
    elif kind < 0.95:
        begin = rng.choice(OPTIONS)
    else:
        begin = rng.choice(WORDS)
    return begin + rng.choice((" ", " ", "=", " = ", "\t", "")) + " ".join(words)


def test_configurations(rng, alone):
    read = 0
    for _ in range(ROUNDS):
        text = "\n".join(line_of_options(rng) for _ in range(rng.randrange(8)))
        try:
            config = paramiko.SSHConfig.from_text(text)
            config.get_hostnames()
            for host in HOSTS:
                try:
                    found = config.lookup(host)
                except CouldNotCanonicalize:
                    continue
                assert found["hostname"] is not None
                read += len(found) > 1
        except ConfigParseError:
            continue
    assert read > ROUNDS / 4


def test_configurations_mean_what_they_mean_to_paramiko(rng, stock):
    patterns = ("a", "b.example", "*", "?", "!a", "a*", "*.example", "!*.example")
    values = ("a", "b", "7", "yes", "%h", "%h-%h", "/x/%h", "~/x", "x y", '"x y"', "none")
    # Where paramiko differs from OpenSSH, as in tokens of a HostName, they are no measure.
    special = {
        "HostName": ("a", "b", "b.example", "7"),
        "Port": ("7", "2222"),
        "User": ("ann", "bob"),
        "ProxyCommand": ("nc %h %p", "%p-%r", "none", "None"),
    }
    options = ("HostName", "User", "Port", "IdentityFile", "ProxyJump", "ProxyCommand", "Odd")
    for _ in range(ROUNDS // 3):
        lines = []
        for _ in range(rng.randrange(12)):
            kind = rng.random()
            if kind < 0.3:
                lines.append("Host " + " ".join(rng.sample(patterns, rng.randrange(1, 4))))
            elif kind < 0.4:
                lines.append(f"Match host {rng.choice(('a', 'b*', '*,!a', 'b.example'))}")
            elif kind < 0.45:
                lines.append(rng.choice(("Match all", "# comment", "", "   ")))
            else:
                between = rng.choice((" ", "=", " = ", "\t"))
                option = rng.choice(options)
                value = rng.choice(special.get(option, values))
                lines.append(f" {option}{between}{value}")
        text = "\n".join(lines)
        ours = paramiko.SSHConfig.from_text(text)
        theirs = stock.SSHConfig.from_text(text)
        for host in ("a", "b", "b.example", "c.example", "7"):
            assert dict(ours.lookup(host)) == dict(theirs.lookup(host)), text


@pytest.mark.patience(60)
def test_long_configurations_take_no_longer_each():
    count = 20_000
    lines = [f"Host host{number}\n User user{number}\n" for number in range(count)]
    lines += [f"IdentityFile {number}\n" for number in range(count)]
    lines += ["Odd" + " " * 1_000_000 + "=" + " " * 1_000_000 + "%h" * 100_000 + "\n"]
    config = paramiko.SSHConfig.from_text("".join(lines))
    found = config.lookup("host7")
    assert found["user"] == "user7"
    assert len(config.get_hostnames()) == count + 1
