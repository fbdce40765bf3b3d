"""Connections between processes: the standard library's `multiprocessing.connection` in Rust.

Both ends speak CPython's protocol, so that at the other one may be the standard library of any
version. What is only said here are names, addresses and the order of an authentication; messages
and waits are native.

Source: https://docs.python.org/3/library/multiprocessing.html#module-multiprocessing.connection
"""

import socket

from manyhands import _native as _engine
from manyhands._mirror import forward
from manyhands._stdlib import original as _original

__all__ = ["Client", "Listener", "Pipe", "wait"]

_native = _engine.multiprocessing
_stdlib = _original("multiprocessing.connection")

# The one and only ones of the process, which all implementations share.
reduction = _original("multiprocessing.reduction")
util = _original("multiprocessing.util")
_ForkingPickler = reduction.ForkingPickler
AuthenticationError = _stdlib.AuthenticationError
BufferTooShort = _stdlib.BufferTooShort

# What has no need to be another.
ConnectionWrapper = _stdlib.ConnectionWrapper
_validate_family = _stdlib._validate_family
_xml_dumps = _stdlib._xml_dumps
_xml_loads = _stdlib._xml_loads
address_type = _stdlib.address_type
arbitrary_address = _stdlib.arbitrary_address
default_family = _stdlib.default_family

#: What only some of a connection's public methods go through, and which these are.
_ROUTES = {
    "_close": ("close",),
    "_poll": ("poll",),
    "_send": ("send", "send_bytes"),
    "_send_bytes": ("send", "send_bytes"),
    "_recv": ("recv", "recv_bytes", "recv_bytes_into"),
    "_recv_bytes": ("recv", "recv_bytes", "recv_bytes_into"),
}


