"""`with_options`: the same pool or executor, whose calls have limits and further tries."""

from manyhands import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _Pool = TypeVar("_Pool")

_RUNNING = ("wait", "kill")
_DEFAULTS: "dict[str, Any]" = {"timeout": None, "memory": None, "retries": 0, "running": "wait"}

#: The class of what `with_options` returns, for each class of pools.
_classes: "dict[type, type]" = {}


def view_of(pool: "_Pool", options: "dict[str, Any]") -> "_Pool":
    """Return what has all of a pool, or an executor, but submits calls with those options."""
    options = {**getattr(pool, "_given", _DEFAULTS), **options}
    cls = _class_of(type(pool))
    view = cls.__new__(cls)
    # Whatever is done to one of them is done to both.
    view.__dict__ = pool.__dict__
    view._given = options
    view._options = _native.multiprocessing.Options(*_checked(**options))
    view._pool_of_options = getattr(pool, "_pool_of_options", pool)
    return view  # type: ignore[no-any-return]


def _checked(
    timeout: "float | None", memory: "int | None", retries: int, running: str
) -> "tuple[float | None, int, int, bool]":
    if running not in _RUNNING:
        raise ValueError(f"running must be 'wait' or 'kill', not {running!r}")
    for name, value in (("memory", memory), ("retries", retries)):
        if value is None and name == "memory":
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if memory is not None and memory <= 0:
        raise ValueError("memory must be more than 0 bytes")
    if retries < 0:
        raise ValueError("retries must be at least 0")
    return timeout, memory or 0, min(retries, 2**32 - 1), running == "kill"


def _class_of(cls: "Any") -> "Any":
    if issubclass(cls, _View):
        return cls
    if cls not in _classes:
        # It has no dict of its own, but that of the pool. The slots are here, not in `_View`: of
        # several bases, only one has room for fields, and that may be a native one.
        names = {
            "__slots__": ("_given", "_options", "_pool_of_options"),
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
        }
        _classes[cls] = type(cls.__name__, (_View, cls), names)
    return _classes[cls]


class _View:
    __slots__ = ()

    def __del__(self) -> None:
        """Its end is not that of the pool."""
