"""Gives whoever imports `threading`, `queue`... our modules of those names.

The life of the first `import queue` in a process: the import system takes its lock on `queue` and
asks `MirrorFinder`, the first in `sys.meta_path`. It finds the standard library's module by the
finders after it and returns a loader, whose `create_module` executes that original apart, with
no name in `sys.modules`, then imports `manyhands.queue`, and hands this out: it becomes
`sys.modules["queue"]`. Threads that import `queue` meanwhile wait for the import system's lock and
get the same; none can ever get hold of the original or of something half done.

Programs that patch the standard library for greenlets are left to it: see
`MirrorFinder.withdraw`. Our own `gevent` stands in for gevent's (`manyhands._start_stand_ins`), and
needs only some: `MirrorFinder.release`.
"""

import os
import sys
from _frozen_importlib import ModuleSpec, module_from_spec
from _thread import RLock, get_ident

from manyhands._stdlib import LOADERS, ORIGINALS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from importlib.abc import Loader
    from types import ModuleType
    from typing import Any
else:
    Loader = object

#: Modules that change what is in the standard library's, or put others in its place.
PATCHERS = ("gevent.monkey", "eventlet.patcher")

#: The module of joblib's that knows its backends.
JOBLIB = "joblib.parallel"

#: The modules of a mirrored package that are ours too. Its others are the standard library's, which
#: find ours where they import from their package.
SUBMODULES = {
    "concurrent.futures": ("_base", "process", "thread"),
    "multiprocessing": (
        "connection",
        "context",
        "forkserver",
        "heap",
        "managers",
        "pool",
        "popen_fork",
        "popen_forkserver",
        "popen_spawn_posix",
        "queues",
        "shared_memory",
        "sharedctypes",
        "spawn",
        "synchronize",
    ),
}

_STDLIB = os.path.dirname(os.__file__)


class MirrorFinder:
    """Finds our modules under the names of the standard library's."""

    def __init__(self, names: "Iterable[str]") -> None:
        # Locks of our own, since whoever imports `manyhands.queue` directly gets here without the
        # import system's lock on `queue`. Order: import lock of a name, then this lock of it, then
        # both of the modules that it imports.
        self._locks = {name: RLock() for name in _with_submodules(names)}
        self._executing: dict[str, tuple[int, ModuleType]] = {}
        self._active = True
        self._released: set[str] = set()
        LOADERS.update(dict.fromkeys(self._locks, self.load_original))

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """Part of the import system's protocol."""
        if not self._active or name in self._released:
            return None
        if name in PATCHERS:
            self.withdraw(name)
        if name == JOBLIB:
            spec = self.find_original(name, path, target)
            if spec is not None and hasattr(spec.loader, "exec_module"):
                spec.loader = _JoblibLoader(spec.loader)
            return spec
        parent = name.rpartition(".")[0]
        if parent in self._locks:
            if not is_ours(parent):
                return None  # the program's own package
            if name not in self._locks:
                return self.find_original(name, path, target)
        elif name not in self._locks:
            return None
        executing = self._executing.get(name)
        if executing is not None and executing[0] == get_ident():
            return ModuleSpec(name, _CircleLoader(executing[1]))
        spec = self.find_original(name, path, target)
        if spec is None or not is_stdlib(spec):
            return spec  # the program has a module of that name: it gets what it would get
        if name in SUBMODULES and not self.has_engine():
            return spec
        mirror = ModuleSpec(name, _MirrorLoader(self, spec), origin=spec.origin)
        mirror.submodule_search_locations = spec.submodule_search_locations
        mirror.has_location = spec.has_location
        return mirror

    def find_original(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        """The spec that the import system would find without us."""
        parent = name.rpartition(".")[0]
        if parent in self._locks or (parent and path is None):
            path = [os.path.join(_STDLIB, *parent.split("."))]
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def load_original(self, name: str) -> "ModuleType":
        """The standard library's module, executed apart from `sys.modules` the first time."""
        parent = name.rpartition(".")[0]
        if parent:
            __import__(parent)  # ours: in its name the original imports others of the package
        with self._locks[name]:
            if name in ORIGINALS:
                return ORIGINALS[name]
            if name in self._executing:
                return self._executing[name][1]
            spec = self.find_original(name, None)
            if spec is not None and not is_stdlib(spec):
                spec = self.find_original(name, [_STDLIB])
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
        if not self.has_engine(before_stop=lambda: self.load_original(name)):
            return ORIGINALS[name]
        __import__(f"manyhands.{name}")
        return sys.modules[f"manyhands.{name}"]

    def has_engine(self, before_stop: "Callable[[], object]" = lambda: None) -> bool:
        """Whether the native module can be loaded; if not, the standard library serves instead."""
        try:
            import manyhands._native  # noqa: F401
        except ImportError as error:
            before_stop()
            self._stop(
                f"the engine cannot be loaded ({error}); the standard library serves instead"
            )
            return False
        return True

    def withdraw(self, patcher: str) -> None:
        """Leave the modules to somebody who is about to change them for purposes of his own.

        A queue that makes the thread wait, where patched programs expect that only a greenlet
        does, stops them for ever; and the patchers look into modules for what ours do not have.
        """
        families = _families(self._locks)
        if "manyhands.multiprocessing" in sys.modules:
            for member in families.get("multiprocessing", ()):
                # What is asked for later must have been withdrawn too.
                __import__(f"manyhands.{member}")
        tops = list(families)
        told = f"{', '.join(tops[:-1])} and {tops[-1]}" if tops[1:] else tops[0]
        self._stop(
            f"{patcher} changes modules itself: {told} {'are' if tops[1:] else 'is'} left to it"
        )
        for name, family in families.items():
            if name in SUBMODULES:
                _withdraw_package(name, family)
                continue
            original = ORIGINALS.get(name)
            if original is None:
                continue
            mirror = sys.modules.get(name)
            sys.modules[name] = original  # also where nobody had it: there must not be two
            if mirror is not None and mirror is sys.modules.get(f"manyhands.{name}"):
                _become(mirror, original)

    def release(self, names: "Iterable[str]") -> None:
        """Put the standard library's modules, for good, in the place of ours, as these are to
        be patched.
        """
        for name in names:
            if not self._active or name not in self._locks or name in self._released:
                continue
            original = self.load_original(name)
            self._released.add(name)
            if name in sys.modules and not is_ours(name):
                continue  # the program's own
            mirror = sys.modules.get(f"manyhands.{name}")
            sys.modules[name] = original
            if mirror is not None:
                ours = {each: getattr(mirror, each) for each in mirror.__all__}
                _become(mirror, original, ours)

    def _stop(self, reason: str) -> None:
        from manyhands._start import say

        if self._active:
            self._active = False
            for name in self._locks:
                del LOADERS[name]
            say(reason)


def release(names: "Iterable[str]") -> None:
    """See `MirrorFinder.release`; does nothing where the engine is off."""
    for finder in sys.meta_path:
        if isinstance(finder, MirrorFinder):
            finder.release(names)


def _withdraw_package(name: str, family: list[str]) -> None:
    """Let the standard library's package be what everybody has who has ours."""
    if f"manyhands.{name}" not in sys.modules:
        return
    mirrors = {}
    for member in family:
        if f"manyhands.{member}" in sys.modules:
            mirrors[member] = sys.modules[f"manyhands.{member}"]
        sys.modules.pop(member, None)
    for member in family:
        if member in ORIGINALS:
            sys.modules[member] = ORIGINALS[member]
    chosen = None
    if name == "multiprocessing":
        ours = mirrors[f"{name}.context"]
        chosen = ours._default_context.get_start_method(allow_none=True)
    for member in mirrors:
        __import__(member)
    package = sys.modules[name]
    for member, module in list(sys.modules.items()):
        parent, _, child = member.rpartition(".")
        if parent == name:
            setattr(package, child, module)
    if chosen is not None:
        package.set_start_method(chosen, force=True)
    for member, mirror in mirrors.items():
        _become(mirror, sys.modules[member])


class _MirrorLoader(Loader):
    """Loads our module under the name of the original, whose loader answers all else."""

    def __init__(self, finder: MirrorFinder, original: ModuleSpec) -> None:
        self._finder = finder
        self._original = original

    def create_module(self, spec: ModuleSpec) -> "ModuleType":
        if not is_package_or_part(spec.name):
            self._finder.load_original(spec.name)
        mirror = self._finder.load_mirror(spec.name)
        self._own_spec, self._own_class = mirror.__spec__, type(mirror)
        sys.modules["manyhands._start"].begin_to_answer()
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


class _JoblibLoader(Loader):
    """Loads that module of joblib's, and tells it where our backend is, for who asks for that."""

    def __init__(self, loader: "Any") -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> "ModuleType | None":
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: "ModuleType") -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        backends = getattr(module, "EXTERNAL_BACKENDS", None)
        if isinstance(backends, dict):
            backends.setdefault("manyhands", lambda: __import__("manyhands.joblib"))


