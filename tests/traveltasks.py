"""What calls see of their submitter, and tell it; a module, so that all workers find it."""

from __future__ import annotations

import contextvars
import decimal
from typing import Any

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
