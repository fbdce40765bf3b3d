"""The standard library's own modules, also where ours stand under their names in `sys.modules`."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

#: The originals of the modules that the engine put ours in the place of.
ORIGINALS: "dict[str, ModuleType]" = {}

#: How the engine, where it is on, loads the originals of the modules that it mirrors.
LOADERS: "dict[str, Callable[[str], ModuleType]]" = {}


def threads_are_greenlets() -> bool:
    """Whether `gevent.monkey` has patched `threading`: our waits would stop all of them."""
    state = sys.modules.get("manyhands.gevent.monkey._state")
    return state is not None and bool(state.is_module_patched("threading"))


def original(name: str) -> "ModuleType":
    """The standard library's module of that name."""
    load = LOADERS.get(name)
    if load is not None:
        return load(name)
    __import__(name)
    return sys.modules[name]
