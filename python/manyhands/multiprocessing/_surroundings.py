"""What a worker of a pool has of the process that started it, besides what every child has.

A fork is a copy. Others are told of the filters of warnings, and of how the program logs.
"""

import contextlib
import importlib
import pickle
import sys
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Modules that are loaded only by who needs them.
_LOGS = "manyhands.multiprocessing._logs"

_last_filters: "tuple[list[Any], list[tuple[str, bytes]]]" = ([], [])


def collect(method: str) -> "Any":
    """Return what a worker that is started in that way is to be told."""
    is_copy = method == "fork"
    logs = None
    if "logging" in sys.modules:
        # It may be a module of the program's that is named so.
        with contextlib.suppress(Exception):
            module = importlib.import_module(_LOGS)
            logs = module.Worker() if is_copy else module.collect()
    return logs if is_copy else (_pickled_filters(), logs)


def enter(told: "Any", put: "Callable[[bytes], object]") -> "Callable[[], None]":
    """Be a worker that was told that; `put` has its parent handle what was logged. What is returned
    is to be called after the initializer.
    """
    if told is None:
        return _nothing
    if type(told) is not tuple:
        return _begin_to_log(told, put)
    filters, logs = told
    # A zygote has looked at its own, and its parent's are hardly ever others.
    own, pickled = _last_filters
    if filters != pickled or own != _filters():
        _Filters(filters).set()
    if logs is None:
        return _nothing
    if "logging" in sys.modules:
        return _begin_to_log_as(logs, put)
    return _LogsLater(logs, put).settle


def _nothing() -> None:
    pass


def _begin_to_log_as(state: "Any", put: "Callable[[bytes], object]") -> "Callable[[], None]":
    return _begin_to_log(importlib.import_module(_LOGS).Worker(state), put)


def _begin_to_log(worker: "Any", put: "Callable[[bytes], object]") -> "Callable[[], None]":
    settle: Callable[[], None] = worker.begin(put)
    return settle


class _LogsLater:
    """Has the worker begin to log as its parent does when `logging` is imported."""

    def __init__(self, logs: "Any", put: "Callable[[bytes], object]") -> None:
        self._logs, self._put = logs, put
        self._is_settled = False
        self._settle: Callable[[], None] = _nothing
        _AtImport({"logging"}, self._begin)

    def settle(self) -> None:
        self._is_settled = True
        self._settle()

    def _begin(self) -> None:
        self._settle = _begin_to_log_as(self._logs, self._put)
        if self._is_settled:
            self._settle()


class _AtImport:
    """Finds modules of these names when they are imported, and calls `then` after each has been."""

    def __init__(self, names: "set[str]", then: "Callable[[], object]") -> None:
        self.names, self._then = names, then
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name not in self.names:
            return None
        for finder in list(sys.meta_path):
            find: Any = None if finder is self else getattr(finder, "find_spec", None)
            spec: Any = find and find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self)
                return spec
        return None

    def imported(self, name: str) -> None:
        self.names.discard(name)
        if not self.names and self in sys.meta_path:
            sys.meta_path.remove(self)
        with contextlib.suppress(Exception):
            self._then()


class _Loader:
    """Loads one module as its own loader does, which the module then has, and tells of it."""

    def __init__(self, loader: "Any", told: _AtImport) -> None:
        self._loader, self._told = loader, told

    def create_module(self, spec: "Any") -> "Any":
        return self._loader.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._told.imported(module.__spec__.name)


def _pickled_filters() -> "list[tuple[str, bytes]]":
    """The filters of warnings, each with the module of its category, and for itself: another
    process may not know a category.
    """
    global _last_filters
    filters = _filters()
    before, pickled = _last_filters
    if before != filters:
        pickled = []
        for each in filters:
            # What cannot be pickled another process does not have.
            with contextlib.suppress(Exception):
                pickled.append((each[2].__module__, pickle.dumps(each)))
        _last_filters = filters, pickled
    return pickled


def _filters() -> "list[Any]":
    get = getattr(warnings, "_get_filters", None)
    return list(warnings.filters if get is None else get())


class _Filters:
    """The filters of a parent. One whose category is of a module that is not loaded here filters
    nothing yet, and is set when that is imported: it may take long, and the worker not need it.
    """

    def __init__(self, pickled: "list[tuple[str, bytes]]") -> None:
        #: In their order; for one that waits, its module and the pickle.
        self._all: list[Any] = [_Waits(*each) for each in pickled]

    def set(self) -> None:
        self._load()
        waiting = {each.module for each in self._all if type(each) is _Waits}
        # A package may import the module, and set filters of its own after it.
        names = waiting.union(name.partition(".")[0] for name in waiting).difference(sys.modules)
        if names:
            _AtImport(names, self._set_more)
        loaded = self._loaded()
        if loaded != _filters():
            _set_filters(loaded)

    def _set_more(self) -> None:
        """A module was imported. What it did to the filters, it did in the parent, too: all are in
        the parent's order, after what this process added.
        """
        before, now = self._loaded(), _filters()
        self._load()
        own = [each for each in now if each not in before]
        new = [each for each in self._loaded() if each in now or each not in before]
        _set_filters([each for each in own if each not in new] + new)

    def _load(self) -> None:
        for at, each in enumerate(self._all):
            if type(each) is _Waits and each.module in sys.modules:
                # The module may be half imported, or this process not have the category.
                with contextlib.suppress(Exception):
                    self._all[at] = pickle.loads(each.pickled)

    def _loaded(self) -> "list[Any]":
        return [each for each in self._all if type(each) is not _Waits]


class _Waits:
    """A filter whose category is not known yet."""

    def __init__(self, module: str, pickled: bytes) -> None:
        self.module, self.pickled = module, pickled


def _set_filters(filters: "list[Any]") -> None:
    warnings.resetwarnings()
    # Nobody has looked at them in between.
    warnings.filters.extend(filters)  # type: ignore[attr-defined]
