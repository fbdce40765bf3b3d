"""Processes, and what they share: the standard library's `multiprocessing` on the Rust engine.

The modules of this package have the names of the standard library's. Those that hold state of which
an interpreter may have only one (`process`, `util`, `reduction`, the resource tracker and sharer)
or that has nothing of its own (`dummy`) are the standard library's own module
objects; all others are ours.

Source: https://docs.python.org/3/library/multiprocessing.html
"""

import sys
from importlib import import_module as _import_module

# Programs use these two without importing them: they are there as soon as the package is.
from manyhands.multiprocessing import context, process as process, reduction as reduction

__all__ = [name for name in dir(context._default_context) if not name.startswith("_")]

globals().update((name, getattr(context._default_context, name)) for name in __all__)

#: What programs find there because the standard library imports it on the way.
_ON_THE_WAY = frozenset(
    (
        "connection",
        "dummy",
        "managers",
        "pool",
        "queues",
        "resource_sharer",
        "resource_tracker",
        "synchronize",
        "util",
    )
)


def __getattr__(name):
    if name in _ON_THE_WAY:
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# The levels of what util.debug() and util.sub_warning() log.
SUBDEBUG = 5
SUBWARNING = 25

# By this name a child knows its parent's main module, so it is there for pickle in the parent too.
if "__main__" in sys.modules:
    sys.modules["__mp_main__"] = sys.modules["__main__"]
