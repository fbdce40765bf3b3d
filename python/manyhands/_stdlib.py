"""The standard library's own modules, also where ours stand under their names in `sys.modules`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

#: The originals of the modules that the engine put ours in the place of.
ORIGINALS: dict[str, ModuleType] = {}


def original(name: str) -> ModuleType:
    """The standard library's module of that name."""
    module = ORIGINALS.get(name)
    if module is None:
        import_module(name)  # under the engine, this fills ORIGINALS
        module = ORIGINALS.get(name) or sys.modules[name]
    return module
