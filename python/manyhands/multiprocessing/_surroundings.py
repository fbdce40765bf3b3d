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

_last_filters: "tuple[list[Any], list[bytes]]" = ([], [])


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
    _set_filters(filters)
    if logs is None:
        return _nothing
    if "logging" in sys.modules:
        return _begin_to_log_as(logs, put)
    return _AtImport(logs, put).settle


def _nothing() -> None:
    pass


def _begin_to_log_as(state: "Any", put: "Callable[[bytes], object]") -> "Callable[[], None]":
    return _begin_to_log(importlib.import_module(_LOGS).Worker(state), put)


def _begin_to_log(worker: "Any", put: "Callable[[bytes], object]") -> "Callable[[], None]":
    settle: Callable[[], None] = worker.begin(put)
    return settle


class _AtImport:
    """Finds `logging` when it is imported, and has the worker begin to log as its parent does."""

    def __init__(self, logs: "Any", put: "Callable[[bytes], object]") -> None:
        self._logs, self._put = logs, put
        self._is_settled = False
        self._settle: Callable[[], None] = _nothing
        sys.meta_path.insert(0, self)

    def settle(self) -> None:
        self._is_settled = True
        self._settle()

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name != "logging":
            return None
        import importlib.util

        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec(name)
        if spec is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: "Any") -> "Any":
        return self._loader.create_module(spec)

    def exec_module(self, module: "Any") -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        with contextlib.suppress(Exception):
            self._settle = _begin_to_log_as(self._logs, self._put)
            if self._is_settled:
                self._settle()


def _pickled_filters() -> "list[bytes]":
    """The filters of warnings, each for itself: another process may not know a category."""
    global _last_filters
    get = getattr(warnings, "_get_filters", None)
    filters = list(warnings.filters if get is None else get())
    before, pickled = _last_filters
    if before != filters:
        pickled = [each for each in map(_pickled, filters) if each is not None]
        _last_filters = filters, pickled
    return pickled


def _pickled(thing: object) -> "bytes | None":
    try:
        return pickle.dumps(thing)
    except Exception:
        return None


def _set_filters(pickled: "list[bytes]") -> None:
    filters: list[Any] = []
    for each in pickled:
        try:
            filters.append(pickle.loads(each))
        except Exception:
            # Of something that this process has not.
            continue
    if filters != list(warnings.filters):
        warnings.resetwarnings()
        # Nobody has looked at them in between.
        warnings.filters.extend(filters)  # type: ignore[attr-defined]
