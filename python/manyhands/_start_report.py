"""The table that `manyhands run --engine` prints: which module comes from where."""

import os
import sys
from _frozen_importlib import ModuleSpec

from manyhands._start_imports import MirrorFinder, is_stdlib
from manyhands._start_stand_ins import STAND_INS, StandInFinder, find_ours


def report(mirrored: tuple[str, ...]) -> str:
    """The table's text. Imports none of the modules."""
    version = ".".join(map(str, sys.version_info[:3]))
    lines = [f"the engine is on in {sys.executable} (Python {version})"]
    rows = [(name, *_row(name, True)) for name in mirrored]
    rows += [_stand_in_row(name) for name in STAND_INS]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, source, path in rows:
        lines.append(f"  {name:{widths[0]}}  {source:{widths[1]}}  {path}".rstrip())
    return "\n".join(lines)


def _row(name: str, mirrored: bool) -> tuple[str, str]:
    if mirrored and name in sys.modules:
        return "stdlib", str(getattr(sys.modules[name], "__file__", ""))
    spec = _find(name)
    if spec is None:
        return "not installed", ""
    if not is_stdlib(spec):
        return "the program's own" if mirrored else "installed", spec.origin or ""
    if mirrored:
        path = os.path.join(os.path.dirname(__file__), *name.split("."))
        package = spec.submodule_search_locations is not None
        return "manyhands", os.path.join(path, "__init__.py") if package else f"{path}.py"
    return "stdlib", spec.origin or ""


def _stand_in_row(name: str) -> tuple[str, str, str]:
    for finder in sys.meta_path:
        if isinstance(finder, StandInFinder) and name in finder.packages:
            spec = find_ours(name)
            if spec is not None:
                return name, "manyhands", spec.origin or ""
    return name, *_row(name, False)


def _find(name: str) -> ModuleSpec | None:
    """Finds a module as it would be found without the engine, and without importing its parent."""
    parent = name.rpartition(".")[0]
    path = None
    if parent:
        found = _find(parent)
        if found is None:
            return None
        path = found.submodule_search_locations
    for finder in sys.meta_path:
        if not isinstance(finder, (StandInFinder, MirrorFinder)) and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path)
            if spec is not None:
                return spec
    return None
