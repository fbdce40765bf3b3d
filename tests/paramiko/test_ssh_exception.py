"""`manyhands.paramiko.ssh_exception`"""

import pickle

from manyhands.paramiko import ssh_exception as errors


def test_they_are_what_programs_catch():
    assert issubclass(errors.PasswordRequiredException, errors.AuthenticationException)
    assert issubclass(errors.AuthenticationException, errors.SSHException)
    assert issubclass(errors.NoValidConnectionsError, OSError)
    assert not issubclass(errors.NoValidConnectionsError, errors.SSHException)


def test_all_addresses_are_named_and_kept_by_pickle():
    addresses = {
        ("::1", 22): OSError(1),
        ("127.0.0.1", 22): OSError(2),
        ("10.0.0.1", 22): OSError(),
    }
    error = errors.NoValidConnectionsError(addresses)
    assert error.errno is None
    assert str(error).endswith("Unable to connect to port 22 on 10.0.0.1, 127.0.0.1 or ::1")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), set(again.errors)) == (str(error), set(addresses))


def test_no_address_at_all_is_told_too():
    assert "no address" in str(errors.NoValidConnectionsError({}))


def test_what_they_tell():
    bad = errors.BadAuthenticationType("Bad", ["publickey"])
    assert (str(bad), bad.allowed_types) == ("Bad; allowed types: ['publickey']", ["publickey"])
    assert str(pickle.loads(pickle.dumps(bad))) == str(bad)
    assert str(errors.ChannelException(1, "no")) == "ChannelException(1, 'no')"
    failure = errors.ProxyCommandFailure("nc", 3)
    assert str(failure) == 'ProxyCommand("nc") returned nonzero exit status: 3'
