"""A command on many hosts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from manyhands.concurrent.futures import ThreadPoolExecutor

from ._jumps import jump_client, parts
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
    of `SSHClient.connect`; with a `proxy_jump` all go through one connection to that, and what
    fails of it is raised.
    """
    checked(at_once)
    options.setdefault("timeout", timeout)
    wanted = list(hosts)
    jump = way(wanted, policy, options)
    try:
        with ThreadPoolExecutor(max(1, min(at_once, len(wanted)))) as pool:
            return list(
                pool.map(lambda host: outcome(host, command, timeout, policy, options), wanted)
            )
    finally:
        if jump is not None:
            jump.close()


def checked(at_once: int) -> int:
    """How many may be under way, which is to be one at least."""
    if at_once < 1:
        raise ValueError(f"at_once is to be at least 1, not {at_once}")
    return at_once


def way(hosts: list[str], policy: Any, options: dict[str, Any]) -> SSHClient | None:
    """A connection that all go through, if the options name one, which then have it."""
    if not hosts or not isinstance(options.get("proxy_jump"), str):
        return None
    jump: SSHClient | None = jump_client(_client(policy), options["proxy_jump"], options)
    options["proxy_jump"] = jump
    return jump


def outcome(
    host: str, command: str, timeout: float | None, policy: Any, options: dict[str, Any]
) -> HostResult:
    """What comes of the command on one host."""
    try:
        return _run(host, command, timeout, policy, options)
    except Exception as error:
        return HostResult(host, error=error)


def _client(policy: Any) -> SSHClient:
    client = SSHClient()
    client.load_system_host_keys()
    client.set_missing_host_key_policy(policy)
    return client


def _run(
    host: str, command: str, timeout: float | None, policy: Any, options: dict[str, Any]
) -> HostResult:
    with _client(policy) as client:
        client.connect(**{**options, **parts(host)})
        _, stdout, stderr = client.exec_command(command, timeout=timeout)
        stdout.channel.shutdown_write()
        output, errors = stdout.read(), stderr.read()
        return HostResult(host, output, errors, stdout.channel.recv_exit_status())
