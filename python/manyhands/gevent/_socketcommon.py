"""What the modules about sockets have in common: names, waiting, and finding addresses."""

import socket as __socket__
from errno import (  # noqa: F401  (programs take them from here)
    EAGAIN,
    EALREADY,
    EBADF,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    EWOULDBLOCK,
)

from manyhands.gevent import _hub_primitives
from manyhands.gevent._hub_local import get_hub

#: What the standard library's module has and this one has its own of.
_implements = ["create_connection", "socket", "SocketType", "fromfd", "socketpair"]

__dns__ = [
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostbyaddr",
    "getnameinfo",
    "getfqdn",
]

_implements += __dns__

#: What only this one has.
__extensions__ = ["cancel_wait", "wait_read", "wait_write", "wait_readwrite"]

#: What is passed on.
__imports__ = [
    name
    for name in (
        "AddressFamily",
        "CMSG_LEN",
        "CMSG_SPACE",
        "SocketKind",
        "create_server",
        "dup",
        "error",
        "gaierror",
        "getdefaulttimeout",
        "gethostname",
        "getprotobyname",
        "getservbyname",
        "getservbyport",
        "has_dualstack_ipv6",
        "herror",
        "htonl",
        "htons",
        "if_indextoname",
        "if_nameindex",
        "if_nametoindex",
        "inet_aton",
        "inet_ntoa",
        "inet_ntop",
        "inet_pton",
        "ntohl",
        "ntohs",
        "recv_fds",
        "send_fds",
        "setdefaulttimeout",
        "sethostname",
        "timeout",
    )
    if hasattr(__socket__, name)
]
__imports__ += [
    name for name in __socket__.__all__ if isinstance(getattr(__socket__, name), (int, str))
]
globals().update((name, getattr(__socket__, name)) for name in __imports__)

from socket import AddressFamily, SocketKind, gethostname, inet_pton  # noqa: E402

wait = _hub_primitives.wait_on_watcher
wait_read = _hub_primitives.wait_read
wait_write = _hub_primitives.wait_write
wait_readwrite = _hub_primitives.wait_readwrite

#: Stands for the timeout that the socket has.
timeout_default = object()


class cancel_wait_ex(OSError):
    """What a greenlet gets that waits for a descriptor which another one closes."""

    def __init__(self):
        super().__init__(EBADF, "File descriptor was closed in another greenlet")


def cancel_wait(watcher, error=cancel_wait_ex):
    """Have the greenlet that waits for the watcher go on with the error."""
    get_hub().cancel_wait(watcher, error)


def gethostbyname(hostname):
    """The IPv4 address of a host."""
    return get_hub().resolver.gethostbyname(hostname)


def gethostbyname_ex(hostname):
    """A host's true name, its other names, its IPv4 addresses."""
    return get_hub().resolver.gethostbyname_ex(hostname)


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """What a socket needs to be connected to a service of a host: a tuple of five for each way."""
    found = get_hub().resolver.getaddrinfo(host, port, family, type, proto, flags)
    return [
        (_as_enum(family, AddressFamily), _as_enum(kind, SocketKind), proto, name, address)
        for family, kind, proto, name, address in found
    ]


def _as_enum(value, enum):
    try:
        return enum(value)
    except ValueError:
        return value


def gethostbyaddr(ip_address):
    """The name of a host, its other names, its addresses."""
    return get_hub().resolver.gethostbyaddr(ip_address)


def getnameinfo(sockaddr, flags):
    """The names of the host and the service of an address."""
    return get_hub().resolver.getnameinfo(sockaddr, flags)


def getfqdn(name=""):
    """The name of a host with its domain, if that can be found; without a name, of this one."""
    name = name.strip()
    if not name or name in ("0.0.0.0", "::"):
        name = gethostname()
    try:
        hostname, aliases, _ = gethostbyaddr(name)
    except OSError:
        return name
    return next((alias for alias in (hostname, *aliases) if "." in alias), hostname)


_WITH_NAMES = (AddressFamily.AF_INET, AddressFamily.AF_INET6)


def _resolve_addr(sock, address):
    """The address with the host's number in the place of its name."""
    if sock.family not in _WITH_NAMES or not isinstance(address, tuple) or not address:
        return address
    host = address[0]
    if not host or host == "<broadcast>":
        return address  # these have a meaning of their own, which is known without asking anybody
    try:
        inet_pton(sock.family, host)
        return address
    except (OSError, TypeError, ValueError):
        pass  # a name
    # Without the port: some systems want the kind of socket with it.
    found = getaddrinfo(host, None, sock.family)[0][-1]
    if len(found) == 2:
        return (found[0], *address[1:])
    return (found[0], address[1], *found[2:])
