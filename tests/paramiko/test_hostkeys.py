"""`manyhands.paramiko.hostkeys`"""

import pytest
from manyhands.paramiko import Ed25519Key, HostKeys, hostkeys


@pytest.fixture(scope="module")
def keys():
    return [Ed25519Key.generate() for _ in range(3)]


def known(tmp_path, text):
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return HostKeys(str(path))


def line(names, key, *more):
    return " ".join([names, key.get_name(), key.get_base64(), *more]) + "\n"


def test_what_cannot_be_understood_is_written_back(tmp_path, keys):
    text = (
        "# a comment\n\n"
        + line("a,b", keys[0], "me@here")
        + "c ssh-future AAAA\n"
        + "d ssh-ed25519 A\n"
        + line("@cert-authority *.example.com", keys[1])
        + line("|1|BMsIC6cUIP2zBuXR3t2LRcJYjzM=|hpkJMysjTk/+zzUUzxQEa2ieq6c=", keys[2])
    )
    table = known(tmp_path, text)
    table.save(str(tmp_path / "again"))
    assert (tmp_path / "again").read_text() == text
    table.add("new", "ssh-ed25519", keys[1])
    table.save(str(tmp_path / "again"))
    assert (tmp_path / "again").read_text() == text + line("new", keys[1])


def test_what_is_deleted_is_not_written(tmp_path, keys):
    table = known(tmp_path, "# top\n" + line("a", keys[0]) + line("b", keys[1]))
    del table["a"]
    with pytest.raises(KeyError):
        del table["a"]
    table.save(str(tmp_path / "again"))
    assert (tmp_path / "again").read_text() == "# top\n" + line("b", keys[1])


def test_patterns_and_their_exceptions_decide(tmp_path, keys):
    table = known(tmp_path, line("*.example.com,!bad.example.com,h?", keys[0]))
    assert table.check("www.example.com", keys[0])
    assert table.check("WWW.example.com", keys[0])
    assert table.check("h1", keys[0])
    assert table.lookup("bad.example.com") is None
    assert not table.check("example.com", keys[0])
    assert not table.check("www.example.com", keys[1])


def test_a_port_is_part_of_the_name(tmp_path, keys):
    table = known(tmp_path, line("[h]:2222", keys[0]) + line("[*.b]:22?", keys[1]))
    assert table.check("[h]:2222", keys[0])
    assert table.lookup("h") is None
    assert table.check("[a.b]:221", keys[1])


def test_a_hashed_name_is_found_by_the_name(tmp_path, keys):
    hashed = HostKeys.hash_host("secret.example.com")
    assert hashed.startswith("|1|")
    assert HostKeys.hash_host("secret.example.com", hashed) == hashed
    table = known(tmp_path, line(hashed, keys[0]) + line("|1|broken", keys[1]))
    assert table["secret.example.com"]["ssh-ed25519"] == keys[0]
    assert "other.example.com" not in table


def test_a_revoked_key_is_no_hosts_key(tmp_path, keys):
    table = known(tmp_path, line("a", keys[0]) + line("@revoked *", keys[0]) + line("a", keys[1]))
    assert not table.check("a", keys[0])
    assert table.check("a", keys[1])
    assert table.is_revoked("a", keys[0])


def test_a_tab_separates_as_a_space_does(tmp_path, keys):
    text = line("@revoked\ta", keys[0]).replace(" ", "\t") + line("a", keys[1]).replace(" ", "\t")
    table = known(tmp_path, text)
    assert list(table) == ["a"]
    assert table.is_revoked("a", keys[0])
    assert table.check("a", keys[1])


def test_what_is_no_key_is_kept_and_not_in_the_way(tmp_path, keys):
    odd = ["a ssh-ed25519 caf\u00e9\n", "@other a ssh-ed25519 AAAA\n", ", ssh-ed25519 AAAA\n"]
    table = known(tmp_path, "".join(odd) + line("a", keys[0]) + line("!b,*", keys[1]))
    assert list(table) == ["a", "*"]
    assert dict(table)["*"]["ssh-ed25519"] == keys[1]
    table.save(str(tmp_path / "saved"))
    assert (tmp_path / "saved").read_text().startswith("".join(odd))


def test_an_authority_is_not_a_hosts_key(tmp_path, keys):
    table = known(tmp_path, line("@cert-authority *.example.com", keys[0]))
    assert table.lookup("www.example.com") is None
    assert table.authorities("www.example.com") == [keys[0]]
    assert table.authorities("www.example.org") == []
    assert len(table) == 0


def test_it_is_a_mapping_whose_parts_write_through(keys):
    table = HostKeys()
    table["a"] = {"ssh-ed25519": keys[0]}
    table["a"]["ssh-ed25519"] = keys[1]
    assert table.check("a", keys[1])
    table["b"] = {}
    table["b"]["ssh-ed25519"] = keys[2]
    assert list(table) == ["a", "b"]
    assert [dict(one) for one in table.values()] == [
        {"ssh-ed25519": keys[1]},
        {"ssh-ed25519": keys[2]},
    ]
    table.clear()
    assert not table


def test_a_line_that_is_no_base64_says_so():
    with pytest.raises(hostkeys.InvalidHostKey):
        hostkeys.HostKeyEntry.from_line("h ssh-ed25519 A")
    assert hostkeys.HostKeyEntry.from_line("h") is None
