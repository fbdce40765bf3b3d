"""What proxies of dicts do beside calling the dict's methods."""

from copy import deepcopy

from manyhands.multiprocessing._manager_nested import is_nested, known, nested, origin, plain

#: What a dict returns for a key that is not there, and no program stores.
_MISSING = ("#MISSING", "manyhands")


class SharedDict:
    """A dict, with changes that nobody else's can come in between of.

    With a server of ours the lists, dicts and sets that `[]`, `get` and `setdefault` return, and
    those in them, stay part of the shared dict: `d["a"]["b"].append(1)` changes it, all at once,
    and raises RuntimeError if somebody has put something else there meanwhile. What other methods
    return, copies, and what is pickled are plain. So are the members of a shared list.
    """

    def __getitem__(self, key):
        value = self._callmethod("__getitem__", (key,))
        if type(value) in nested and self._peer.is_ours:
            return known(value, self, key)
        return value

    def get(self, key, default=None, /):
        if type(default) not in nested and not is_nested(default):
            value = self._callmethod("get", (key, default))
        elif self._is_ours():
            value = self._callmethod("get", (key, _MISSING))
            if value == _MISSING:
                return deepcopy(plain(default))
        else:
            return self._callmethod("get", (key, plain(default)))
        if type(value) in nested and self._peer.is_ours:
            return known(value, self, key)
        return value

    def setdefault(self, key, default=None, /):
        value = self._callmethod("setdefault", (key, plain(default)))
        if type(value) in nested and self._peer.is_ours:
            return known(value, self, key)
        return value

    def __setitem__(self, key, value):
        if is_nested(value):
            # The end of `d[key] += [1]`: it is there already.
            before = origin(value, self, key)
            value = plain(value)
            if before is not None and self._peer.is_ours:
                self._callmethod("#KEEP", (key, before, value))
                return
        self._callmethod("__setitem__", (key, value))

    def increment(self, key, by=1):
        """Add to a number, 0 if there is none; return the sum. All at once, unlike `d[key] += by`.

        NotImplementedError if the server is the standard library's.
        """
        self._check_is_ours("increment")
        return self._callmethod("increment", (key, by))

    def update_with(self, key, function, default=None):
        """Set the key to function(value), and return that; value is `default` if there is none.

        The function is called again if somebody else has set the key meanwhile. NotImplementedError
        if the server is the standard library's.
        """
        self._check_is_ours("update_with")
        while True:
            stamp, value, *_ = self._callmethod("#PEEK", (key,))
            new = function(value if stamp else default)
            if self._callmethod("#SWAP", (key, stamp, new)):
                return new

    def _is_ours(self):
        if self._peer.is_ours is None:
            self._connect()
        return self._peer.is_ours

    def _check_is_ours(self, name):
        if not self._is_ours():
            raise NotImplementedError(
                f"{name}() needs a server of manyhands: that at {self._token.address!r} is the "
                "standard library's, which cannot change a value without others in between; use a "
                "Lock() of its manager"
            )
