"""The server of a manager: the standard objects are served natively, everything else by Python.

The native half reads all requests. What it cannot answer by itself (objects of callables,
`repr`, comparisons of objects that only Python knows, arguments of unusual shapes) it hands to a
thread of Python that the connection gets for that, which does with it what the standard library's
server does. An object that is kept natively and of which something is wanted that only Python can
do becomes a Python object, for a moment if it is not changed by that, otherwise for good.
"""

import atexit
import importlib
import queue
import sys
import threading
from functools import partial
from traceback import format_exc

from manyhands import _native as _engine
from manyhands._stdlib import original as _original
from manyhands.multiprocessing._manager_changes import OWN, Changes
from manyhands.multiprocessing._manager_proxies import listener_client
from manyhands.multiprocessing._manager_tls import checked

_stdlib = _original("multiprocessing.managers")
_ForkingPickler = _original("multiprocessing.reduction").ForkingPickler
_native = _engine.multiprocessing
process = _original("multiprocessing.process")
util = _original("multiprocessing.util")
_ExceptionWithTraceback = _original("multiprocessing.pool").ExceptionWithTraceback

#: What callables make natively: their kind for the native half.
_CALLABLES = {
    list: "list",
    dict: "dict",
    set: "set",
    _stdlib.Namespace: "Namespace",
    _stdlib.Value: "Value",
    _stdlib.Array: "Array",
}
for _module, _kinds in (
    ("queue", ("Queue", "LifoQueue", "PriorityQueue")),
    (
        "threading",
        ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Barrier"),
    ),
):
    for _kind in _kinds:
        _CALLABLES[getattr(_original(_module), _kind)] = _kind
        _CALLABLES[getattr(importlib.import_module(f"manyhands.{_module}"), _kind)] = _kind

#: The classes of queues whose methods run nothing of the program's.
_QUEUES = frozenset(
    getattr(module, kind)
    for module in (_original("queue"), importlib.import_module("manyhands.queue"))
    for kind in ("Queue", "LifoQueue")
)

#: The one method of theirs that returns a shared object.
_ITERATES = {"__iter__": "Iterator"}


def _native_types(registry):
    """The names in a registry that the native half can serve: kind and exposed methods of each."""
    iterators = registry.get("Iterator")
    types = {}
    for typeid, (callable, exposed, method_to_typeid, _) in registry.items():
        try:
            kind = _CALLABLES.get(callable)
        except TypeError:
            continue
        if kind is None or (
            method_to_typeid
            and (method_to_typeid != _ITERATES or iterators is None or iterators[0] is not None)
        ):
            continue
        if exposed is None:
            example = callable() if kind not in ("Value", "Array", "Barrier") else None
            if example is None:
                continue
            exposed = _stdlib.public_methods(example)
        types[typeid] = (kind, [*exposed, *(method_to_typeid or ())])
    if iterators is not None and iterators[0] is None and iterators[1]:
        types["Iterator"] = ("Iterator", list(iterators[1]))
    return types


class _StopEvent(threading.Event):
    """Wakes the thread that hands out lanes, too."""

    def __init__(self, wake):
        super().__init__()
        self._wake = wake

    def set(self):
        super().set()
        self._wake()


class _Objects(dict):
    """The objects that are Python's; one that is kept natively becomes so when it is looked up."""

    def __init__(self, server):
        super().__init__({"0": (None, ())})
        self._server = server

    def __missing__(self, ident):
        return self._server._take_over(ident)


class _Lane:
    """The requests of one connection that are left to Python, in the shape of a connection."""

    def __init__(self, native):
        self.is_brief = native.is_brief()
        self.recv_bytes = native.recv_bytes
        self.send_bytes = native.send_bytes
        self.done = native.done

    def recv(self):
        return _ForkingPickler.loads(self.recv_bytes())

    def send(self, obj):
        self.send_bytes(bytes(_ForkingPickler.dumps(obj)))

    def close(self):
        """It is the native half that closes connections."""


