"""A command on many hosts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from manyhands.concurrent.futures import ThreadPoolExecutor

from ._policies import RejectPolicy
from .client import SSHClient

if TYPE_CHECKING:
    from collections.abc import Iterable


class HostResult(NamedTuple):
    """What came of a command on a host: its output, or why there is none."""

    #: As it was given.
    host: str
    stdout: bytes = b""
    stderr: bytes = b""
    #: The exit status, -1 if a signal has ended the command; None if there is an `error`.
    status: int | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether the command has run and its exit status is 0."""
        return self.status == 0


def run_many(
    hosts: Iterable[str],
    command: str,
    *,
    at_once: int = 64,
    timeout: float | None = None,
    policy: Any = RejectPolicy,
    **options: Any,
) -> list[HostResult]:
    """Run a command on many hosts, each `[user@]host[:port]`, at most `at_once` at the same time.

    The results are in the order of the hosts. One that fails does not keep the others. `timeout` is
    how many seconds each waits for the connection, and for output. Hosts are looked up in the
    user's known hosts; `policy` says what of those that are not there. The other options are those
    of `SSHClient.connect`.
    """
    if at_once < 1:
        raise ValueError(f"at_once is to be at least 1, not {at_once}")
    options.setdefault("timeout", timeout)

    def one(host: str) -> HostResult:
        try:
            return _run(host, command, timeout, policy, options)
        except Exception as error:
            return HostResult(host, error=error)

    wanted = list(hosts)
    with ThreadPoolExecutor(max(1, min(at_once, len(wanted)))) as pool:
        return list(pool.map(one, wanted))


def _run(
    host: str, command: str, timeout: float | None, policy: Any, options: dict[str, Any]
) -> HostResult:
    with SSHClient() as client:
        client.load_system_host_keys()
        client.set_missing_host_key_policy(policy)
        client.connect(**{**options, **_parts(host)})
        _, stdout, stderr = client.exec_command(command, timeout=timeout)
        stdout.channel.shutdown_write()
        output, errors = stdout.read(), stderr.read()
        return HostResult(host, output, errors, stdout.channel.recv_exit_status())


def _parts(host: str) -> dict[str, Any]:
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
