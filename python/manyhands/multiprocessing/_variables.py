"""Context variables on their way to another process, which has variables of the same names.

A `ContextVar` does not know where it is kept: it is looked for among the globals of all modules.
One that is nowhere there stays behind, and so does a value that cannot be pickled.
"""

import importlib
import pickle
import sys
from contextvars import ContextVar
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Context
    from typing import Any

#: Module and name of each variable; None of those that are global nowhere.
_places: "dict[ContextVar[Any], tuple[str, str] | None]" = {}

#: The other way round: what this process has by these names.
_found: "dict[tuple[str, str], ContextVar[Any] | None]" = {}

#: So many variables are looked for in vain: a program that makes more makes them all the time.
_MOST_UNKNOWN = 256
_unknown = 0

#: Values that stay what they are.
_CONSTANT = frozenset((bool, bytes, float, int, str, type(None)))

#: The variables and values that were encoded last, and what they became, if all are constant.
_last: "tuple[list[tuple[ContextVar[Any], Any]], bytes | None]" = ([], None)


def encode(context: "Context") -> "bytes | None":
    """Return what another process is told of a context; None if that is nothing."""
    global _last
    known: list[tuple[ContextVar[Any], Any]] = []
    for variable, value in context.items():
        if _place(variable) is not None:
            known.append((variable, value))
    if not known:
        return None
    before, encoded = _last
    if len(before) == len(known) and all(
        one[0] is other[0] and one[1] is other[1] for one, other in zip(before, known, strict=True)
    ):
        return encoded
    told = []
    for variable, value in known:
        pickled = _pickled(value)
        if pickled is not None:
            told.append((_place(variable), pickled))
    encoded = pickle.dumps(told) if told else None
    if all(type(value) in _CONSTANT for _, value in known):
        _last = known, encoded
    return encoded


def decode(encoded: bytes) -> "list[tuple[ContextVar[Any], Any]]":
    """Return the variables and their values."""
    values = []
    for place, pickled in pickle.loads(encoded):
        variable = _found.get(place) or _find(place)
        if variable is not None:
            try:
                values.append((variable, pickle.loads(pickled)))
            except Exception:
                # Of something that this process has not.
                continue
    return values


def _pickled(value: object) -> "bytes | None":
    try:
        return pickle.dumps(value)
    except Exception:
        return None


def _place(variable: "ContextVar[Any]") -> "tuple[str, str] | None":
    """Return where a variable is global."""
    global _unknown
    if variable in _places:
        return _places[variable]
    if _unknown >= _MOST_UNKNOWN:
        return None
    place = _places[variable] = _search(variable)
    _unknown += place is None
    return place


def _search(variable: "ContextVar[Any]") -> "tuple[str, str] | None":
    """Look through all modules, the main one last."""
    main = None
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType):
            continue
        # Not by the module's own way: one that is to be loaded later would be loaded.
        try:
            names = object.__getattribute__(module, "__dict__")
        except AttributeError:
            # It says that it is a module, as libraries of cffi do.
            continue
        for attribute, value in list(names.items()):
            if value is variable:
                if name not in ("__main__", "__mp_main__"):
                    return name, attribute
                main = "__main__", attribute
    return main


def _find(place: "tuple[str, str]") -> "ContextVar[Any] | None":
    """Return this process's variable of that name."""
    module, name = place
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception:
        return None
    if not isinstance(found, ContextVar):
        return None
    _found[place] = found
    return found
