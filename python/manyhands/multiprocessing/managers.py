"""Objects in a server process, and proxies of them.

The protocol between the two is that of the standard library, whose servers and clients may be at
the other end. The classes inherit from the standard library's; the exceptions, tokens and what
servers keep are its own.

Source: https://docs.python.org/3/library/multiprocessing.html#managers
"""

import signal

from manyhands import queue, threading
from manyhands._mirror import forward
from manyhands._stdlib import original
from manyhands.multiprocessing import connection, get_context, pool
from manyhands.multiprocessing._manager_client import (
    AbandonedLockWarning as AbandonedLockWarning,
    LostUpdateWarning as LostUpdateWarning,
    numbers,
)
from manyhands.multiprocessing._manager_link import ServerLost as ServerLost, Way, dispatch
from manyhands.multiprocessing._manager_proxies import (
    AcquirerProxy,
    ArrayProxy,
    AutoProxy,
    BarrierProxy,
    BaseListProxy as BaseListProxy,
    BasePoolProxy as BasePoolProxy,
    BaseProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    IteratorProxy,
    ListProxy,
    MakeProxyType as MakeProxyType,
    NamespaceProxy,
    PoolProxy,
    RebuildProxy as RebuildProxy,
    SetProxy,
    ValueProxy,
    listener_client,
    peer_at,
    proxy_given,
)
from manyhands.multiprocessing._manager_server import Server
from manyhands.multiprocessing._manager_tls import TLS as TLS, checked, trust

_original = original("multiprocessing.managers")
_context = original("multiprocessing.context")
process = original("multiprocessing.process")
util = original("multiprocessing.util")

__all__ = ["BaseManager", "BaseProxy", "SharedMemoryManager", "SyncManager", "Token"]

# What has no need to be another.
Array = _original.Array
Namespace = _original.Namespace
ProcessError = _context.ProcessError
ProcessLocalSet = _original.ProcessLocalSet
RemoteError = _original.RemoteError
State = _original.State
Token = _original.Token
Value = _original.Value
all_methods = _original.all_methods
convert_to_error = _original.convert_to_error
public_methods = _original.public_methods


