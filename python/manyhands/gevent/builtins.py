"""The module `builtins`: nothing in it has to be replaced, as imports lock per module."""

import builtins as __gbuiltins__

from manyhands.gevent._util import copy_globals

__target__ = "builtins"
__implements__ = []
__all__ = __implements__
__import__ = __gbuiltins__.__import__
__imports__ = copy_globals(__gbuiltins__, globals())


def _unlock_imports():
    """Nothing: imports take no lock of ours."""


def _lock_imports():
    """Nothing, as above."""
