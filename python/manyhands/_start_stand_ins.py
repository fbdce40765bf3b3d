"""Gives whoever imports `gevent` or `paramiko` our package of that name, installed or not.

`gevent.pool` is the module `manyhands.gevent.pool` under a second name. Only gevent's own test
suite, `gevent.tests` and `gevent.testing`, is the installed one's, so that it can be run against
ours. A program that has a package of that name of its own, which was not installed, gets that.
"""

import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from importlib.abc import Loader
    from types import CodeType, ModuleType
    from typing import Any
else:
    Loader = object

#: The packages, each with what it needs.
STAND_INS = {
    "gevent": ("greenlet", "manyhands._native"),
    "paramiko": ("manyhands._native",),
}

#: What is not ours: to be found where gevent is installed.
INSTALLED = ("gevent.testing", "gevent.tests")


#: `from gevent import testing` asks for it in the name that our package has itself.
_SECOND_NAMES = {f"manyhands.{name}": name for name in INSTALLED}


class StandInFinder:
    """Finds our modules under the names of others."""

    def __init__(self, packages: "Collection[str]" = tuple(STAND_INS)) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """Part of the import system's protocol."""
        if name in _SECOND_NAMES:
            return ModuleSpec(name, _SecondLoader(_SECOND_NAMES[name]))
        package = name.partition(".")[0]
        if package not in self.packages:
            return None
        if name in INSTALLED:
            return find_installed(name)
        if name.startswith(tuple(f"{other}." for other in INSTALLED)):
            return None
        if name != package and not is_ours(package):
            return None
        if name == package and _is_programs_own(name, find_installed(name)):
            return None
        ours = find_ours(name)
        if ours is None or not _has_all(STAND_INS[package]):
            return None
        alias = ModuleSpec(name, _AliasLoader(ours), origin=ours.origin)
        alias.submodule_search_locations = ours.submodule_search_locations
        alias.has_location = ours.has_location
        return alias


class _AliasLoader(Loader):
    """Loads one of our modules under its second name."""

    def __init__(self, ours: ModuleSpec) -> None:
        self._ours = ours

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        __import__(self._ours.name)
        module = sys.modules[self._ours.name]
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: "ModuleType") -> None:
        module.__spec__ = self._own_spec  # the import system has changed it

    # For `python -m` and other tools, which ask in the name of the alias.

    def get_code(self, name: str) -> "CodeType | None":
        code: CodeType | None = self._ask("get_code")
        return code

    def get_source(self, name: str) -> str | None:
        source: str | None = self._ask("get_source")
        return source

    def get_filename(self, name: str) -> str:
        filename: str = self._ask("get_filename")
        return filename

    def is_package(self, name: str) -> bool:
        return self._ours.submodule_search_locations is not None

    def _ask(self, method: str) -> "Any":
        return getattr(self._ours.loader, method)(self._ours.name)


class _SecondLoader(Loader):
    """Gives a module of the installed gevent a second name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        __import__(self._name)
        module = sys.modules[self._name]
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: "ModuleType") -> None:
        module.__spec__ = self._own_spec


def is_ours(package: str) -> bool:
    """Whether who imports the package gets, or has got, ours."""
    module = sys.modules.get(package)
    return module is not None and module is sys.modules.get(f"manyhands.{package}")


def find_installed(name: str) -> ModuleSpec | None:
    """A module or package of the installed distribution, without importing its parent."""
    path = None
    parent = name.rpartition(".")[0]
    if parent:
        found = find_installed(parent)
        if found is None:
            return None
        path = found.submodule_search_locations
    return PathFinder.find_spec(name, path)


def _is_programs_own(package: str, spec: ModuleSpec | None) -> bool:
    if spec is None or spec.origin is None:
        return spec is not None
    folder = os.path.dirname(os.path.dirname(spec.origin))
    try:
        beside = os.listdir(folder)
    except OSError:
        return True
    return not any(
        entry.startswith(f"{package}-") and entry.endswith((".dist-info", ".egg-info"))
        for entry in beside
    )


def _has_all(modules: "Sequence[str]") -> bool:
    try:
        for module in modules:
            __import__(module)
    except ImportError:
        return False  # the installed one serves; the finder of mirrors tells why
    return True


def find_ours(name: str) -> ModuleSpec | None:
    """Our module for a name of another package's, without importing anything."""
    spec = PathFinder.find_spec("manyhands")
    full = "manyhands"
    for part in name.split("."):
        if spec is None:
            return None
        full = f"{full}.{part}"
        spec = PathFinder.find_spec(full, spec.submodule_search_locations)
    return spec
