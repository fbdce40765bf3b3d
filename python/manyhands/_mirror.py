"""Makes a module of ours serve for what only the standard library's of that name has."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from types import ModuleType
    from typing import Any


def forward(namespace: "dict[str, Any]", original: "ModuleType") -> None:
    """Let a module, given by its globals(), pass on what is read and written of names not its own.

    To be called where the module's own names are all there.
    """
    # A reload finds what was passed on before.
    namespace.setdefault("_OWN", frozenset(namespace))
    name = namespace["__name__"]

    def __getattr__(attribute: str) -> "Any":
        try:
            return getattr(original, attribute)
        except AttributeError:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

    def __dir__() -> list[str]:
        return sorted(set(namespace) | set(vars(original)))

    class Mirror(type(sys)):  # type: ignore[misc]
        """A module that passes on to the original what is written of it and is not ours."""

        def __setattr__(self, attribute: str, value: object) -> None:
            if passes_on(attribute):
                setattr(original, attribute, value)
                if attribute not in self.__dict__:
                    return
            super().__setattr__(attribute, value)

        def __delattr__(self, attribute: str) -> None:
            if passes_on(attribute):
                delattr(original, attribute)
                if attribute not in self.__dict__:
                    return
            super().__delattr__(attribute)

    def passes_on(attribute: str) -> bool:
        return attribute not in namespace["_OWN"] and not attribute.startswith("__")

    namespace["__getattr__"] = __getattr__
    namespace["__dir__"] = __dir__
    sys.modules[name].__class__ = Mirror


def copy(namespace: "dict[str, Any]", original: "ModuleType", but: "Container[str]" = ()) -> None:
    """Copy the original's public names, so that looking them up is fast; then `forward`.

    `but` are those that programs assign to.
    """
    own = namespace.setdefault("_OWN", frozenset(namespace))
    for name, value in vars(original).items():
        if not name.startswith("_") and name not in own and name not in but:
            namespace[name] = value
    forward(namespace, original)
