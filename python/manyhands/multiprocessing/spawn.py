"""What a child has to know of its parent before it can run: the standard library's `spawn`.

The executable and the rules for `__main__` are the standard library's own; added is what children
of the engine know besides.
"""

import errno
import os

from manyhands import _native
from manyhands._mirror import copy
from manyhands._stdlib import original
from manyhands.multiprocessing import context

_native = _native.multiprocessing
_original = original("multiprocessing.spawn")

__all__ = _original.__all__


def get_preparation_data(name):
    """Return what a child has to know of this process before its process object is unpickled."""
    data = _original.get_preparation_data(name)
    # There are two default contexts, the standard library's and ours.
    data["start_method"] = context._default_context.get_start_method()
    return data


def get_command_line(**kwds):
    """Return the command line of an interpreter that is to be a child."""
    command = _original.get_command_line(**kwds)
    # Otherwise the child could take the standard library's modules for those that its program uses.
    return [
        word.replace(_STDLIB_MAIN, _OUR_MAIN) if isinstance(word, str) else word for word in command
    ]


_STDLIB_MAIN = "from multiprocessing.spawn import spawn_main;"
_OUR_MAIN = "from manyhands.multiprocessing.spawn import spawn_main;"


def prepare(data):
    """Make this process ready for a process object to be unpickled."""
    method = data.get("start_method")
    if method is not None:
        context._default_context.set_start_method(method, force=True)
    _original.prepare(data)


class Prologue:
    """What an interpreter started as a child does before it unpickles anything of its parent's.

    It is in the preparation data, and is done by unpickling it: the interpreter runs the standard
    library's `spawn_main`, or a frozen program's.
    """

    def __init__(self, *does):
        self._does = does

    def __reduce__(self):
        return _begin, self._does


def _begin(start_method, arena, descriptors, guard):
    if guard is not None:
        _native.die_with_parent(*guard)
    _native.join_arena(*arena)
    os.close(arena[0])
    context._default_context.set_start_method(start_method, force=True)
    if descriptors is not None:
        from manyhands.multiprocessing.forkserver import _forkserver

        _forkserver._inherited_fds = descriptors


def run(command, descriptors):
    """Start an interpreter as a child, with these arguments and descriptors."""
    arguments = [os.fsencode(argument) for argument in command]
    try:
        return _native.spawn(arguments[0], arguments, descriptors)
    except OSError as error:
        name_file(error, command[0])
        raise


def name_file(error, executable):
    """Say which file it is, in an error of starting an interpreter that is one of its file."""
    if error.errno in _ERRORS_OF_FILES:
        error.filename = os.fsdecode(executable)


_ERRORS_OF_FILES = frozenset(
    (
        errno.EACCES,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOEXEC,
        errno.ENOTDIR,
        errno.EPERM,
    )
)


copy(globals(), _original, but=("old_main_modules", "WINEXE", "WINSERVICE"))
