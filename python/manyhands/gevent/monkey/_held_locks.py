"""Hands locks that were made, and perhaps are held, before patching over to greenlets."""

import gc
import importlib._bootstrap as bootstrap


def hand_over(threading):
    """Make the locks of this one thread those of its greenlet."""
    # Whoever forks takes this one, and so does who starts a worker: it must never make a greenlet
    # wait inside of a fork. The hooks keep the old one, which nobody else takes any more.
    import concurrent.futures.thread as executors

    if hasattr(executors, "_global_shutdown_lock"):
        executors._global_shutdown_lock = threading._allocate_lock()
    # Held while a thread starts and ends, by which other greenlets may come to run.
    threading._active_limbo_lock = threading.RLock()
    ident = threading.get_ident()
    rlock = type(threading.RLock())
    for thing in gc.get_objects():
        kind = type(thing)
        if kind is bootstrap._ModuleLock:
            if thing.owner is not None:
                thing.owner = ident
        elif issubclass(kind, rlock) and getattr(thing, "_owner", None) is not None:
            thing._owner = ident
