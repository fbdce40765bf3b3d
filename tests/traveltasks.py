"""What calls see of their submitter, and tell it; a module, so that all workers find it."""

from __future__ import annotations

import contextvars
import decimal
import importlib
import logging
import logging.handlers
import os
import sys
import threading
import warnings
from typing import Any

import manyhands.multiprocessing

DISH: contextvars.ContextVar[str] = contextvars.ContextVar("dish", default="none")
TABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("table", default=None)
COOK: contextvars.ContextVar[str] = contextvars.ContextVar("cook", default="nobody")


def begin_as(cook: str) -> None:
    """Is an initializer."""
    COOK.set(cook)


def order(*ignored: Any) -> tuple[str, Any]:
    return DISH.get(), TABLE.get()


def cook() -> str:
    return COOK.get()


def change_order(dish: str) -> str:
    """Sets it, and gives what was there."""
    before = DISH.get()
    DISH.set(dish)
    return before


def fail_with_order(*ignored: Any) -> None:
    raise LookupError(DISH.get())


def precision() -> int:
    return decimal.getcontext().prec


def set_precision(digits: int) -> None:
    decimal.getcontext().prec = digits


class Abrupt(logging.Logger):
    """A logger that the program has made a class for."""

    def shout(self, text: str) -> None:
        self.error(text.upper())


def log(name: str, level: int, text: str, *args: Any) -> int:
    logging.getLogger(name).log(level, text, *args)
    return os.getpid()


def log_many(call: int, count: int) -> int:
    logger = logging.getLogger("kitchen.oven")
    for number in range(count):
        logger.info("%d", call * count + number)
    return call


def log_at_all_levels(names: list[str]) -> None:
    for name in names:
        for level in (5, 10, 20, 25, 30, 40, 50):
            logging.getLogger(name).log(level, "at %d", level)


def log_error(text: str) -> None:
    try:
        raise LookupError(text)
    except LookupError:
        logging.getLogger("kitchen").exception("it failed", stack_info=True)


def log_with(**extra: Any) -> None:
    logging.getLogger("kitchen").warning("see what is with it", extra=extra)


def log_with_lock() -> None:
    log_with(lock=threading.Lock(), dish="soup")


def log_and_leave(text: str) -> None:
    logging.getLogger("kitchen").warning(text)
    os._exit(3)


def log_later(text: str, gate: Any) -> None:
    """Has a thread log it after the call."""

    def run() -> None:
        gate.wait()
        logging.getLogger("kitchen").warning(text)

    threading.Thread(target=run, daemon=True).start()


def log_for_ever() -> None:
    logger = logging.getLogger("kitchen")
    while True:
        logger.warning("still here")


def log_in_own_pool(text: str) -> int:
    with manyhands.multiprocessing.get_context("fork").Pool(1) as pool:
        inner: int = pool.apply(log, ("kitchen", logging.WARNING, text))
        return inner


def log_with_own_format(text: str) -> None:
    logging.basicConfig(format="own: %(message)s")
    logging.getLogger("kitchen").warning(text)


def handle_by_queue(queue: Any) -> None:
    """An initializer by which a program takes care of records itself."""
    logging.getLogger().addHandler(logging.handlers.QueueHandler(queue))


def log_and_fail(text: str) -> None:
    logging.getLogger("kitchen").warning(text)
    raise LookupError(text)


def own_handlers() -> int:
    return len(logging.getLogger().handlers)


def loaded(name: str) -> bool:
    return name in sys.modules


def shout(text: str) -> None:
    logging.setLoggerClass(Abrupt)
    logging.getLogger("kitchen.abrupt").shout(text)  # type: ignore[attr-defined]


class Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = f"[{record.msg}]"
        return "salt" not in record.msg


class TableWarning(UserWarning):
    """Is about a table."""


def warn(text: str, category: type[Warning] = TableWarning) -> None:
    warnings.warn(text, category, stacklevel=1)


def filters() -> list[Any]:
    return list(warnings.filters)


def place() -> tuple[str, list[str]]:
    return os.getcwd(), sys.path


def imported(name: str) -> Any:
    return importlib.import_module(name).__file__