class Connection(_native.Connection, _stdlib.Connection):
    """One end of a connection over a file descriptor: a socket or a pipe.

    Connection(handle, readable=True, writable=True)

    It is the standard library's class with native methods in front of that one's. Its `_send`,
    `_recv` and so on are still there for who calls them, and a subclass that overrides one of them
    gets the methods that call it.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for overridden, methods in _ROUTES.items():
            if overridden in cls.__dict__:
                for name in methods:
                    if name not in cls.__dict__:
                        setattr(cls, name, getattr(_stdlib.Connection, name))

    def __reduce__(self):
        return reduce_connection(self)


def Pipe(duplex=True):
    """Two connections, one at either end of a pipe: what is sent to one is received from the other.

    With duplex=False the first can only receive and the second only send.
    """
    one, other = _native.pipe(bool(duplex))
    if duplex:
        return Connection(one), Connection(other)
    return Connection(one, writable=False), Connection(other, readable=False)


def wait(object_list, timeout=None):
    """Wait until one of the objects has something to read or is at its end.

    Returns a list of those that are ready; it is empty if none was in `timeout` seconds. Each
    object is a connection, a socket, a process's sentinel, or anything else that is a file
    descriptor or has a fileno().
    """
    return _native.wait(object_list, timeout)


class Listener(_stdlib.Listener):
    """Waits for connections at an address.

    The family is told from the address if it is not given; without an address, a free one is
    taken. With an `authkey`, bytes, only who knows it gets a connection.
    """

    def __init__(self, address=None, family=None, backlog=1, authkey=None):
        family = family or (address and address_type(address)) or default_family
        address = address or arbitrary_address(family)
        _validate_family(family)
        self._listener = SocketListener(address, family, backlog)
        if authkey is not None and not isinstance(authkey, bytes):
            self.close()
            raise TypeError("authkey should be a byte string")
        self._authkey = authkey

    def accept(self):
        """Wait for a connection and return it.

        AuthenticationError if who connects does not know the key; EOFError or OSError if it goes
        away before it has shown that it does. The listener is as good as before.
        """
        if self._listener is None:
            raise OSError("listener is closed")
        connection = self._listener.accept()
        if self._authkey is not None:
            with _closed_on_error(connection):
                deliver_challenge(connection, self._authkey)
                answer_challenge(connection, self._authkey)
                # An older client's system keeps its first request back until it knows that its
                # last message of the authentication has come.
                _native.hurry(connection.fileno())
        return connection


def Client(address, family=None, authkey=None):
    """Connect to the Listener at an address, with the key that it wants, if it wants one."""
    family = family or address_type(address)
    _validate_family(family)
    if authkey is not None and not isinstance(authkey, bytes):
        raise TypeError("authkey should be a byte string")
    connection = SocketClient(address)
    if authkey is not None:
        with _closed_on_error(connection):
            answer_challenge(connection, authkey)
            deliver_challenge(connection, authkey)
    return connection


class _closed_on_error:
    """Closes a connection if what is done with it in the block fails."""

    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self.connection

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            self.connection.close()


class SocketListener(_stdlib.SocketListener):
    """A socket that listens at an address."""

    def accept(self):
        accepted, self._last_accepted = self._socket.accept()
        return _connection_over(accepted)


def SocketClient(address):
    """A connection to the socket that listens at an address."""
    connected = socket.socket(getattr(socket, address_type(address)))
    try:
        connected.setblocking(True)
        connected.connect(address)
    except BaseException:
        connected.close()
        raise
    return _connection_over(connected)


def _connection_over(connected):
    connected.setblocking(True)
    if connected.family != socket.AF_UNIX:
        _native.hurry(connected.fileno())
    return Connection(connected.detach())


# The authentication: the newer protocol, which older versions understand. Their names for what it
# is made of stand beside the newer ones.

CHALLENGE = _CHALLENGE = b"#CHALLENGE#"
WELCOME = _WELCOME = b"#WELCOME#"
FAILURE = _FAILURE = b"#FAILURE#"

#: The longest message of an authentication.
_LONGEST_MESSAGE = 256


def _checked(function, *args):
    """Calls a native function, whose ValueErrors say why an authentication failed."""
    try:
        return function(*args)
    except ValueError as error:
        raise AuthenticationError(str(error)) from None


def _check_authkey(authkey):
    if not isinstance(authkey, bytes):
        raise ValueError(f"Authkey must be bytes, not {type(authkey)!s}")


def _create_response(authkey, message):
    """The response to a challenge: its MAC, named as the challenge names its digest."""
    return _checked(_native.create_response, authkey, message)


def _verify_challenge(authkey, message, response):
    """AuthenticationError if the response is not that of somebody with the same key."""
    _checked(_native.verify_response, authkey, message, response)


def deliver_challenge(connection, authkey, digest_name="sha256"):
    """Have the other end prove that it knows the key."""
    _check_authkey(authkey)
    challenge = _checked(_native.create_challenge, digest_name)
    connection.send_bytes(_CHALLENGE + challenge)
    response = connection.recv_bytes(_LONGEST_MESSAGE)
    try:
        _verify_challenge(authkey, challenge, response)
    except AuthenticationError:
        connection.send_bytes(_FAILURE)
        raise
    connection.send_bytes(_WELCOME)


def answer_challenge(connection, authkey):
    """Prove to the other end that we know the key."""
    _check_authkey(authkey)
    message = connection.recv_bytes(_LONGEST_MESSAGE)
    challenge = _checked(_native.read_challenge, message)
    connection.send_bytes(_create_response(authkey, challenge))
    if connection.recv_bytes(_LONGEST_MESSAGE) != _WELCOME:
        raise AuthenticationError("digest sent was rejected")


class XmlListener(Listener):
    """A Listener whose connections carry objects as XML."""

    def accept(self):
        return _over_xml(super().accept())


def XmlClient(*args, **kwargs):
    """As Client(), for objects as XML."""
    return _over_xml(Client(*args, **kwargs))


def _over_xml(connection):
    import xmlrpc.client

    # The functions below find the module there.
    _stdlib.xmlrpclib = xmlrpc.client
    return ConnectionWrapper(connection, _xml_dumps, _xml_loads)


def reduce_connection(conn):
    """How a connection is pickled: as a duplicate of its descriptor for its new owner."""
    descriptor = reduction.DupFd(conn.fileno())
    return rebuild_connection, (descriptor, conn.readable, conn.writable)


def rebuild_connection(df, readable, writable):
    """The connection that was pickled."""
    return Connection(df.detach(), readable, writable)


reduction.register(Connection, reduce_connection)

forward(globals(), _stdlib)
