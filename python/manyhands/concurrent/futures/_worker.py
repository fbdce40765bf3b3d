"""What a worker process of a `ProcessPoolExecutor` runs."""

import signal
import sys

from manyhands._native import multiprocessing as _native
from manyhands.multiprocessing import context


def work(board, seat, initializer, initargs, maxtasks, wrap_exception):
    """Do an executor's tasks, until there are no more or so many are done."""

    def initialize():
        if initializer is not None:
            try:
                initializer(*initargs)
            except BaseException as error:
                raise _unfit(error) from error

    context.may_have_children = True
    try:
        _native.work(*board, seat, maxtasks, initialize, describe)
    except KeyboardInterrupt:
        # For the program, which tells about it.
        sys.exit(128 + signal.SIGINT)


def _unfit(error):
    """Return what every call is to raise, as the initializer has failed."""
    from concurrent.futures.process import BrokenProcessPool
    from logging import getLogger

    getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=error)
    return BrokenProcessPool(f"the initializer of a worker process raised {error!r}")


def describe(error, *result):
    """Return what another process can make the exception of: its pickle, and its traceback."""
    from concurrent.futures.process import _ExceptionWithTraceback
    from traceback import format_exception

    text = "".join(format_exception(type(error), error, error.__traceback__))
    pickled = _pickle(_ExceptionWithTraceback(error, error.__traceback__))
    if pickled is None:
        plain = RuntimeError(f"{type(error).__qualname__}: {_text(error)} (it cannot be pickled)")
        pickled = _pickle(_ExceptionWithTraceback(plain, error.__traceback__))
    return pickled, text


def _pickle(wrapped):
    from manyhands.multiprocessing.reduction import ForkingPickler

    try:
        return bytes(ForkingPickler.dumps(wrapped))
    except Exception:
        return None


def _text(error):
    try:
        return str(error)
    except Exception:
        return "no text"
