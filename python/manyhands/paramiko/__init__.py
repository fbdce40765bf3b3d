"""paramiko's names: keys, known hosts, configuration, the agent and exceptions."""

from ._policies import AutoAddPolicy, MissingHostKeyPolicy, RejectPolicy, WarningPolicy
from .agent import Agent, AgentKey
from .auth_strategy import (
    AuthFailure,
    AuthResult,
    AuthSource,
    AuthStrategy,
    InMemoryPrivateKey,
    NoneAuth,
    OnDiskPrivateKey,
    Password,
    PrivateKey,
    SourceResult,
)
from .config import SSHConfig, SSHConfigDict
from .ecdsakey import ECDSAKey
from .ed25519key import Ed25519Key
from .hostkeys import HostKeys
from .message import Message
from .pkey import PKey, PublicBlob, UnknownKeyType
from .proxy import ProxyCommand
from .rsakey import RSAKey
from .ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    BadHostKeyException,
    ChannelException,
    ConfigParseError,
    CouldNotCanonicalize,
    IncompatiblePeer,
    MessageOrderError,
    PasswordRequiredException,
    ProxyCommandFailure,
    SSHException,
)

__all__ = [
    "Agent",
    "AgentKey",
    "AuthFailure",
    "AuthResult",
    "AuthSource",
    "AuthStrategy",
    "AuthenticationException",
    "AutoAddPolicy",
    "BadAuthenticationType",
    "BadHostKeyException",
    "ChannelException",
    "ConfigParseError",
    "CouldNotCanonicalize",
    "ECDSAKey",
    "Ed25519Key",
    "HostKeys",
    "InMemoryPrivateKey",
    "IncompatiblePeer",
    "Message",
    "MessageOrderError",
    "MissingHostKeyPolicy",
    "NoneAuth",
    "OnDiskPrivateKey",
    "PKey",
    "Password",
    "PasswordRequiredException",
    "PrivateKey",
    "ProxyCommand",
    "ProxyCommandFailure",
    "PublicBlob",
    "RSAKey",
    "RejectPolicy",
    "SSHConfig",
    "SSHConfigDict",
    "SSHException",
    "SourceResult",
    "UnknownKeyType",
    "WarningPolicy",
    "key_classes",
]

key_classes = [RSAKey, Ed25519Key, ECDSAKey]

#: What paramiko has and this does not have yet.
_NOT_YET = (
    *("BufferedFile", "Channel", "ChannelFile", "ChannelStderrFile", "ChannelStdinFile"),
    *("SFTP", "SFTPClient", "SFTPError", "SFTPFile", "SSHClient", "Transport"),
)

#: What it will not have.
_NOT_OFFERED = (
    *("GSSAuth", "GSS_AUTH_AVAILABLE", "GSS_EXCEPTIONS", "InteractiveQuery", "Packetizer"),
    *("SFTPHandle", "SFTPServer", "SFTPServerInterface", "SecurityOptions"),
    *("ServerInterface", "SubsystemHandler"),
)


def __getattr__(name: str) -> object:
    """ImportError for what paramiko has and this has not: `from ... import` shows its message."""
    if name in _NOT_YET:
        raise ImportError(
            f"manyhands.paramiko has no {name} yet: so far there are keys, known hosts,"
            " configuration, the agent and exceptions. Use paramiko for connections"
        )
    if name in _NOT_OFFERED:
        raise ImportError(
            f"manyhands.paramiko does not offer {name}: there is no server side, no GSSAPI,"
            " and none of the classes within paramiko's protocol"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
