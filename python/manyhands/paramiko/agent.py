"""Keys of an SSH agent: it signs, and keeps them."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from ._agent_forwarding import AgentClientProxy, AgentRequestHandler
from .message import Message
from .pkey import PKey, UnknownKeyType
from .ssh_exception import SSHException
from .util import asbytes, get_logger

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Agent", "AgentClientProxy", "AgentKey", "AgentRequestHandler", "AgentSSH"]

cSSH2_AGENTC_REQUEST_IDENTITIES = b"\x0b"
SSH2_AGENT_IDENTITIES_ANSWER = 12
cSSH2_AGENTC_SIGN_REQUEST = b"\x0d"
SSH2_AGENT_SIGN_RESPONSE = 14

SSH_AGENT_RSA_SHA2_256 = 2
SSH_AGENT_RSA_SHA2_512 = 4
ALGORITHM_FLAG_MAP = {
    name + suffix: flag
    for name, flag in (
        ("rsa-sha2-256", SSH_AGENT_RSA_SHA2_256),
        ("rsa-sha2-512", SSH_AGENT_RSA_SHA2_512),
    )
    for suffix in ("", "-cert-v01@openssh.com")
}

# As much as OpenSSH's agent sends at once.
_LONGEST = 256 * 1024


class AgentSSH:
    """A connection to an agent, with the keys that it had when it was made."""

    def __init__(self) -> None:
        self._conn: Any = None
        self._keys: tuple[AgentKey, ...] = ()

    def get_keys(self) -> tuple[AgentKey, ...]:
        """The keys; none if there is no agent."""
        return self._keys

    def _connect(self, conn: Any) -> None:
        self._conn = conn
        kind, answer = self._send_message(cSSH2_AGENTC_REQUEST_IDENTITIES)
        if kind != SSH2_AGENT_IDENTITIES_ANSWER:
            raise SSHException("could not get keys from ssh-agent")
        keys = []
        for _ in range(answer.get_int()):
            # The counts are the agent's; more than it has sent are not there.
            if not answer.get_remainder():
                raise SSHException("the ssh-agent's list of keys ends too early")
            blob = answer.get_binary()
            comment = answer.get_string().decode(errors="replace")
            keys.append(AgentKey(self, blob, comment))
        self._keys = tuple(keys)

    def _close(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = None
        self._keys = ()

    def _send_message(self, msg: Any) -> tuple[int, Message]:
        if self._conn is None:
            raise SSHException("there is no connection to an ssh-agent")
        request = asbytes(msg)
        self._conn.sendall(struct.pack(">I", len(request)) + request)
        (length,) = struct.unpack(">I", self._read_all(4))
        if not 0 < length <= _LONGEST:
            raise SSHException(f"the ssh-agent answers with {length} bytes")
        answer = Message(self._read_all(length))
        return answer.get_byte()[0], answer

    def _read_all(self, wanted: int) -> bytes:
        taken = b""
        while len(taken) < wanted:
            more = self._conn.recv(wanted - len(taken))
            if not more:
                raise SSHException("lost ssh-agent")
            taken += more
        return taken


def get_agent_connection() -> socket.socket | None:
    """A socket that the agent of `SSH_AUTH_SOCK` is at; None if there is none."""
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


class Agent(AgentSSH):
    """The agent of `SSH_AUTH_SOCK`; without keys if there is none.

    Raises `SSHException` if what is there is no agent.
    """

    def __init__(self) -> None:
        super().__init__()
        connection = get_agent_connection()
        if connection is not None:
            try:
                self._connect(connection)
            except BaseException:
                self._close()
                raise

    def close(self) -> None:
        """Close the connection; its keys cannot sign any more."""
        self._close()


class AgentKey(PKey):
    """A key that an agent signs with; `inner_key` is its public part, if it is of a known type."""

    inner_key: PKey | None = None

    def __init__(self, agent: Any, blob: bytes, comment: str = "") -> None:
        """The key of an agent with these public bytes, which may be a certificate's."""
        self.agent = agent
        self.blob = blob
        self.comment = comment
        self._type = Message(blob).get_string().decode(errors="replace")
        self._logger = get_logger("paramiko.agent")
        # Some agents have keys that only they understand, which can sign all the same.
        with contextlib.suppress(SSHException):
            try:
                self.inner_key = PKey.from_type_string(self._type, blob)
            except UnknownKeyType:
                self.log(DEBUG, f"Unable to derive inner_key for agent key of type {self._type!r}")

    @property
    def name(self) -> str:
        """The type, which may be a certificate's."""
        return self._type

    @name.setter
    def name(self, value: str) -> None:
        self._type = value

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Log, as a logger's `log` does."""
        self._logger.log(*args, **kwargs)

    def asbytes(self) -> bytes:
        """The public part, without what a certificate says of it if its type is known."""
        return self.inner_key.asbytes() if self.inner_key else self.blob

    def get_name(self) -> str:
        """The type, which may be a certificate's."""
        return self._type

    def get_bits(self) -> int:
        """How many bits the key has; 0 if its type is not known."""
        return self.inner_key.get_bits() if self.inner_key else 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self.inner_key is None:
            raise AttributeError(name)
        return getattr(self.inner_key, name)

    @property
    def _fields(self) -> Hashable:
        fallback: Any = [self.get_name(), self.blob]
        return self.inner_key._fields if self.inner_key else fallback

    def __hash__(self) -> int:
        return hash(tuple(self._fields))  # type: ignore[arg-type]  # A list or a tuple.

    def can_sign(self) -> bool:
        """False: the private part is not here."""
        return False

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> bytes:
        """The signature that the agent makes, by this algorithm if the key has several.

        Raises `SSHException` if it refuses, or is gone.
        """
        request = Message()
        request.add_byte(cSSH2_AGENTC_SIGN_REQUEST)
        # Asked by a certificate, OpenSSH's agent would sign with SHA-1.
        request.add_string(self.asbytes())
        request.add_string(data)
        request.add_int(ALGORITHM_FLAG_MAP.get(algorithm or "", 0))
        kind, answer = self.agent._send_message(request)
        if kind != SSH2_AGENT_SIGN_RESPONSE:
            raise SSHException("key cannot be used for signing")
        return bytes(answer.get_binary())
