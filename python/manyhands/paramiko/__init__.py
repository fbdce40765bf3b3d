"""paramiko's names: clients, connections, channels, keys, known hosts, the agent.

Modules are loaded when one of their names is asked for."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
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

    key_classes: list[type[PKey]]

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

#: The version of paramiko whose names these are; programs look at it.
__version__ = "5.1.0"

#: Which names each module has.
_NAMES = {
    "_many": ("HostResult", "run_many"),
    "_policies": ("AutoAddPolicy", "MissingHostKeyPolicy", "RejectPolicy", "WarningPolicy"),
    "agent": ("Agent", "AgentKey"),
    "auth_strategy": (
        "AuthFailure",
        "AuthResult",
        "AuthSource",
        "AuthStrategy",
        "InMemoryPrivateKey",
        "NoneAuth",
        "OnDiskPrivateKey",
        "Password",
        "PrivateKey",
        "SourceResult",
    ),
    "channel": ("Channel", "ChannelFile", "ChannelStderrFile", "ChannelStdinFile"),
    "client": ("SSHClient",),
    "common": (
        "AUTH_FAILED",
        "AUTH_PARTIALLY_SUCCESSFUL",
        "AUTH_SUCCESSFUL",
        "OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED",
        "OPEN_FAILED_CONNECT_FAILED",
        "OPEN_FAILED_RESOURCE_SHORTAGE",
        "OPEN_FAILED_UNKNOWN_CHANNEL_TYPE",
        "OPEN_SUCCEEDED",
        "io_sleep",
    ),
    "config": ("SSHConfig", "SSHConfigDict"),
    "ecdsakey": ("ECDSAKey",),
    "ed25519key": ("Ed25519Key",),
    "file": ("BufferedFile",),
    "hostkeys": ("HostKeys",),
    "message": ("Message",),
    "pkey": ("PKey", "PublicBlob", "UnknownKeyType"),
    "proxy": ("ProxyCommand",),
    "rsakey": ("RSAKey",),
    "sftp": ("SFTPError",),
    "sftp_attr": ("SFTPAttributes",),
    "sftp_client": ("SFTP", "SFTPClient"),
    "sftp_file": ("SFTPFile",),
    "ssh_exception": (
        "AuthenticationException",
        "BadAuthenticationType",
        "BadHostKeyException",
        "ChannelException",
        "ConfigParseError",
        "CouldNotCanonicalize",
        "IncompatiblePeer",
        "MessageOrderError",
        "PasswordRequiredException",
        "ProxyCommandFailure",
        "SSHException",
    ),
    "transport": ("SecurityOptions", "ServiceRequestingTransport", "Transport"),
}

_HOMES = {name: home for home, names in _NAMES.items() for name in names}

#: Modules whose names are not here, too.
_MODULES = {*_NAMES, "util"}

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
    def find_spec(name: str, path: "Any" = None, target: "Any" = None) -> None:
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
    return sorted({*globals(), *_HOMES, *_MODULES, "key_classes"})


def __getattr__(name: str) -> "Any":
    """What has not been asked for before; ImportError for what paramiko has and this has not, whose
    message `from ... import` shows."""
    from importlib import import_module

    if name.startswith("SFTP_"):
        return getattr(import_module(".sftp", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name in _HOMES:
        found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    elif name == "key_classes":
        found = [__getattr__(key) for key in ("RSAKey", "Ed25519Key", "ECDSAKey")]
    elif name in _NOT_OFFERED:
        raise ImportError(_why(name))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
