"""A resolver that asks the system in threads of the hub's pool."""

import _socket

from manyhands.gevent._hub_local import get_hub
from manyhands.gevent.resolver import _NUMERIC, is_numeric

__all__ = ["Resolver"]


class Resolver:
    """Asks the system in threads of the hub's pool; not for what needs no asking."""

    def __init__(self, hub=None):
        self._hub = get_hub() if hub is None else hub
        # That a name is not known is for who asked, nothing for the hub to print.
        errors = (_socket.gaierror, _socket.herror)
        if errors[0] not in self._hub.NOT_ERROR:
            self._hub.NOT_ERROR += errors

    @property
    def pool(self):
        """The hub's pool of threads, made when it is first needed."""
        return self._hub.threadpool

    def __repr__(self):
        kind = type(self)
        pool = self._hub._threadpool
        return f"<{kind.__module__}.{kind.__name__} at {id(self):#x} pool={pool!r}>"

    def close(self):
        """Nothing to give back."""

    def gethostbyname(self, *args):
        if len(args) == 1 and args[0] is not None and is_numeric(args[0]):
            return _socket.gethostbyname(*args)
        return self.pool.apply(_socket.gethostbyname, args)

    def gethostbyname_ex(self, *args):
        return self.pool.apply(_socket.gethostbyname_ex, args)

    def getaddrinfo(self, host, port, family=0, socktype=0, proto=0, flags=0):
        args = (host, port, family, socktype, proto, flags)
        if is_numeric(host) or (isinstance(flags, int) and flags & _NUMERIC):
            return _socket.getaddrinfo(*args)
        return self.pool.apply(_socket.getaddrinfo, args)

    def gethostbyaddr(self, *args, **kwargs):
        return self.pool.apply(_socket.gethostbyaddr, args, kwargs)

    def getnameinfo(self, *args, **kwargs):
        return self.pool.apply(_socket.getnameinfo, args, kwargs)
