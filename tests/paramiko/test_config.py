"""`manyhands.paramiko.config`: what OpenSSH's manual says, beyond what paramiko does."""

import getpass
import os

import pytest
from manyhands.paramiko import ConfigParseError, CouldNotCanonicalize, SSHConfig, config


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def test_the_first_value_of_an_option_counts():
    found = SSHConfig.from_text("Host a*\n Port 1\nHost *\n Port 2\n User x").lookup("abc")
    assert found == {"hostname": "abc", "port": "1", "user": "x"}
    assert found.as_int("port") == 1


def test_an_included_file_holds_only_where_it_is_included(home):
    (home / ".ssh" / "more").write_text("User inner\nHost a\n Port 7\n")
    text = "Host a\n Include more\n IdentityFile after\nHost b\n Port 9\n"
    configuration = SSHConfig.from_text(text)
    assert configuration.lookup("a") == {
        "hostname": "a",
        "user": "inner",
        "port": "7",
        "identityfile": ["after"],
    }
    assert configuration.lookup("b") == {"hostname": "b", "port": "9"}


def test_include_takes_patterns_and_paths_in_order_and_none_is_no_error(home, tmp_path):
    for name in ("1.conf", "2.conf"):
        (tmp_path / name).write_text(f"User {name}\nTag{name[0]} yes\n")
    text = f"Include {tmp_path}/*.conf {tmp_path}/none"
    found = SSHConfig.from_text(text).lookup("h")
    assert (found["user"], found["tag1"], found["tag2"]) == ("1.conf", "yes", "yes")


def test_files_that_include_themselves_are_an_error(home):
    (home / ".ssh" / "loop").write_text("Include loop\n")
    with pytest.raises(ConfigParseError, match="too deeply"):
        SSHConfig.from_text("Include loop")


def test_tokens_stand_for_themselves_in_pairs_and_are_expanded_once(home):
    text = "HostName %h.example.com\nUser me\nProxyCommand nc %h %p %% %r %n %z ~/x a~b"
    found = SSHConfig.from_text(text).lookup("h")
    assert found["hostname"] == "h.example.com"
    expected = f"nc h.example.com 22 % me h %z {home}/x a~b"
    assert found["proxycommand"] == expected


def test_proxycommand_none_is_none_and_hides_later_ones():
    text = "Host a\n ProxyCommand none\nHost *\n ProxyCommand nc %h"
    assert SSHConfig.from_text(text).lookup("a")["proxycommand"] is None


def test_match_exec_asks_a_shell(tmp_path):
    mark = tmp_path / "mark"
    text = f'Match exec "test -e {mark}"\n User there\nMatch !exec "test -e {mark}"\n User gone'
    configuration = SSHConfig.from_text(text)
    assert configuration.lookup("h")["user"] == "gone"
    mark.touch()
    assert configuration.lookup("h")["user"] == "there"


def test_match_exec_can_be_forbidden(monkeypatch):
    monkeypatch.setattr(config, "invoke", None)
    with pytest.raises(ImportError):
        SSHConfig.from_text("Match exec true\n User x").lookup("h")


def test_match_knows_users_hosts_tags_and_negation():
    me = getpass.getuser()
    text = f"""
Match localuser {me} host a,b,!c
 Port 1
 Tag red
Match tagged red originalhost !b,*
 User tagged
Match !user nobody
 Compression yes
"""
    configuration = SSHConfig.from_text(text)
    assert configuration.lookup("a") == {
        "hostname": "a",
        "port": "1",
        "tag": "red",
        "user": "tagged",
        "compression": "yes",
    }
    assert "user" not in configuration.lookup("b")
    assert "port" not in configuration.lookup("c")


def test_what_match_does_not_know_is_an_error_and_what_it_does_not_offer_matches_nothing():
    with pytest.raises(ConfigParseError, match="nonsense"):
        SSHConfig.from_text("Match nonsense x")
    for keyword in ("localnetwork", "!localnetwork"):
        found = SSHConfig.from_text(f"Match {keyword} 10.0.0.0/8\n User x").lookup("h")
        assert "user" not in found


def test_names_of_sections_are_known_where_there_are_matches():
    text = "Host a *.b\nMatch all\n Port 1\n"
    assert SSHConfig.from_text(text).get_hostnames() == {"*", "a", "*.b"}


def test_a_name_without_a_domain_may_be_forbidden(monkeypatch):
    def nothing(_name):
        raise config.socket.gaierror

    monkeypatch.setattr(config.socket, "gethostbyname", nothing)
    text = "CanonicalizeHostname yes\nCanonicalDomains example.com\nCanonicalizeFallbackLocal no"
    with pytest.raises(CouldNotCanonicalize, match="www"):
        SSHConfig.from_text(text).lookup("www")


@pytest.mark.parametrize("line", ["nonsense", 'Host "a', "Match", "Match host"])
def test_lines_that_cannot_be_are_errors(line):
    with pytest.raises(ConfigParseError):
        SSHConfig.from_text(line)


def test_a_path_may_be_a_path(tmp_path):
    path = tmp_path / "config"
    path.write_text("User x")
    assert SSHConfig.from_path(path).lookup("h")["user"] == "x"
    assert os.path.exists(path)
