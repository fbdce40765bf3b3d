"""`gevent.socket`: the standard library's, whose sockets let others run while they wait."""

import sys

from manyhands.gevent import _socket3, _socketcommon

__socket__ = _socketcommon.__socket__
__implements__ = _socket3.__implements__
__extensions__ = _socket3.__extensions__
__imports__ = _socket3.__imports__
__dns__ = _socket3.__dns__
__all__ = _socket3.__all__

globals().update(
    (name, value)
    for source in (_socketcommon, _socket3)
    for name, value in vars(source).items()
    if not name.startswith("__")
)

from manyhands.gevent._socket3 import SOCK_STREAM, getaddrinfo, socket  # noqa: E402
from manyhands.gevent._socketcommon import error  # noqa: E402

_GLOBAL_DEFAULT_TIMEOUT = __socket__._GLOBAL_DEFAULT_TIMEOUT


def create_connection(
    address, timeout=_GLOBAL_DEFAULT_TIMEOUT, source_address=None, *, all_errors=False
):
    """A socket that is connected to the address: host and port.

    `timeout` is what it has then, also to connect; `source_address` is what it is bound to before.
    If the host has several addresses they are tried in turn, and the last error is raised, or with
    `all_errors`, from Python 3.11 on, a group of all.
    """
    host, port = address
    found = list(getaddrinfo(host, port, 0, SOCK_STREAM))
    if not found:
        raise error("getaddrinfo returns an empty list")
    errors = []
    try:
        for family, kind, proto, _, where in found:
            try:
                return _connected(family, kind, proto, where, timeout, source_address)
            except error as failed:
                errors.append(failed)
        if all_errors and sys.version_info >= (3, 11):
            raise ExceptionGroup("create_connection failed", errors)  # noqa: F821
        raise errors[-1]
    finally:
        errors.clear()  # which refer to this frame


def _connected(family, kind, proto, where, timeout, source_address):
    sock = socket(family, kind, proto)
    try:
        if timeout is not _GLOBAL_DEFAULT_TIMEOUT:
            sock.settimeout(timeout)
        if source_address:
            sock.bind(source_address)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


_socket3.create_connection = create_connection
