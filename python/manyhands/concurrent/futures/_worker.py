"""What a worker process of a `ProcessPoolExecutor` runs."""

import signal
import sys

from manyhands._native import multiprocessing as _native
from manyhands.multiprocessing import _surroundings, current_process
from manyhands.multiprocessing._last_words import report_to


def work(board, seat, last_words, initializer, initargs, maxtasks, wrap_exception, surroundings):
    """Do an executor's tasks, until there are no more or so many are done."""
    report_to(*last_words, seat)

    def initialize(notices):
        settle = _surroundings.enter(surroundings, notices.log)
        if initializer is not None:
            try:
                initializer(*initargs)
            except BaseException as error:
                raise _unfit(error) from error
        settle()

    # It ends with its parent as daemons do, but may have children.
    current_process()._config["daemon"] = False
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

    from manyhands.multiprocessing.reduction import ForkingPickler

    def pickled(error):
        wrapped = _ExceptionWithTraceback(error, error.__traceback__)
        return bytes(ForkingPickler.dumps(wrapped))

    text = "".join(format_exception(type(error), error, error.__traceback__))
    try:
        return pickled(error), text
    except Exception as why:
        # In its traceback the error is the context of this.
        why.__context__ = error
        try:
            return pickled(why), text
        except Exception:
            return pickled(RuntimeError("what was raised cannot be pickled:\n" + text)), text
