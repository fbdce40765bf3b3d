"""The server of a manager."""

import threading

from manyhands._stdlib import original
from manyhands.multiprocessing._manager_proxies import listener_client

_original = original("multiprocessing.managers")
process = original("multiprocessing.process")


class Server(_original.Server):
    """Runs in a manager's process, keeps the objects, and does what clients ask for."""

    def __init__(self, registry, address, authkey, serializer):
        if not isinstance(authkey, bytes):
            raise TypeError(f"Authkey {authkey!r} is type {type(authkey)!s}, not bytes")
        self.registry = registry
        self.authkey = process.AuthenticationString(authkey)
        Listener, _ = listener_client[serializer]
        # Who connects is authenticated in a thread of its own.
        self.listener = Listener(address=address, backlog=128)
        self.address = self.listener.address
        self.id_to_obj = {"0": (None, ())}
        self.id_to_refcount = {}
        self.id_to_local_proxy_obj = {}
        self.mutex = threading.Lock()


Server.__module__ = "manyhands.multiprocessing.managers"
