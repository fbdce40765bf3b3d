"""What a call comes to that was submitted to an executor."""

from manyhands._native import concurrent as _native
from manyhands._stdlib import original

_original = original("concurrent.futures._base")


class Future(_native.Future, _original.Future):
    """What a call comes to: a result or an exception, if it is not cancelled."""

    __slots__ = ()


Future.__module__ = "concurrent.futures._base"