class BaseManager(_original.BaseManager):
    """Starts, or connects to, a server process, and makes objects there.

    With `tls`, a TLS(), connections are encrypted, and clients make sure that the server is the
    one that they mean; the server and all its clients have to be of manyhands then.
    """

    _registry = {}  # noqa: RUF012
    _Server = Server
    _process = None

    def __init__(
        self,
        address=None,
        authkey=None,
        serializer="pickle",
        ctx=None,
        *,
        shutdown_timeout=1.0,
        tls=None,
    ):
        checked(tls, address, serializer)
        if authkey is None:
            authkey = process.current_process().authkey
        # Of a server that is not started yet this may not say all (a port of 0).
        self._address = address
        self._authkey = process.AuthenticationString(authkey)
        self._state = State()
        self._state.value = State.INITIAL
        self._serializer = serializer
        self._Listener, self._Client = listener_client[serializer]
        self._ctx = ctx or get_context()
        self._shutdown_timeout = shutdown_timeout
        self._way = Way(self._Client, self._authkey, serializer)
        self._tls = tls

    def _check_is_new(self):
        state = self._state.value
        if state == State.STARTED:
            raise ProcessError(f"Already started {self._noun}")
        if state == State.SHUTDOWN:
            raise ProcessError(f"{self._self_noun} has shut down")
        if state != State.INITIAL:
            raise ProcessError(f"Unknown state {state!r}")

    _noun, _self_noun = "server", "Manager"

    def get_server(self):
        """Return the server, to be run in this process by its serve_forever()."""
        self._check_is_new()
        options = {} if self._tls is None else {"tls": self._tls}
        return self._Server(
            self._registry, self._address, self._authkey, self._serializer, **options
        )

    def connect(self):
        """Connect to a server that runs already."""
        peer = peer_at(self._address)
        self._way = Way(listener_client[self._serializer][1], self._authkey, self._serializer)
        is_new = peer.local.link is None
        before, peer.tls = peer.tls, self._tls
        try:
            if not is_new and trust(before) != trust(self._tls):
                # The connection that there is says nothing of whom this one trusts.
                self._way.connect(self._address, self._tls).close()
            peer.link(self._way)
        except BaseException:
            peer.tls = before
            raise
        if not is_new:
            self._ask("dummy")
        self._use(peer)
        self._state.value = State.STARTED

    def _use(self, peer):
        """Keep this thread's connection as long as there is this manager."""
        number = next(numbers)
        peer.users.add(number)
        util.Finalize(self, peer.leave, args=(number,))

    def start(self, initializer=None, initargs=()):
        """Start a process that runs the server."""
        self._check_is_new()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")

        options = {}
        if self._tls is not None:
            # What is wrong with it is said here, and not by the process.
            self._tls.identity()
            options["tls"] = self._tls

        # Tells the server's address.
        reader, writer = connection.Pipe(duplex=False)
        self._process = self._ctx.Process(
            target=type(self)._run_server,
            args=(
                self._registry,
                self._address,
                self._authkey,
                self._serializer,
                writer,
                initializer,
                initargs,
            ),
            kwargs=options,
        )
        identity = ":".join(str(number) for number in self._process._identity)
        self._process.name = f"{type(self).__name__}-{identity}"
        self._process.start()
        writer.close()
        self._address = reader.recv()
        reader.close()

        self._state.value = State.STARTED
        self.shutdown = util.Finalize(
            self,
            type(self)._finalize_manager,
            args=(
                self._process,
                self._address,
                self._authkey,
                self._state,
                self._Client,
                self._shutdown_timeout,
                self._tls,
            ),
            exitpriority=0,
        )
        # One of an earlier server of that address knows nothing of this one.
        BaseProxy._address_to_local.pop(self._address, None)
        peer = peer_at(self._address)
        peer.tls = self._tls
        self._use(peer)

    @classmethod
    def _run_server(
        cls,
        registry,
        address,
        authkey,
        serializer,
        writer,
        initializer=None,
        initargs=(),
        **options,
    ):
        """Make a server, tell its address, and run it."""
        # Ctrl-C is for the program, which shuts the server down.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if initializer is not None:
            initializer(*initargs)
        server = cls._Server(registry, address, authkey, serializer, **options)
        writer.send(server.address)
        writer.close()
        util.info("manager serving at %r", server.address)
        getattr(server, "serve_for_starter", server.serve_forever)()

    def _ask(self, funcname, args=(), kwds={}):  # noqa: B006
        return peer_at(self._address).manage(self._way, funcname, args, kwds)

    def _create(self, typeid, /, *args, **kwds):
        """Make an object in the server; return its token and what it exposes."""
        assert self._state.value == State.STARTED, "server not yet started"
        ident, exposed = self._ask("create", (typeid, *args), kwds)
        return Token(typeid, self._address, ident), exposed

    def join(self, timeout=None):
        """Wait until the server's process has ended, if this manager has started one."""
        if self._process is not None:
            self._process.join(timeout)
            if not self._process.is_alive():
                self._process = None

    def _debug_info(self):
        """Return a text about the server's objects."""
        return self._ask("debug_info")

    def _number_of_objects(self):
        """Return how many objects the server keeps."""
        return self._ask("number_of_objects")

    def __enter__(self):
        if self._state.value == State.INITIAL:
            self.start()
        if self._state.value == State.INITIAL:
            raise ProcessError("Unable to start server")
        if self._state.value != State.STARTED:
            self._check_is_new()
        return self

    @staticmethod
    def _finalize_manager(
        process, address, authkey, state, _Client, shutdown_timeout=1.0, tls=None
    ):
        """Shut the server down, by force if it does not do so in time."""
        peer = BaseProxy._address_to_local.pop(address, None)
        if process.is_alive():
            util.info("sending shutdown message to manager")
            try:
                way = Way(_Client, authkey, "pickle")
                ending = way.connect_in_haste(address, shutdown_timeout, tls)
                try:
                    dispatch(ending, None, "shutdown")
                finally:
                    ending.close()
            except Exception as error:
                util.debug("... shutdown failed: %s", error)
            process.join(timeout=shutdown_timeout)
            if process.is_alive():
                util.info("manager still alive")
                if hasattr(process, "terminate"):
                    util.info("trying to `terminate()` manager process")
                    process.terminate()
                    process.join(timeout=shutdown_timeout)
                    if process.is_alive():
                        util.info("manager still alive after terminate")
                        process.kill()
                        process.join()
        state.value = State.SHUTDOWN
        if peer is not None:
            peer.end()

    @property
    def address(self):
        """Where the server listens."""
        return self._address

    @classmethod
    def register(
        cls,
        typeid,
        callable=None,
        proxytype=None,
        exposed=None,
        method_to_typeid=None,
        create_method=True,
    ):
        """Let managers of this class make objects of a kind, by a method of the kind's name."""
        if "_registry" not in cls.__dict__:
            cls._registry = cls._registry.copy()
        if proxytype is None:
            proxytype = AutoProxy
        exposed = exposed or getattr(proxytype, "_exposed_", None)
        method_to_typeid = method_to_typeid or getattr(proxytype, "_method_to_typeid_", None)
        if method_to_typeid:
            for names in method_to_typeid.items():
                for name in names:
                    assert type(name) is str, f"{name!r} is not a string"
        cls._registry[typeid] = (callable, exposed, method_to_typeid, proxytype)
        if not create_method:
            return

        def make(self, /, *args, **kwds):
            util.debug("requesting creation of a shared %r object", typeid)
            token, exposed = self._create(typeid, *args, **kwds)
            return proxy_given(
                peer_at(token.address),
                self._way,
                token,
                proxytype,
                self._serializer,
                manager=self,
                authkey=self._authkey,
                exposed=exposed,
            )

        make.__name__ = typeid
        setattr(cls, typeid, make)


