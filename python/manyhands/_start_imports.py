"""Gives whoever imports `threading`, `queue`... our modules of those names.

The life of the first `import queue` in a process: the import system takes its lock on `queue` and
asks `MirrorFinder`, the first in `sys.meta_path`. It finds the standard library's module by the
finders after it and returns a loader, whose `create_module` executes that original apart, with
no name in `sys.modules`, then imports `manyhands.queue`, and hands this out: it becomes
`sys.modules["queue"]`. Threads that import `queue` meanwhile wait for the import system's lock and
get the same; none can ever get hold of the original or of something half done.
"""

import os
import sys
from _frozen_importlib import ModuleSpec, module_from_spec
from _thread import RLock, get_ident

from manyhands._stdlib import LOADERS, ORIGINALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.abc import Loader
    from types import ModuleType
    from typing import Any
else:
    Loader = object

_STDLIB = os.path.dirname(os.__file__)


class MirrorFinder:
    """Finds our modules under the names of the standard library's."""

    def __init__(self, names: "Iterable[str]") -> None:
        # Locks of our own, since whoever imports `manyhands.queue` directly gets here without the
        # import system's lock on `queue`. Order: import lock of a name, then this lock of it, then
        # both of the modules that it imports.
        self._locks = {name: RLock() for name in names}
        self._executing: dict[str, tuple[int, ModuleType]] = {}
        self.failure: ImportError | None = None
        LOADERS.update(dict.fromkeys(self._locks, self.load_original))

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """Part of the import system's protocol."""
        if name not in self._locks or self.failure:
            return None
        executing = self._executing.get(name)
        if executing is not None and executing[0] == get_ident():
            return ModuleSpec(name, _CircleLoader(executing[1]))
        spec = self.find_original(name, path, target)
        if spec is None or not is_stdlib(spec):
            return spec  # the program has a module of that name: it gets what it would get
        mirror = ModuleSpec(name, _MirrorLoader(self, spec), origin=spec.origin)
        mirror.submodule_search_locations = spec.submodule_search_locations
        mirror.has_location = spec.has_location
        return mirror

    def find_original(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """The spec that the import system would find without us."""
        parent = ORIGINALS.get(name.rpartition(".")[0])
        if parent is not None:
            path = parent.__path__
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def load_original(self, name: str) -> "ModuleType":
        """The standard library's module, executed apart from `sys.modules` the first time."""
        with self._locks[name]:
            if name in ORIGINALS:
                return ORIGINALS[name]
            if name in self._executing:
                return self._executing[name][1]
            parent = name.rpartition(".")[0]
            if parent:
                __import__(parent)
            spec = self.find_original(name, sys.modules[parent].__path__ if parent else None)
            if spec is not None and not is_stdlib(spec):
                spec = self.find_original(name, [os.path.join(_STDLIB, *parent.split("."))])
            if spec is None or spec.loader is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            module = module_from_spec(spec)
            # Should it get into `sys.modules` by a circle, other threads wait for it.
            spec._initializing = True  # type: ignore[attr-defined]
            self._executing[name] = get_ident(), module
            try:
                spec.loader.exec_module(module)
            finally:
                del self._executing[name]
                spec._initializing = False  # type: ignore[attr-defined]
                if sys.modules.get(name) is module:
                    del sys.modules[name]
            ORIGINALS[name] = module
            return module

    def load_mirror(self, name: str) -> "ModuleType":
        """Our module; the original where the native one cannot be loaded."""
        try:
            import manyhands._native  # noqa: F401
        except ImportError as error:
            from manyhands._start import say

            if self.failure is None:
                self.failure = error
                for mirrored in self._locks:
                    del LOADERS[mirrored]
                say(f"the engine cannot be loaded ({error}); the standard library serves instead")
            return self.load_original(name)
        __import__(f"manyhands.{name}")
        return sys.modules[f"manyhands.{name}"]


class _MirrorLoader(Loader):
    """Loads our module under the name of the original, whose loader answers all else."""

    def __init__(self, finder: MirrorFinder, original: ModuleSpec) -> None:
        self._finder = finder
        self._original = original

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        self._finder.load_original(spec.name)
        mirror = self._finder.load_mirror(spec.name)
        self._own_spec, self._own_class = mirror.__spec__, type(mirror)
        return mirror

    def exec_module(self, module: "ModuleType") -> None:
        # Undo what the import system and perhaps `importlib.util.LazyLoader` have changed.
        module.__spec__ = self._own_spec
        if type(module) is not self._own_class:
            module.__class__ = self._own_class

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._original.loader, name)


class _CircleLoader(Loader):
    """Gives a module that is being executed to what it imports, should that import it again."""

    def __init__(self, module: "ModuleType") -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        return self._module

    def exec_module(self, module: "ModuleType") -> None:
        module.__spec__ = self._spec


def is_stdlib(spec: ModuleSpec) -> bool:
    """Whether what was found is the standard library's, not a program's module of that name."""
    if not spec.has_location or spec.origin is None:
        return True  # built in or frozen
    folder = os.path.dirname(spec.origin)
    levels = spec.name.count(".") + (spec.submodule_search_locations is not None)
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder == _STDLIB or os.path.realpath(folder) == os.path.realpath(_STDLIB)
