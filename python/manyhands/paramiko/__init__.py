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
