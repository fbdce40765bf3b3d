"""What a program's spawned children will need, loaded ahead, once for all of them.

A spawned child runs the program's main module anew, and imports what that imports. Nothing of the
program may run before there is a child; but the standard library's modules that the program has
loaded by now are the same in each, and so are the code of a main script and the names in folders
of modules that stay as they are.
"""

import contextlib
import io
import os
import runpy
import sys
import time
import warnings
from importlib.machinery import FileFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_LIBRARY = os.path.dirname(os.__file__)
_FOLDERS = (_LIBRARY, os.path.join(_LIBRARY, "lib-dynload"))

#: For how many seconds after a change a folder's next one may not be seen by its time.
_RECENT = 2.0

#: What is not only loaded when it is imported; and what children of ours have anyway.
_NOT_AHEAD = {
    "antigravity",
    "idlelib",
    "multiprocessing",
    "readline",
    "rlcompleter",
    "this",
    "turtle",
}


def wanted(preparation: "Mapping[str, Any]") -> tuple[list[str], list[str], str | None]:
    """Return the names of modules, the folders where others are looked for, and the path of the
    main script, None if there is none.
    """
    packages = {name for name in sys.stdlib_module_names - _NOT_AHEAD if _is_library(name)}
    names = [name for name in list(sys.modules) if name.partition(".")[0] in packages]
    return names, preparation["sys_path"], preparation.get("init_main_from_path")


def _is_library(package: str) -> bool:
    """Whether that package or module is loaded and the standard library's, from a file of it."""
    module = sys.modules.get(package)
    path = getattr(module, "__file__", None)
    if not isinstance(path, str):
        return False
    folder = os.path.dirname(path)
    return (os.path.dirname(folder) if hasattr(module, "__path__") else folder) in _FOLDERS


def load(names: "Iterable[str]", folders: "Iterable[str]", main: str | None) -> None:
    """Load them. What cannot be, or would warn, is left to the children."""
    path, sys.path = sys.path, [folder for folder in sys.path if folder in _FOLDERS]
    for name in names:
        if not _quietly(__import__, name):
            sys.modules.pop(name, None)
    sys.path = path
    _look_around(folders)
    if main is not None:
        _quietly(_compile, main)


def _look_around(path: "Iterable[str]") -> None:
    """Have importers know what is in the folders of a path, while those stay as they are."""
    import pkgutil

    for folder in path:
        with contextlib.suppress(Exception):
            finder = pkgutil.get_importer(folder)
            if type(finder) is FileFinder:
                finder.find_spec("_")
                # One that has just changed may change again and look the same.
                if time.time() - os.stat(folder).st_mtime < _RECENT:
                    finder.invalidate_caches()


def _quietly(function: "Callable[[str], object]", argument: str) -> bool:
    """Call the function; return whether it neither failed nor warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function(argument)
        except Exception:
            return False
    return not caught


def _compile(main: str) -> None:
    """Have `runpy` find the main script compiled, if it finds it as it is now."""
    with io.open_code(main) as file:
        text = file.read()
    code = compile(text, main, "exec", dont_inherit=True)

    def compile_main(source: bytes, name: str, mode: str) -> "Any":
        if (source, name, mode) == (text, main, "exec"):
            return code
        return compile(source, name, mode)

    # There, and only there, in the place of the builtin function.
    vars(runpy)["compile"] = compile_main


def forget() -> None:
    """Take the main script's code back: the child has its own, or needs none."""
    vars(runpy).pop("compile", None)
