"""Tells the program that a pool of threads has grown, as calls wait for others of the same pool."""

import sys
import warnings


def tell(limit: int, workers: int) -> None:
    """Warn that a pool of `limit` threads has `workers`, at the line that waits."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("manyhands."):
        level, frame = level + 1, frame.f_back
    threads = "1 thread" if limit == 1 else f"{limit} threads"
    told = f"the pool of {threads} has grown to {workers}"
    message = f"a call of this pool waits for another one of it: {told}"
    warnings.warn(message, RuntimeWarning, stacklevel=level)
