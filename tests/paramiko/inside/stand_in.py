"""A plugin of pytest for runs of paramiko's tests: `paramiko` is Manyhands from then on,
and what it does not offer, as the tests need a server to talk to, is paramiko's own under the name
`peerparamiko`."""

import importlib
import io
import pkgutil
import sys

import peerparamiko
from manyhands import paramiko as ours

#: What servers consist of, and what tests import that look into paramiko's own protocol.
PEERS = {
    "": (
        "AuthHandler",
        "Packetizer",
        "InteractiveQuery",
        "SFTPHandle",
        "SFTPServer",
        "SFTPServerInterface",
        "ServerInterface",
        "SubsystemHandler",
    ),
    "sftp_server": ("SFTPServer",),
    "sftp_handle": ("SFTPHandle",),
    "sftp_si": ("SFTPServerInterface",),
    "auth_handler": (),
    "packet": (),
    "server": ("ServerInterface", "InteractiveQuery", "SubsystemHandler"),
}


def theirs(key):
    """One of our private keys as paramiko has it."""
    text = io.StringIO()
    key.write_private_key(text)
    text.seek(0)
    return getattr(peerparamiko, type(key).__name__).from_private_key(text)


#: What an `Either` does itself.
OF_BOTH = ("add_server_key", "start_server")


class Serving:
    """A server of a test, that is shown keys of users as Manyhands has them."""

    def __init__(self, server):
        self.__dict__["_server"] = server

    def __getattr__(self, name):
        return getattr(self._server, name)

    def __setattr__(self, name, value):
        setattr(self._server, name, value)

    def check_auth_publickey(self, username, key):
        shown = getattr(ours, type(key).__name__)(data=key.asbytes())
        if key.public_blob:
            blob = key.public_blob
            shown.public_blob = ours.PublicBlob(blob.key_type, blob.key_blob, blob.comment)
        return self._server.check_auth_publickey(username, shown)


def either(base, peer):
    """A class of connections that are ours, and become paramiko's when they are to serve."""

    class Either(base):
        def __init__(self, sock, *arguments, **named):
            super().__init__(sock, *arguments, **named)
            self._made_of = (arguments, named)

        def __getattribute__(self, name):
            served = object.__getattribute__(self, "__dict__").get("_served")
            if served is None or name in OF_BOTH or name.startswith("__"):
                return super().__getattribute__(name)
            return getattr(served, name)

        def __setattr__(self, name, value):
            served = self.__dict__.get("_served")
            if served is None:
                super().__setattr__(name, value)
            else:
                setattr(served, name, value)

        def add_server_key(self, key):
            if "_served" not in self.__dict__:
                arguments, named = self._made_of
                # What classes of tests do otherwise than a server, ours is to do, too.
                own = type(self).__mro__[: type(self).__mro__.index(Either)]
                body = {name: made for c in reversed(own) for name, made in vars(c).items()}
                served = type("Served", (peer,), body)
                self.__dict__["_served"] = served(self.sock, *arguments, **named)
            self.__dict__["_served"].add_server_key(theirs(key))

        def start_server(self, event=None, server=None):
            self.__dict__["_served"].start_server(event, Serving(server))

        def __del__(self):
            if "_served" not in self.__dict__:
                super().__del__()

    Either.__name__ = Either.__qualname__ = base.__name__
    return Either


def stand_in():
    """Before pytest loads the tests' conftest.py."""
    for module in pkgutil.iter_modules(ours.__path__):
        if not module.name.startswith("_"):
            name = f"manyhands.paramiko.{module.name}"
            sys.modules[f"paramiko.{module.name}"] = importlib.import_module(name)
    sys.modules["paramiko"] = ours
    for name, members in PEERS.items():
        source = importlib.import_module(f"peerparamiko.{name}".rstrip("."))
        target = ours if not name else sys.modules.setdefault(f"paramiko.{name}", source)
        for member in members:
            setattr(target, member, getattr(source, member))
    for name in ("Transport", "ServiceRequestingTransport"):
        made = either(getattr(ours, name), getattr(peerparamiko, name))
        setattr(ours, name, made)
        setattr(ours.transport, name, made)
    ours.client.Transport = ours.Transport


stand_in()
# What it reports of is the one that stands in.
from outcomes import pytest_runtest_makereport  # noqa: E402, F401
