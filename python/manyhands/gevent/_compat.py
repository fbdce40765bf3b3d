"""Names that programs for many versions of Python look up here."""

import _imp
import io
import os
import sys
from abc import ABC
from os import PathLike, fsdecode, fsencode, fspath
from time import get_clock_info, monotonic, perf_counter

__all__ = [
    "ABC",
    "PathLike",
    "fsdecode",
    "fsencode",
    "fspath",
    "get_clock_info",
    "monotonic",
    "perf_counter",
]

PY311 = sys.version_info >= (3, 11)
PY312 = sys.version_info >= (3, 12)
PY313 = sys.version_info >= (3, 13)
PY314 = sys.version_info >= (3, 14)
PYPY = hasattr(sys, "pypy_version_info")
WIN = sys.platform == "win32"
LINUX = sys.platform.startswith("linux")
OSX = MAC = sys.platform == "darwin"

# What there is of native code here has no counterpart in Python: the variable only tells tests.
GLOBAL_PURE_PYTHON = PURE_PYTHON = PYPY or bool(os.environ.get("PURE_PYTHON"))

string_types = (str,)
integer_types = (int,)
text_type = str
native_path_types = (str, bytes)
hostname_types = (str, bytes, bytearray)
thread_mod_name = "_thread"

iteritems = dict.items
itervalues = dict.values
xrange = range
izip = zip
_fspath = fspath
NativeStrIO = io.StringIO
imp_acquire_lock = _imp.acquire_lock
imp_release_lock = _imp.release_lock


def pure_python_module(mod_name):
    """Whether a module is to be used without native code."""
    return PURE_PYTHON


def reraise(t, value, tb=None):
    """Raise `value` with the traceback `tb`."""
    raise value if value.__traceback__ is tb else value.with_traceback(tb)


def exc_clear():
    """Nothing: an exception is forgotten where its handler ends."""


def get_this_psutil_process():
    """This process as psutil sees it; None if psutil is not there, or may not look."""
    try:
        import psutil
    except ImportError:
        return None
    process = psutil.Process()
    try:
        process.memory_full_info()
    except psutil.AccessDenied:
        return None
    return process
