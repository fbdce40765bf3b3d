"""A command on many hosts."""

import pytest
from manyhands import paramiko
from manyhands.paramiko import _jumps


def test_many_hosts(server, start, tmp_path, monkeypatch):
    other = start()
    monkeypatch.setenv("HOME", str(tmp_path))
    hosts = [f"{server.user}@127.0.0.1:{it.port}" for it in (server, other)] * 5
    nobody = f"{server.user}@127.0.0.1:1"
    options = {"key_filename": server.path("user"), "allow_agent": False, "look_for_keys": False}
    command = "echo out; echo bad >&2; exit 3"
    results = paramiko.run_many(
        [*hosts, nobody], command, at_once=4, timeout=30, policy=paramiko.AutoAddPolicy, **options
    )
    assert [it.host for it in results] == [*hosts, nobody]
    for number, result in enumerate(results[:-1]):
        if number % 2 == 0:
            assert result[1:] == (b"out\n", b"bad\n", 3, None)
            assert not result.ok
        else:
            assert isinstance(result.error, paramiko.AuthenticationException)
    assert isinstance(results[-1].error, OSError)
    assert results[-1].status is None


def test_unknown_hosts_are_refused(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (result,) = paramiko.run_many([f"127.0.0.1:{server.port}"], "true", password="x", timeout=30)
    assert "not found in known_hosts" in str(result.error)


def test_input_has_ended(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = {"key_filename": server.path("user"), "allow_agent": False, "look_for_keys": False}
    (result,) = paramiko.run_many(
        [f"{server.user}@127.0.0.1:{server.port}"],
        "cat; echo end",
        timeout=30,
        policy=paramiko.AutoAddPolicy,
        **options,
    )
    assert result.stdout == b"end\n"
    assert result.ok


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("a", {"hostname": "a"}),
        ("u@a:7", {"username": "u", "hostname": "a", "port": 7}),
        ("u@b@a", {"username": "u@b", "hostname": "a"}),
        ("::1", {"hostname": "::1"}),
        ("[::1]:7", {"hostname": "::1", "port": 7}),
        ("u@[::1]", {"username": "u", "hostname": "::1"}),
    ],
)
def test_hosts(host, parts):
    assert _jumps.parts(host) == parts


def test_what_makes_no_sense():
    with pytest.raises(ValueError, match="at_once"):
        paramiko.run_many([], "true", at_once=0)
    (result,) = paramiko.run_many(["u@"], "true")
    assert "no host" in str(result.error)
    assert paramiko.run_many([], "true") == []
