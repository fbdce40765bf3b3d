"""The module `contextvars`: greenlet itself sees to it that each greenlet has its own context."""

from contextvars import Context, ContextVar, Token, copy_context

__all__ = ["Context", "ContextVar", "Token", "copy_context"]
__stdlib_expected__ = __all__
__imports__ = __all__
__implements__ = []