def _become(
    mirror: "ModuleType", original: "ModuleType", others: "dict[str, Any] | None" = None
) -> None:
    """Make a module that is in the hands of programs stand for another one in everything.

    `others` are what is given for names that the other one has not got.
    """

    class Withdrawn(type(sys)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> "Any":
            if others and name in others and not hasattr(original, name):
                return others[name]
            return getattr(original, name)

        def __setattr__(self, name: str, value: object) -> None:
            setattr(original, name, value)

        def __delattr__(self, name: str) -> None:
            delattr(original, name)

        def __dir__(self) -> list[str]:
            return dir(original)

    type(sys).__setattr__(mirror, "__class__", Withdrawn)


def _with_submodules(names: "Iterable[str]") -> "Iterator[str]":
    for name in names:
        yield name
        for submodule in SUBMODULES.get(name, ()):
            yield f"{name}.{submodule}"


def _families(names: "Iterable[str]") -> dict[str, list[str]]:
    families: dict[str, list[str]] = {}
    for name in names:
        parent = name.rpartition(".")[0]
        families.setdefault(parent if parent in SUBMODULES else name, []).append(name)
    return families


def is_package_or_part(name: str) -> bool:
    """Whether a mirrored name is of a package: our modules of it import the originals they need."""
    return name in SUBMODULES or name.rpartition(".")[0] in SUBMODULES


def is_ours(name: str) -> bool:
    """Whether what `sys.modules` has under a name is our module."""
    module = sys.modules.get(name)
    return module is not None and module is sys.modules.get(f"manyhands.{name}")


def is_stdlib(spec: ModuleSpec) -> bool:
    """Whether what was found is the standard library's, not a program's module of that name."""
    if not spec.has_location or spec.origin is None:
        return True  # built in or frozen
    folder = os.path.dirname(spec.origin)
    levels = spec.name.count(".") + (spec.submodule_search_locations is not None)
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder == _STDLIB or os.path.realpath(folder) == os.path.realpath(_STDLIB)
