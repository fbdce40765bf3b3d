"""Finding the addresses of hosts. `config.resolver` says who does it: `thread` or `blocking`."""

import _socket

__all__ = ()

# Encoding a name for the first time imports this, which in a thread may wait for who imports us.
"foo".encode("idna")

_NUMERIC = _socket.AI_NUMERICHOST
_FAMILIES = (_socket.AF_INET, _socket.AF_INET6)


def is_numeric(host):
    """Whether nobody has to be asked for the address: the host is none, or its own number."""
    if host is None:
        return True
    if isinstance(host, (bytes, bytearray)):
        try:
            host = host.decode("ascii")
        except UnicodeDecodeError:
            return False
    if not isinstance(host, str) or "\0" in host:
        return False
    return any(_is_of(family, host) for family in _FAMILIES)


def _is_of(family, host):
    try:
        _socket.inet_pton(family, host)
    except (OSError, UnicodeEncodeError):
        return False
    return True
