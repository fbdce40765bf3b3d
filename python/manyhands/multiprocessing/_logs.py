"""What workers log is handled by the process whose pool it is.

In a worker, `logging` decides as everywhere what is logged. A record then goes to the handlers that
the program has made in that worker; if there are none for it, it goes to the pool's process, by the
queue of results, in front of the result of the call that logged it. What handlers a worker began
with, as a copy of its parent or as its main module made them, the parent has, too.
"""

import collections
import logging
import os
import pickle
import time
from _thread import RLock, start_new_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: For how many seconds a record holds up the results behind it while another thread keeps a handler
#: to itself. That thread may be waiting for one of them.
_PATIENCE = 1.0

#: That of `multiprocessing.util` is not the program's: it tells of the process that it is in.
_NOT_OURS = "multiprocessing"

#: The names of levels that an interpreter begins with.
_LEVELS = frozenset((0, 10, 20, 30, 40, 50))


def collect() -> "dict[str, Any]":
    """Return how this process logs, as a worker is to know that is no copy of it."""
    root = logging.root
    return {
        "root": root.level,
        "root has handlers": bool(root.handlers),
        "disable": root.manager.disable,
        "captures warnings": logging._warnings_showwarning is not None,  # type: ignore[attr-defined]
        "levels": {
            level: name
            for level, name in logging._levelToName.items()
            if level not in _LEVELS and type(level) is int and type(name) is str
        },
        "loggers": {
            logger.name: (
                type(logger) is logging.Logger,
                logger.level,
                bool(logger.disabled),
                bool(logger.propagate),
                bool(logger.handlers),
            )
            for logger in _loggers()
            if logger.name != _NOT_OURS
            and (logger.level or logger.disabled or not logger.propagate or logger.handlers)
        },
    }


def _loggers() -> "Iterator[logging.Logger]":
    """All but the first of them."""
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield logger


