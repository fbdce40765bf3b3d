"""Hosts by their names, and connections through other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ssh_exception import ChannelException, SSHException
from .transport import Transport

if TYPE_CHECKING:
    from .channel import Channel

#: What may not follow from how the last host is to be connected to.
_ITS_OWN = {
    *("hostname", "port", "username", "password", "sock", "proxy_jump"),
    *("auth_strategy", "transport_factory"),
}


def parts(host: str) -> dict[str, Any]:
    """`[user@]host[:port]` for `connect`; an IPv6 address with a port is in brackets."""
    user, _, address = host.rpartition("@")
    parts: dict[str, Any] = {"username": user} if user else {}
    name, colon, port = address.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        parts["hostname"] = address[1:-1]
    elif colon and port.isdigit() and (":" not in name or name.startswith("[")):
        parts.update(hostname=name.strip("[]"), port=int(port))
    else:
        parts["hostname"] = address
    if not parts["hostname"]:
        raise ValueError(f"no host in {host!r}")
    return parts


def jump_client(client: Any, jumps: str, options: dict[str, Any]) -> Any:
    """A client with the same known hosts and policy, connected to the last of the hosts of `jumps`,
    through those before it. None if there is none ("none").

    `options` are those of `connect` for the host behind: keys and limits are the same for all,
    the password is that host's own.
    """
    if jumps.strip().lower() == "none":
        return None
    before, _, last = jumps.rpartition(",")
    place = parts(last.strip().removeprefix("ssh://"))
    shared = {name: value for name, value in options.items() if name not in _ITS_OWN}
    shared.setdefault("passphrase", None)
    if shared["passphrase"] is None:
        # It is tried for keys on this side, too; no server is told.
        shared["passphrase"] = options.get("password")
    jump = client._sibling()
    try:
        jump.connect(**shared, **place, proxy_jump=before or None)
    except BaseException:
        jump.close()
        raise
    return jump


def channel_through(jump: Any, hostname: str, port: int, timeout: float | None) -> Channel:
    """A channel through which the host of a connection, or of a client, connects to an address."""
    get_transport = getattr(jump, "get_transport", None)
    if get_transport is None and not isinstance(jump, Transport):
        kind = type(jump).__name__
        raise TypeError(f"proxy_jump is to be a string, an SSHClient or Transport, not {kind}")
    transport = jump if get_transport is None else get_transport()
    if transport is None or not transport.is_authenticated():
        raise SSHException(
            f"no way to {hostname}:{port}: the connection to jump through is not there"
            " or not authenticated"
        )
    try:
        channel: Channel = transport.open_channel(
            "direct-tcpip", (hostname, port), ("127.0.0.1", 0), timeout=timeout
        )
    except ChannelException as error:
        words = f"{error.text}; it was to connect to {hostname}:{port}"
        raise ChannelException(error.code, words) from None
    return channel
