"""What observers learn of the pools and executors of this process."""

import itertools
import os
import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_numbers = itertools.count(1)

#: So many of the pools that have ended are told of.
MOST = 20


class _Pool:
    """A pool or executor that was made here."""

    def __init__(self, owner: "Any", native: "Any", kind: str) -> None:
        self._number = next(_numbers)
        self._kind = kind
        self._native = weakref.ref(native)
        self._tally = native.tally
        self._begun = time.monotonic()
        self.pid = os.getpid()
        #: For how many seconds it was there, once it has ended.
        self.ended: float | None = None
        self._owner = weakref.ref(owner, self._end)

    def _end(self, _: "Any" = None) -> None:
        if self.ended is None:
            self.ended = time.monotonic() - self._begun

    def told(self) -> "dict[str, Any]":
        """It as `manyhands_watch::state::Pool`."""
        owner, native = self._owner(), self._native()
        total, done, failed = self._tally.read()
        running, workers = 0, ()
        if owner is None or native is None:
            self._end()
        else:
            total, done, failed, running, is_over = native.progress()
            workers = getattr(owner, "_pool", None) or getattr(owner, "_threads", None) or ()
            if is_over:
                self._end()
        has_ended = self.ended is not None
        return {
            "id": self._number,
            "kind": self._kind,
            "workers": 0 if has_ended else len(workers),
            "done": done,
            "failed": failed,
            "running": 0 if has_ended else running,
            "waiting": 0 if has_ended else max(0, total - done - failed - running),
            "seconds": self.ended if has_ended else time.monotonic() - self._begun,
            "ended": has_ended,
        }


#: The pools that were made, oldest first.
_made: list[_Pool] = []


def note(owner: "Any", native: "Any", kind: str) -> None:
    """Have observers know of a pool from now on, also some time after it has ended."""
    ended = [pool for pool in _made if pool.ended is not None]
    for pool in ended[: max(0, len(ended) - MOST)]:
        _made.remove(pool)
    _made.append(_Pool(owner, native, kind))


def pools() -> "list[dict[str, Any]]":
    """The pools of this process."""
    return [pool.told() for pool in list(_made) if pool.pid == os.getpid()]