class Worker:
    """How a worker logs."""

    def __init__(self, state: "dict[str, Any] | None" = None) -> None:
        """As this process, which is about to be copied, or as one that told this of itself."""
        #: The handlers that the parent has, too, and whose they are.
        self._inherited: dict[tuple[int, int], logging.Handler] = {}
        self._with_handlers: list[logging.Logger] = []
        if state is not None:
            self._become(state)
        for logger in (logging.root, *_loggers()):
            for handler in logger.handlers:
                self._inherit(logger, handler)

    def begin(self, put: "Callable[[bytes], object]") -> "Callable[[], None]":
        """Have records of this process, a worker, handled by its parent. What is returned is to be
        called after the initializer.
        """
        self._put = put
        self._pid = os.getpid()
        call_handlers = logging.Logger.callHandlers

        def dispatch(logger: logging.Logger, record: logging.LogRecord) -> None:
            if self._is_own(logger):
                call_handlers(logger, record)
            else:
                self._send(logger, record)

        logging.Logger.callHandlers = dispatch  # type: ignore[method-assign, assignment]
        return self._settle

    def _settle(self) -> None:
        # Loggers that have handlers in the parent have some here, for programs that add one only
        # where there is none.
        for logger in self._with_handlers:
            if not logger.handlers:
                handler = logging.NullHandler()
                logger.addHandler(handler)
                self._inherit(logger, handler)

    def _inherit(self, logger: logging.Logger, handler: logging.Handler) -> None:
        self._inherited[id(logger), id(handler)] = handler

    def _become(self, state: "dict[str, Any]") -> None:
        """Log what the parent logs."""
        for level, name in state["levels"].items():
            logging.addLevelName(level, name)
        if logging.root.level != state["root"]:
            logging.root.setLevel(state["root"])
        if logging.root.manager.disable != state["disable"]:
            logging.disable(state["disable"])
        if state["root has handlers"]:
            self._with_handlers.append(logging.root)
        known = logging.root.manager.loggerDict
        for name, (is_plain, level, disabled, propagate, has_handlers) in state["loggers"].items():
            # One of a class of the program's must not be made before that class is chosen.
            if is_plain or isinstance(known.get(name), logging.Logger):
                logger = logging.getLogger(name)
                logger.setLevel(level)
                logger.disabled, logger.propagate = disabled, propagate
                if has_handlers:
                    self._with_handlers.append(logger)
        if state["captures warnings"]:
            logging.captureWarnings(True)

    def _is_own(self, logger: logging.Logger) -> bool:
        """Whether a record of that logger is for handlers of this process."""
        if logger.name == _NOT_OURS or os.getpid() != self._pid:
            return True
        current: logging.Logger | None = logger
        while current is not None:
            for handler in current.handlers:
                if (id(current), id(handler)) not in self._inherited and not isinstance(
                    handler, logging.NullHandler
                ):
                    return True
            current = current.parent if current.propagate else None
        return False

    def _send(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        try:
            state = dict(vars(record), msg=record.getMessage(), args=())
            if record.exc_info and not record.exc_text:
                state["exc_text"] = _FORMATTER.formatException(record.exc_info)
            state["exc_info"] = None
            # What filters do to a record is done once.
            self._put(_pickle((bool(logger.filters), state)))
        except Exception:
            _REPORTER.handleError(record)


_FORMATTER = logging.Formatter()
_REPORTER = logging.Handler()


def _pickle(told: "tuple[bool, dict[str, Any]]") -> bytes:
    try:
        return pickle.dumps(told)
    except Exception:
        is_filtered, state = told
        return pickle.dumps((is_filtered, {name: _told(value) for name, value in state.items()}))


def _told(value: object) -> object:
    """What another process can know of it."""
    try:
        pickle.dumps(value)
    except Exception:
        return repr(value)
    return value


#: Records that could not be handled in time, in their order, and whether a thread is at them.
_late: "collections.deque[tuple[bool, logging.LogRecord]]" = collections.deque()
_late_is_handled = False
_late_lock = RLock()


def _forget_late() -> None:
    global _late_lock, _late_is_handled
    _late.clear()
    _late_lock = RLock()
    _late_is_handled = False


os.register_at_fork(after_in_child=_forget_late)


def receive(told: bytes) -> None:
    """Handle what a worker has logged."""
    try:
        is_filtered, state = pickle.loads(told)
        record = _record(state)
    except Exception:
        _REPORTER.handleError(_record({"msg": "<of a worker>", "args": ()}))
        return
    if _late or not _handle(is_filtered, record, _PATIENCE):
        _handle_later(is_filtered, record)


def _record(state: "dict[str, Any]") -> logging.LogRecord:
    if logging.getLogRecordFactory() is not logging.LogRecord:
        return logging.makeLogRecord(state)
    # One that is made as usual looks for its thread, which `threading` may not know.
    record = logging.LogRecord.__new__(logging.LogRecord)
    vars(record).update(state)
    return record


def _handle(is_filtered: bool, record: logging.LogRecord, patience: float) -> bool:
    """Handle a record; false if some handler did not come free in that time."""
    # Without logging's own lock, which somebody may have who waits.
    logger = logging.root.manager.loggerDict.get(record.name)
    if record.name == logging.root.name:
        logger = logging.root
    elif not isinstance(logger, logging.Logger):
        logger = logging.getLogger(record.name)
    held = _hold(list(_locks(logger)), patience)
    if held is None:
        return False
    try:
        if not is_filtered:
            logger.handle(record)
        elif not logger.disabled:
            logger.callHandlers(record)
    except Exception:
        _REPORTER.handleError(record)
    finally:
        for lock in held:
            lock.release()
    return True


def _locks(logger: logging.Logger) -> "Iterator[Any]":
    """Those of the handlers that get what is logged there."""
    current: logging.Logger | None = logger
    while current is not None:
        for handler in list(current.handlers):
            each: Any = handler
            while isinstance(each, logging.Handler):
                if each.lock is not None:
                    yield each.lock
                # That of one which keeps records for another.
                each = getattr(each, "target", None)
        current = current.parent if current.propagate else None


def _hold(locks: "list[Any]", patience: float) -> "list[Any] | None":
    """Get all of the locks, without having one while another is waited for."""
    until = None
    while True:
        held: list[Any] = []
        for lock in locks:
            if not lock.acquire(False):
                break
            held.append(lock)
        else:
            return held
        for each in held:
            each.release()
        until = until or time.monotonic() + patience
        if not lock.acquire(True, max(0.0, until - time.monotonic())):
            return None
        lock.release()


def _handle_later(is_filtered: bool, record: logging.LogRecord) -> None:
    """Have a record handled by a thread that nobody waits for, after those that came before."""
    global _late_is_handled
    with _late_lock:
        _late.append((is_filtered, record))
        if not _late_is_handled:
            start_new_thread(_handle_late, ())
            _late_is_handled = True


def _handle_late() -> None:
    global _late_is_handled
    while True:
        is_filtered, record = _late[0]
        try:
            while not _handle(is_filtered, record, _PATIENCE):
                pass
        except BaseException:
            _REPORTER.handleError(record)
        with _late_lock:
            _late.popleft()
            if not _late:
                _late_is_handled = False
                return
