"""Changes of dicts that nobody comes in between of, where it is Python that serves the dict."""

import threading

from manyhands._stdlib import original

_ForkingPickler = original("multiprocessing.reduction").ForkingPickler

#: What clients of ours may call of what has `__setitem__`, and the methods that do it.
OWN = {"increment": "increment", "#PEEK": "peek", "#SWAP": "swap", "#KEEP": "keep"}


class Changes:
    """One for a server. `lock` is held while dicts are used."""

    def __init__(self):
        # For what keys run when they are compared.
        self.lock = threading.RLock()

    def of(self, mapping):
        """Return what changes this one."""
        return _Changing(self.lock, mapping)


class _Changing:
    """Has the methods that the native dicts have.

    What tells two values apart is how they are pickled: who put back what was there before has
    changed nothing. So a value has no origin, either.
    """

    def __init__(self, lock, mapping):
        self._lock = lock
        self._mapping = mapping

    def increment(self, key, by=1):
        with self._lock:
            total = self._mapping[key] + by if key in self._mapping else by
            self._mapping[key] = total
            return total

    def peek(self, key):
        with self._lock:
            if key not in self._mapping:
                return 0, None, None
            return self._stamp(key), self._mapping[key], None

    def swap(self, key, stamp, value, changed=False):
        with self._lock:
            is_same = (self._stamp(key) if key in self._mapping else 0) == stamp
            if is_same:
                self._mapping[key] = value
            return is_same

    def keep(self, key, origin, value):
        # The dict was the native half's when this was asked for: what that knew is gone.
        with self._lock:
            self._mapping[key] = value

    def _stamp(self, key):
        return bytes(_ForkingPickler.dumps(self._mapping[key]))