class SyncManager(BaseManager, _original.SyncManager):
    """A manager of the usual types: containers, queues, what synchronises threads, pools.

    `multiprocessing.Manager()` returns one that is started.
    """


SyncManager.register("Queue", queue.Queue)
SyncManager.register("JoinableQueue", queue.Queue)
SyncManager.register("Event", threading.Event, EventProxy)
SyncManager.register("Lock", threading.Lock, AcquirerProxy)
SyncManager.register("RLock", threading.RLock, AcquirerProxy)
SyncManager.register("Semaphore", threading.Semaphore, AcquirerProxy)
SyncManager.register("BoundedSemaphore", threading.BoundedSemaphore, AcquirerProxy)
SyncManager.register("Condition", threading.Condition, ConditionProxy)
SyncManager.register("Barrier", threading.Barrier, BarrierProxy)
SyncManager.register("Pool", pool.Pool, PoolProxy)
SyncManager.register("list", list, ListProxy)
SyncManager.register("dict", dict, DictProxy)
SyncManager.register("set", set, SetProxy)
SyncManager.register("Value", Value, ValueProxy)
SyncManager.register("Array", Array, ArrayProxy)
SyncManager.register("Namespace", Namespace, NamespaceProxy)

# What methods of these return.
SyncManager.register("Iterator", proxytype=IteratorProxy, create_method=False)
SyncManager.register("AsyncResult", create_method=False)

from manyhands.multiprocessing._manager_memory import (  # noqa: E402
    SharedMemoryManager,
    SharedMemoryServer as SharedMemoryServer,
    _SharedMemoryTracker as _SharedMemoryTracker,
)

# Pickles name them so, and so do programs.
for _thing in list(globals().values()):
    if getattr(_thing, "__module__", None) == "manyhands.multiprocessing._manager_proxies":
        _thing.__module__ = __name__

forward(globals(), _original)