class Server(_stdlib.Server):
    """Serves shared objects to the processes that connect to it.

    Server(registry, address, authkey, serializer, *, tls=None)

    As the standard library's class, whose clients may be at the other end; with one thread for all
    connections, and threads of Python only for those that call what only Python can do.

    Source: https://docs.python.org/3/library/multiprocessing.html#managers
    """

    def __init__(self, registry, address, authkey, serializer, *, tls=None):
        if not isinstance(authkey, bytes):
            raise TypeError(f"Authkey {authkey!r} is type {type(authkey)!s}, not bytes")
        self.registry = registry
        self.authkey = process.AuthenticationString(authkey)
        checked(tls, address, serializer)
        identity = None if tls is None else tls.identity()
        Listener, _ = listener_client[serializer]
        # Who connects is authenticated later.
        self.listener = Listener(address=address, backlog=1024)
        self.address = self.listener.address
        if tls is not None and address[0]:
            # By the name that is in the certificate.
            self.address = (address[0], self.address[1])
        self.id_to_obj = _Objects(self)
        self.id_to_refcount = {}
        self.id_to_local_proxy_obj = {}
        self.mutex = threading.Lock()
        self._taking_over = threading.RLock()
        self._changes = Changes()
        self._engine = None
        if serializer == "pickle":
            # A subclass that makes objects in its own way makes all of them.
            is_own = type(self).create is not Server.create
            types = {} if is_own else _native_types(registry)
            self._engine = _native.ManagerServer(
                self.listener._listener._socket.fileno(),
                bytes(authkey),
                types,
                identity=identity,
            )

    def serve_forever(self):
        """Serve until a client asks for the end, or Ctrl-C; ends the process (SystemExit)."""
        if self._engine is None:
            return super().serve_forever()
        self.stop_event = _StopEvent(self._engine.wake)
        process.current_process()._manager_server = self
        # Also where this is not the main thread, which may end the interpreter meanwhile.
        atexit.register(self._engine.stop)
        try:
            self._engine.start()
            try:
                while not (self.stop_event.is_set() or self._engine.has_ended):
                    lane = self._engine.next_lane()
                    if lane is not None:
                        threading.Thread(
                            target=self._serve_lane, args=(_Lane(lane),), daemon=True
                        ).start()
            except (KeyboardInterrupt, SystemExit):
                pass
        finally:
            self._engine.stop()
            atexit.unregister(self._engine.stop)
            if sys.stdout != sys.__stdout__:
                util.debug("resetting stdout, stderr")
                sys.stdout = sys.__stdout__
                sys.stderr = sys.__stderr__
            sys.exit(0)
        return None

    def serve_for_starter(self):
        """As `serve_forever`, but no longer than who started this process, and who is connected."""
        starter = process.parent_process()
        if self._engine is not None and starter is not None:
            self._engine.end_with(starter.pid)
        self.serve_forever()

    def _serve_lane(self, lane):
        """Answer what a connection wants of Python."""
        while not self.stop_event.is_set():
            try:
                request = lane.recv_bytes()
            except EOFError:
                return
            message = self._answer(lane, request)
            if message is None:
                lane.done()
                continue
            try:
                lane.send(message)
            except Exception:
                lane.send(("#UNSERIALIZABLE", format_exc()))

    def _answer(self, lane, request):
        """The answer to a request, None if there is to be none."""
        methodname = None
        try:
            ident, methodname, args, kwds, *_ = _ForkingPickler.loads(request)
            if lane.is_brief or ident is None:
                return self._manage(lane, methodname, args, kwds)
        except Exception:
            if methodname == "#decref":
                util.debug("decref failed: %s", format_exc())
                return None
            return ("#TRACEBACK", format_exc())
        return self._call(lane, ident, methodname, args, kwds)

    def _manage(self, lane, function, args, kwds):
        """Something that the server itself is asked for."""
        if function == "#decref":
            self.decref(lane, *args)
            return None
        assert function in self.public, f"{function!r} unrecognized"
        if function != "shutdown":
            return ("#RETURN", getattr(self, function)(lane, *args, **kwds))
        # Answers by itself, before it ends everything.
        getattr(self, function)(lane, *args, **kwds)
        return None

    def _call(self, lane, ident, methodname, args, kwds):
        obj = None
        try:
            obj, exposed, gettypeid = self._find(ident)
            if methodname in OWN and "__setitem__" in exposed:
                exposed, obj = OWN, self._changes.of(obj)
            if methodname not in exposed:
                raise AttributeError(
                    f"method {methodname!r} of {type(obj)!r} object is not in exposed={exposed!r}"
                )
            function = getattr(obj, OWN.get(methodname, methodname))
            try:
                if type(obj) is dict:
                    with self._changes.lock:
                        result = function(*args, **kwds)
                else:
                    result = function(*args, **kwds)
            except Exception as error:
                return ("#ERROR", _ExceptionWithTraceback(error, error.__traceback__))
            typeid = gettypeid and gettypeid.get(methodname, None)
            if typeid:
                rident, rexposed = self.create(lane, typeid, result)
                return ("#PROXY", (rexposed, _stdlib.Token(typeid, self.address, rident)))
            return ("#RETURN", result)
        except AttributeError:
            if methodname is None:
                return ("#TRACEBACK", format_exc())
            try:
                fallback = self.fallback_mapping[methodname]
                return ("#RETURN", fallback(self, lane, ident, obj, *args, **kwds))
            except Exception:
                return ("#TRACEBACK", format_exc())
        except Exception:
            return ("#TRACEBACK", format_exc())

    def _find(self, ident):
        """An object, its exposed methods, and which of them return shared objects."""
        if ident not in self.id_to_obj:
            state = self._engine.state(ident)
            exposed = self._engine.exposed(ident)
            if state is not None and exposed is not None:
                return _build(*state), set(exposed), None
        try:
            return self.id_to_obj[ident]
        except KeyError as error:
            try:
                return self.id_to_local_proxy_obj[ident]
            except KeyError:
                raise error from None

    def _take_over(self, ident):
        """Make an object that is kept natively a Python object."""
        with self._taking_over:
            if ident in self.id_to_obj:
                return self.id_to_obj[ident]
            taken = self._engine and self._engine.surrender(ident)
            if taken is None:
                raise KeyError(ident)
            kind, value, exposed, references = taken
            gettypeid = _ITERATES if "__iter__" in exposed and kind == "dict" else None
            entry = (_build(kind, value), set(exposed), gettypeid)
            util.debug("%r object with id %r is served by Python from now on", kind, ident)
            with self.mutex:
                if references:
                    self.id_to_refcount[ident] = references
                self.id_to_obj[ident] = entry
            return entry

    def keep(self, ident):
        """Keep an object of which something here has a proxy."""
        if self._engine is not None and self._engine.pin(ident):
            return
        if ident not in self.id_to_local_proxy_obj:
            self.id_to_local_proxy_obj[ident] = self.id_to_obj[ident]

    def debug_info(self, c):
        """The objects that are referred to, with the number of references."""
        entries = [super().debug_info(c)]
        for ident, references in sorted(self._engine.objects()) if self._engine else ():
            text = str(self._find(ident)[0])[:75]
            entries.append(f"  {ident}:       refcount={references}\n    {text}")
        return "\n".join(filter(None, entries))

    def number_of_objects(self, c):
        """How many objects are referred to."""
        natively = len(self._engine.objects()) if self._engine else 0
        return super().number_of_objects(c) + natively

    def create(self, c, typeid, /, *args, **kwds):
        """Make an object; its identity and its methods that may be called."""
        ident, exposed = super().create(c, typeid, *args, **kwds)
        if self._engine is not None and type(self.id_to_obj[ident][0]) in _QUEUES:
            self._engine.offer(ident, _calls_of_queue(self.id_to_obj[ident]))
        return ident, exposed

    def get_methods(self, c, token):
        """The methods of an object that may be called."""
        exposed = self._engine.exposed(token.id) if self._engine else None
        return super().get_methods(c, token) if exposed is None else tuple(exposed)

    def incref(self, c, ident):
        """One more reference to an object."""
        if self._engine is None or not self._engine.incref(ident):
            super().incref(c, ident)

    def decref(self, c, ident):
        """One reference less; an object that has none is forgotten."""
        if self._engine is None or not self._engine.decref(ident):
            super().decref(c, ident)
            if self._engine is not None and ident not in self.id_to_obj:
                self._engine.withdraw(ident)


