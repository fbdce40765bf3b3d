"""paramiko's names: clients, connections, channels, keys, known hosts, the agent."""

import sys
from importlib import import_module
from typing import Any

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
from .common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_FAILED_RESOURCE_SHORTAGE,
    OPEN_FAILED_UNKNOWN_CHANNEL_TYPE,
    OPEN_SUCCEEDED,
    io_sleep,
)
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
    "AUTH_FAILED",
    "AUTH_PARTIALLY_SUCCESSFUL",
    "AUTH_SUCCESSFUL",
    "OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED",
    "OPEN_FAILED_CONNECT_FAILED",
    "OPEN_FAILED_RESOURCE_SHORTAGE",
    "OPEN_FAILED_UNKNOWN_CHANNEL_TYPE",
    "OPEN_SUCCEEDED",
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
    "io_sleep",
    "key_classes",
]

key_classes = [RSAKey, Ed25519Key, ECDSAKey]

#: The version of paramiko whose names these are; programs look at it.
__version__ = "5.1.0"

#: Where the names are that are loaded when they are needed.
_LATER = {
    "HostResult": "_many",
    "SFTP": "sftp_client",
    "SFTPAttributes": "sftp_attr",
    "SFTPClient": "sftp_client",
    "SFTPError": "sftp",
    "SFTPFile": "sftp_file",
    "run_many": "_many",
}

#: What it will not have.
_NOT_OFFERED = (
    *(
        "AuthHandler",
        "BaseSFTP",
        "GSSAuth",
        "GSS_AUTH_AVAILABLE",
        "GSS_EXCEPTIONS",
        "InteractiveQuery",
        "Packetizer",
    ),
    *("SFTPHandle", "SFTPServer", "SFTPServerInterface"),
    *("ServerInterface", "SubsystemHandler"),
)


#: Whole modules of those.
_MODULES_NOT_OFFERED = (
    *("auth_handler", "ber", "buffered_pipe", "compress", "packet", "pipe", "primes", "server"),
    *("kex_curve25519", "kex_ecdh_nist", "kex_gex", "kex_group1", "kex_group14", "kex_group16"),
    *("kex_gss", "kex_mlkem", "sftp_handle", "sftp_server", "sftp_si", "ssh_gss"),
)


class _NotOffered:
    """Says of modules that nobody finds why they are not there."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        package, _, module = name.rpartition(".")
        is_here = package and sys.modules.get(package) is sys.modules.get(__name__)
        if is_here and module in _MODULES_NOT_OFFERED:
            raise ModuleNotFoundError(_why(f"the module {module}"), name=name)


def _why(name: str) -> str:
    return (
        f"manyhands.paramiko does not offer {name}: there is no server side, no GSSAPI,"
        " and none of the classes within paramiko's protocol"
    )


sys.meta_path.append(_NotOffered)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def __getattr__(name: str) -> Any:
    """The names that are loaded later; ImportError for what paramiko has and this has not, whose
    message `from ... import` shows."""
    home = "sftp" if name.startswith("SFTP_") else _LATER.get(name)
    if home is not None:
        return getattr(import_module(f".{home}", __name__), name)
    if name in _NOT_OFFERED:
        raise ImportError(_why(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
