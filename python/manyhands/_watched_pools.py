"""What observers learn of the pools and executors of this process."""

import itertools
import os
import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_numbers = itertools.count(1)

#: The pools that were made, by number: the pool, what is native of it, its class, when and in which
#: process it was made. A pool that is gone is forgotten.
_made: "dict[int, Any]" = {}


def note(owner: "Any", native: "Any", kind: str) -> None:
    """Have observers know of a pool from now on."""
    number = next(_numbers)
    reference = weakref.ref(owner, lambda _: _made.pop(number, None))
    _made[number] = reference, weakref.ref(native), kind, time.monotonic(), os.getpid()


def pools() -> "list[dict[str, Any]]":
    """The pools of this process that can do something still, as `manyhands_watch::state::Pool`."""
    told = []
    for number, (reference, native, kind, begun, pid) in list(_made.items()):
        owner, native = reference(), native()
        if owner is None or native is None or pid != os.getpid():
            continue
        total, done, failed, running, is_over = native.progress()
        if is_over:
            continue
        workers = getattr(owner, "_pool", None) or getattr(owner, "_threads", None) or ()
        told.append(
            {
                "id": number,
                "kind": kind,
                "workers": len(workers),
                "done": done,
                "failed": failed,
                "running": running,
                "waiting": max(0, total - done - failed - running),
                "seconds": time.monotonic() - begun,
            }
        )
    return told
