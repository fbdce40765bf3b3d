"""What all executors have in common: `Future` is ours, all else the standard library's."""

from manyhands._mirror import copy
from manyhands._native import concurrent as _native
from manyhands._stdlib import original

_original = original("concurrent.futures._base")


class _Meta(type):
    """Programs that ask whether something is a `Future` mean the standard library's too."""

    def __instancecheck__(cls, instance):
        return super().__instancecheck__(instance) or (
            cls is Future and isinstance(instance, _original.Future)
        )

    def __subclasscheck__(cls, subclass):
        return super().__subclasscheck__(subclass) or (
            cls is Future and issubclass(subclass, _original.Future)
        )


class Future(_native.Future, _original.Future, metaclass=_Meta):
    """What a call comes to: a result or an exception, if it is not cancelled."""

    __slots__ = ()


Future.__module__ = "concurrent.futures._base"

copy(globals(), _original)
