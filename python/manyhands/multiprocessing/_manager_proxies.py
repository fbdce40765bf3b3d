"""Proxies of objects that a manager's server keeps.

They inherit from the standard library's, so that whoever asks for those finds them, and take from
these which methods there are; how a method is called is `BaseProxy._callmethod`.
"""

import threading

from manyhands import _native as _engine
from manyhands._stdlib import original
from manyhands.multiprocessing import connection
from manyhands.multiprocessing._manager_client import (
    Peer,
    heed,
    name_for_others,
    numbers,
    result_of,
)
from manyhands.multiprocessing._manager_dict import SharedDict
from manyhands.multiprocessing._manager_link import Way
from manyhands.multiprocessing._manager_tls import TLS, trust

sends_to_others = _engine.multiprocessing.sends_to_others
_stdlib = original("multiprocessing.managers")
_context = original("multiprocessing.context")
_process = original("multiprocessing.process")
_util = original("multiprocessing.util")

#: The classes of listeners and clients, by the name of a serializer.
listener_client = {
    "pickle": (connection.Listener, connection.Client),
    "xmlrpclib": (connection.XmlListener, connection.XmlClient),
}


class BaseProxy(_stdlib.BaseProxy):
    """A base for proxies of shared objects."""

    _address_to_local = {}  # noqa: RUF012
    _mutex = _util.ForkAwareThreadLock()

    def __init__(
        self,
        token,
        serializer,
        manager=None,
        authkey=None,
        exposed=None,
        incref=True,
        manager_owned=False,
    ):
        self._peer = peer_at(token.address)
        self._token = token
        self._id = token.id
        self._manager = manager
        self._serializer = serializer
        self._Client = listener_client[serializer][1]
        # Made in the process of the server itself, which has no need to count it.
        self._owned_by_manager = manager_owned

        if authkey is not None:
            self._authkey = _process.AuthenticationString(authkey)
        elif manager is not None:
            self._authkey = manager._authkey
        elif self._peer.local.link is not None and self._peer.local.link.way.authkey is not None:
            # It came over this one, or could have.
            self._authkey = self._peer.local.link.way.authkey
        else:
            self._authkey = _process.current_process().authkey

        self._way = Way(self._Client, self._authkey, serializer)
        # By these names, as programs know them.
        self._tls = self._peer.local
        self._idset = self._peer.users

        if incref:
            self._incref()
        _util.register_after_fork(self, BaseProxy._after_fork)

    def _connect(self):
        _util.debug("making connection to manager")
        self._peer.link(self._way)

    def _callmethod(self, methodname, args=(), kwds={}):  # noqa: B006
        """Call a method of the object and return a copy of what it returns."""
        link = self._tls.link
        if link is None:
            _util.debug("thread %r does not own a connection", threading.current_thread().name)
            self._connect()
            link = self._tls.link
        return link.call(self, self._id, methodname, args, kwds)

    def _settle(self, answer):
        """Do as an answer says that is not just a result."""
        if len(answer) > 2 and answer[2]:
            heed(answer[2], self._token)
        if answer[0] == "#RETURN":
            return answer[1]
        if answer[0] == "#PROXY":
            exposed, token = answer[1]
            token.address = self._token.address
            if self._manager is None:
                # It was pickled, and the kind of object may be known all the same.
                make = IteratorProxy if token.typeid == "Iterator" else AutoProxy
            else:
                make = self._manager._registry[token.typeid][-1]
            return proxy_given(
                self._peer,
                self._way,
                token,
                make,
                self._serializer,
                manager=self._manager,
                authkey=self._authkey,
                exposed=exposed,
            )
        try:
            return result_of(answer)
        finally:
            # An exception that refers to this frame is a cycle otherwise.
            del answer

    def _getvalue(self):
        """Return a copy of the object."""
        return self._callmethod("#GETVALUE")

    def _incref(self):
        if self._owned_by_manager:
            _util.debug("owned_by_manager skipped INCREF of %r", self._token.id)
            return
        if not self._peer.take(self._token):
            self._peer.manage(self._way, "incref", (self._id,))
            _util.debug("INCREF %r", self._token.id)
        number = next(numbers)
        self._idset.add(number)
        state = self._manager and self._manager._state
        self._close = _util.Finalize(
            self,
            BaseProxy._decref,
            args=(self._id, number, state, self._peer, self._way),
            exitpriority=10,
        )

    @staticmethod
    def _decref(ident, number, state, peer, way):
        if state is not None and state.value != _stdlib.State.STARTED:
            _util.debug("DECREF %r -- manager already shutdown", ident)
        else:
            _util.debug("DECREF %r", ident)
            try:
                peer.give_back(way, ident)
            except Exception as error:
                _util.debug("... decref failed %s", error)
        peer.leave(number)

    def _after_fork(self):
        self._manager = None
        try:
            self._incref()
        except Exception as error:
            # It may be of a manager that has been shut down.
            _util.info("incref failed: %s", error)

    def __reduce__(self):
        kwds = {}
        if _context.get_spawning_popen() is not None:
            kwds["authkey"] = self._authkey
        if self._peer.tls is not None:
            kwds["tls"] = trust(self._peer.tls)
        if getattr(self, "_isauto", False):
            kwds["exposed"] = self._exposed_
            make = AutoProxy
        else:
            make = type(self)
        rebuild = RebuildProxy
        if sends_to_others():
            rebuild, make = name_for_others(rebuild), name_for_others(make)
        return rebuild, (make, self._token, self._serializer, kwds)

    def __str__(self):
        try:
            return self._callmethod("__repr__")
        except Exception:
            return repr(self)[:-1] + "; '__str__()' failed>"