def _calls_of_queue(entry):
    """What may be called of a queue instead of its methods, and raises where these would wait."""
    obj, exposed, method_to_typeid = entry
    waits = {"put": "put_nowait", "get": "get_nowait"}
    names = ("put", "get", "put_nowait", "get_nowait", "qsize", "empty", "full", "task_done")
    return {
        name: getattr(obj, waits.get(name, name))
        for name in names
        if name in exposed and name not in (method_to_typeid or ())
    }


Server.__module__ = "manyhands.multiprocessing.managers"


def _build(kind, pickled):
    """The Python object that a natively kept one is."""
    value = _ForkingPickler.loads(pickled)
    build = _BUILDERS.get(kind)
    return value if build is None else build(value)


def _build_queue(kind, value):
    built = getattr(queue, kind)(value["maxsize"])
    # As they are inside of such a queue, a heap too.
    built.queue.extend(value["items"])
    built.unfinished_tasks = value["unfinished_tasks"]
    if value["is_shutdown"] and hasattr(built, "shutdown"):
        built.shutdown()
    return built


def _build_lock(kind, value):
    """A lock in that state; who holds it there is nobody of here."""
    built = getattr(threading, kind)()
    if value:
        # By a thread that is gone, which cannot release it: nobody of here does.
        holder = threading.Thread(target=built.acquire, daemon=True)
        holder.start()
        holder.join()
    return built


def _build_event(value):
    built = threading.Event()
    if value:
        built.set()
    return built


def _build_barrier(value):
    parties, timeout, is_broken = value
    built = threading.Barrier(parties, timeout=timeout)
    if is_broken:
        built.abort()
    return built


def _build_bounded(value):
    free, most = value
    built = threading.BoundedSemaphore(most)
    for _ in range(most - free):
        built.acquire()
    return built


#: How Python objects are made of the values of natively kept ones; a list, dict, set is its value.
_BUILDERS = {
    "Queue": partial(_build_queue, "Queue"),
    "JoinableQueue": partial(_build_queue, "Queue"),
    "LifoQueue": partial(_build_queue, "LifoQueue"),
    "PriorityQueue": partial(_build_queue, "PriorityQueue"),
    "Namespace": lambda value: _stdlib.Namespace(**value),
    "Value": lambda value: _stdlib.Value(*value),
    "Array": lambda value: _stdlib.Array(*value),
    "Iterator": iter,
    "Lock": partial(_build_lock, "Lock"),
    "RLock": partial(_build_lock, "RLock"),
    "Condition": partial(_build_lock, "Condition"),
    "Semaphore": threading.Semaphore,
    "BoundedSemaphore": _build_bounded,
    "Event": _build_event,
    "Barrier": _build_barrier,
}
