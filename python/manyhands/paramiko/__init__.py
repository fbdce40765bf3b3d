"""paramiko's names: clients, connections, channels, keys, known hosts, the agent."""

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
from .channel import Channel, ChannelFile, ChannelStderrFile, ChannelStdinFile
from .client import SSHClient
from .config import SSHConfig, SSHConfigDict
from .ecdsakey import ECDSAKey
from .ed25519key import Ed25519Key
from .file import BufferedFile
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
from .transport import SecurityOptions, ServiceRequestingTransport, Transport

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
    "BufferedFile",
    "Channel",
    "ChannelException",
    "ChannelFile",
    "ChannelStderrFile",
    "ChannelStdinFile",
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
    "SSHClient",
    "SSHConfig",
    "SSHConfigDict",
    "SSHException",
    "SecurityOptions",
    "ServiceRequestingTransport",
    "SourceResult",
    "Transport",
    "UnknownKeyType",
    "WarningPolicy",
    "key_classes",
]

key_classes = [RSAKey, Ed25519Key, ECDSAKey]

#: What paramiko has and this does not have yet.
_NOT_YET = ("SFTP", "SFTPClient", "SFTPError", "SFTPFile")

#: What it will not have.
_NOT_OFFERED = (
    *("GSSAuth", "GSS_AUTH_AVAILABLE", "GSS_EXCEPTIONS", "InteractiveQuery", "Packetizer"),
    *("SFTPHandle", "SFTPServer", "SFTPServerInterface"),
    *("ServerInterface", "SubsystemHandler"),
)


def __getattr__(name: str) -> object:
    """ImportError for what paramiko has and this has not: `from ... import` shows its message."""
    if name in _NOT_YET:
        raise ImportError(
            f"manyhands.paramiko has no {name} yet: so far there are keys, known hosts,"
            " connections and channels. Use paramiko for files"
        )
    if name in _NOT_OFFERED:
        raise ImportError(
            f"manyhands.paramiko does not offer {name}: there is no server side, no GSSAPI,"
            " and none of the classes within paramiko's protocol"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
