"""What a worker process of a `Pool` runs, and how it tells what was raised there.

It is a module of its own as that is all of pools that a new process has to load.
"""

import pickle
import signal
import sys

from manyhands._native import multiprocessing as _native
from manyhands._stdlib import original
from manyhands.multiprocessing import _surroundings, context, util
from manyhands.multiprocessing._last_words import report_to


def work(board, seat, last_words, initializer, initargs, maxtasks, wrap_exception, surroundings):
    """Do a pool's tasks: what a worker process runs."""
    report_to(*last_words, seat)

    def initialize(notices):
        settle = _surroundings.enter(surroundings, notices.log)
        if initializer is not None:
            initializer(*initargs)
        settle()

    def tell(error, *result):
        return describe(error, result, wrap_exception)

    # Past what modules of ours do when they are written to: a new process pays for each function.
    vars(context)["may_have_children"] = True
    try:
        done = _native.work(*board, seat, maxtasks, initialize, tell)
    except KeyboardInterrupt:
        # For the program, which tells about it.
        sys.exit(128 + signal.SIGINT)
    util.debug(f"worker exiting after {done} tasks")


def describe(error, result, wrap):
    """Return what another process can make the exception of: its pickle, and its traceback's text.

    `result` has the result that could not be sent, if that was what the error came of.
    """
    from traceback import format_exception

    text = "".join(format_exception(type(error), error, error.__traceback__))
    if result:
        error = _pool().MaybeEncodingError(error, result[0])
    elif wrap:
        wrapped = _pool().ExceptionWithTraceback(error, error.__traceback__)
        pickled = _pickle(wrapped)
        if pickled is not None:
            return pickled, text
    pickled = _pickle(error)
    if pickled is None:
        try:
            pickle.dumps(error)
        except Exception as why:
            error = _pool().MaybeEncodingError(why, error)
        pickled = pickle.dumps(error)
    return pickled, text


def _pickle(error):
    from manyhands.multiprocessing.reduction import ForkingPickler

    try:
        return bytes(ForkingPickler.dumps(error))
    except Exception:
        return None


def rebuild(pickled, text):
    """Return the exception that a worker has described."""
    try:
        error = pickle.loads(pickled)
    except Exception as why:
        error = _pool().MaybeEncodingError(why, text.strip().rpartition("\n")[2])
        error.__cause__ = _pool().RemoteTraceback(f'\n"""\n{text}"""')
    return error


def _pool():
    return original("multiprocessing.pool")