def peer_at(address):
    """Return the server at an address, as this process sees it."""
    peer = BaseProxy._address_to_local.get(address)
    if peer is None:
        with BaseProxy._mutex:
            peer = BaseProxy._address_to_local.get(address)
            if peer is None:
                users = _stdlib.ProcessLocalSet()
                peer = BaseProxy._address_to_local[address] = Peer(address, users)
    return peer


def proxy_given(peer, way, token, make, serializer, **options):
    """Return a new proxy, which takes over the reference that came with the token."""
    before, peer.local.given = peer.local.given, token
    try:
        proxy = make(token, serializer, **options)
        is_left = peer.take(token)
    except BaseException:
        if peer.take(token):
            peer.give_back(way, token.id)
        raise
    finally:
        peer.local.given = before
    if is_left:
        # It counts by itself: a class of the standard library's, for example.
        peer.manage(way, "decref", (token.id,))
    return proxy


def RebuildProxy(func, token, serializer, kwds):
    """Return the proxy that was pickled."""
    current = _process.current_process()
    server = getattr(current, "_manager_server", None)
    ca = kwds.pop("tls", None)
    if ca is not None and peer_at(token.address).tls is None:
        peer_at(token.address).tls = TLS(ca=ca or None)
    if server and server.address == token.address:
        _util.debug("Rebuild a proxy owned by manager, token=%r", token)
        kwds["manager_owned"] = True
        server.keep(token.id)
    incref = kwds.pop("incref", True) and not getattr(current, "_inheriting", False)
    return func(token, serializer, incref=incref, **kwds)


def MakeProxyType(name, exposed, _cache={}):  # noqa: B006
    """Return a class of proxies that have the methods of these names."""
    exposed = tuple(exposed)
    made = _cache.get((name, exposed))
    if made is None:
        made = type(name, (BaseProxy,), {method: _calling(method) for method in exposed})
        made._exposed_ = exposed
        made.__module__ = "manyhands.multiprocessing.managers"
        _cache[name, exposed] = made
    return made


def _calling(name):
    def method(self, /, *args, **kwds):
        return self._callmethod(name, args, kwds)

    method.__name__ = method.__qualname__ = name
    return method


def AutoProxy(
    token,
    serializer,
    manager=None,
    authkey=None,
    exposed=None,
    incref=True,
    manager_owned=False,
):
    """Return a proxy that has all methods that the server exposes of the object."""
    if exposed is None:
        way = Way(listener_client[serializer][1], authkey, serializer)
        exposed = peer_at(token.address).manage(way, "get_methods", (token,))
    if authkey is None and manager is not None:
        authkey = manager._authkey
    if authkey is None:
        authkey = _process.current_process().authkey
    make = MakeProxyType(f"AutoProxy[{token.typeid}]", exposed)
    proxy = make(
        token,
        serializer,
        manager=manager,
        authkey=authkey,
        incref=incref,
        manager_owned=manager_owned,
    )
    proxy._isauto = True
    return proxy


class IteratorProxy(BaseProxy, _stdlib.IteratorProxy):
    """An iterator, or generator."""


class AcquirerProxy(BaseProxy, _stdlib.AcquirerProxy):
    """A lock, or what is acquired and released as one."""


class ConditionProxy(AcquirerProxy, _stdlib.ConditionProxy):
    """A condition."""


class EventProxy(BaseProxy, _stdlib.EventProxy):
    """An event."""


class BarrierProxy(BaseProxy, _stdlib.BarrierProxy):
    """A barrier."""


class NamespaceProxy(BaseProxy, _stdlib.NamespaceProxy):
    """A namespace: attributes without an underscore in front are those of the object."""


class ValueProxy(BaseProxy, _stdlib.ValueProxy):
    """A value."""


class BaseListProxy(BaseProxy, _stdlib.BaseListProxy):
    """What a list has beside what changes it in place."""


class ListProxy(BaseListProxy, _stdlib.ListProxy):
    """A list."""


class DictProxy(SharedDict, BaseProxy, _stdlib.DictProxy):
    __doc__ = SharedDict.__doc__


class ArrayProxy(BaseProxy, _stdlib.ArrayProxy):
    """An array."""


class BasePoolProxy(BaseProxy, _stdlib.BasePoolProxy):
    """A pool."""


class PoolProxy(BasePoolProxy, _stdlib.PoolProxy):
    """A pool that is terminated at the end of a block."""


def _changing_in_place(name):
    def method(self, value):
        self._callmethod(name, (value,))
        return self

    method.__name__ = method.__qualname__ = name
    return method


if hasattr(_stdlib, "SetProxy"):

    class SetProxy(BaseProxy, _stdlib.SetProxy):
        """A set."""

else:
    _METHODS = (
        "__and__ __contains__ __ge__ __gt__ __iand__ __ior__ __isub__ __iter__ __ixor__ __le__ "
        "__len__ __lt__ __or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ add clear copy "
        "difference difference_update discard intersection intersection_update isdisjoint "
        "issubset issuperset pop remove symmetric_difference symmetric_difference_update union "
        "update"
    )

    class SetProxy(MakeProxyType("_BaseSetProxy", _METHODS.split())):
        """A set."""

        _method_to_typeid_ = {"__iter__": "Iterator"}  # noqa: RUF012
        __class_getitem__ = classmethod(type(list[int]))

    for _name in ("__iand__", "__ior__", "__isub__", "__ixor__"):
        setattr(SetProxy, _name, _changing_in_place(_name))
