"""Gives test code the replacement of the modules that it imports, and nobody else.

A .pth file of the overlay environment imports this at every start of its interpreter, so that it
works in the worker and in all children that the tests start through `sys.executable`, under -I
and -E too.

`builtins.__import__` and `importlib.import_module` are wrapped. The wrapper looks at who imports
before it looks at what is imported:

- modules of the package `test` (save most of its infrastructure), the `__main__` of children and
  the files that tests write into their scratch directory get the replacement;
- everything else (the standard library, unittest, the replacement itself) gets the original.

`sys.modules` is never changed. The module stays light, since every child pays for it.
"""

import builtins
import importlib
import os
import sys
from types import ModuleType

_original_import = builtins.__import__
original_module = importlib.import_module

#: What is replaced by what: 'queue' -> 'manyhands.queue'.
MAPPING = {}
#: What was redirected in this process: (importer, module, replacement).
REDIRECTS = set()
#: The worker, itself a `__main__`, is no test code and turns this off.
main_is_test_code = True

_parents = frozenset()  # unmapped packages of mapped modules: 'concurrent'
_first_names = frozenset()  # what an import of interest begins with
_own_packages = frozenset()  # the top-level packages of the replacements
_scratch = None  # where tests write their scripts and modules
_verdicts = {}  # module name -> whether it is test code
_facades = {}

# Of the test suite's infrastructure, this part speaks about the modules under test.
_HELPERS = {"test.support.threading_helper"}
_INFRASTRUCTURE = ("test.support", "test.libregrtest", "test.regrtest", "test.__main__")
# These import on behalf of whoever called them (as mock.patch("queue.Queue") does).
_GO_BETWEENS = {
    "conformance_redirect",
    "contextlib",
    "importlib",
    "pkgutil",
    "test.support.import_helper",
    "unittest.mock",
}
# Tests that reach what they test by the name of an unmapped module: test_threading_local is about
# threading.local, but says _thread._local.
_ALIASES = {("test.test_threading_local", "_thread"): {"_local": ("threading", "local")}}
# The command line of a child of multiprocessing imports one of these. If the command names
# the original, the original has started that child and has to find itself there.
_CHILD_STARTERS = {
    "multiprocessing.forkserver",
    "multiprocessing.resource_tracker",
    "multiprocessing.spawn",
}


# Who asks?


def is_test_code(module_globals):
    """Whether the module with these globals gets the replacements."""
    name = module_globals.get("__name__")
    if name in ("__main__", "__mp_main__"):
        return main_is_test_code
    if not isinstance(name, str):
        return False
    verdict = _verdicts.get(name)
    if verdict is None:
        verdict = _verdicts[name] = _judge(name, module_globals.get("__file__"))
    return verdict


def _judge(name, path):
    if name in _HELPERS:
        return True
    if name.startswith(_INFRASTRUCTURE) or name.partition(".")[0] in _own_packages:
        return False
    if name.startswith("test."):
        return True
    return bool(_scratch and path and os.path.abspath(path).startswith(_scratch))


def _caller():
    """The globals of the innermost frame that imports on its own behalf."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in _GO_BETWEENS:
        frame = frame.f_back
    return {} if frame is None else frame.f_globals


# What do they get?


def replacement_name(name):
    """The name of the replacement of that module, or None if it is not replaced."""
    source = name
    while source not in MAPPING:
        source, dot, _ = source.rpartition(".")
        if not dot:
            return None
    return MAPPING[source] + name[len(source) :]


def _replacement(name, importer):
    target = replacement_name(name)
    try:
        module = original_module(target)
    except ModuleNotFoundError as error:
        if error.name == target:
            message = f"the replacement has no {target!r} (wanted for {name!r})"
            raise ModuleNotFoundError(message, name=name) from None
        raise
    REDIRECTS.add((importer, name, target))
    return module


def _overlaid(name, attributes):
    """The original module of that name, in which attributes(attribute) goes first."""

    class Overlaid(ModuleType):
        def __getattr__(self, attribute):
            found = attributes(attribute)
            return getattr(original, attribute) if found is None else found

    original = original_module(name)
    overlaid = Overlaid(name)
    overlaid.__path__ = getattr(original, "__path__", [])
    overlaid.__spec__ = original.__spec__
    return overlaid


def _facade(name):
    """Stands for an unmapped package of a mapped module."""

    def attributes(attribute):
        full_name = f"{name}.{attribute}"
        if full_name in MAPPING:
            return _replacement(full_name, "conformance_redirect")
        return _facade(full_name) if full_name in _parents else None

    if name not in _facades:
        _facades[name] = _overlaid(name, attributes)
    return _facades[name]


def _aliased(name, importer):
    """Stands for a module whose name the importer uses for what is public elsewhere."""
    wanted = _ALIASES[importer, name]
    found = {
        alias: getattr(_replacement(module, importer), attribute)
        for alias, (module, attribute) in wanted.items()
        if replacement_name(module) is not None
    }
    return _overlaid(name, found.get) if found else None


def _redirected(name, fromlist, importer):
    """What the import statement evaluates to; None if it is none of our business."""
    if (importer, name) in _ALIASES:
        return _aliased(name, importer)
    if replacement_name(name) is not None:
        module = _replacement(name, importer)
        for attribute in fromlist or ():
            if attribute != "*" and not hasattr(module, attribute) and hasattr(module, "__path__"):
                try:  # noqa: SIM105 (contextlib is too much for every start)
                    _replacement(f"{name}.{attribute}", importer)
                except ModuleNotFoundError:
                    pass  # the statement itself raises the ImportError
        if fromlist:
            return module
    elif name not in _parents:
        return None
    elif fromlist:
        return _facade(name)
    first_name = name.partition(".")[0]
    return _replacement(first_name, importer) if first_name in MAPPING else _facade(first_name)


def _import(name, globals=None, locals=None, fromlist=(), level=0):
    # PyImport_Import() (pickle, native code) passes an empty list and takes the module out of
    # sys.modules: that is no import statement of the code whose globals it passes.
    by_native_code = type(fromlist) is list and not fromlist
    if level == 0 and name.partition(".")[0] in _first_names and not by_native_code:
        # A statement passes its globals. A mere call of __import__() may be a go-between's.
        importer = _caller() if globals is None else globals
        starts_child = name in _CHILD_STARTERS and tuple(fromlist or ()) in (
            ("spawn_main",),
            ("main",),
        )
        if is_test_code(importer) and not starts_child:
            module = _redirected(name, fromlist, importer.get("__name__"))
            if module is not None:
                return module
    return _original_import(name, globals, locals, fromlist, level)


def _import_module(name, package=None):
    if name.partition(".")[0] in _first_names:
        importer = _caller()
        if is_test_code(importer):
            if replacement_name(name) is not None:
                return _replacement(name, importer.get("__name__"))
            if name in _parents:
                return _facade(name)
    return original_module(name, package)


def keep_the_replacement_when_fresh_ones_are_wanted(import_helper):
    """Make import_fresh_module() of test.support give tests the replacement as it is.

    It empties sys.modules of the original and of what it uses, so that a replacement that is
    imported meanwhile would be built on a second copy of the original.
    """
    fresh = import_helper.import_fresh_module

    def import_fresh_module(name, *args, **kwargs):
        importer = _caller()
        if replacement_name(name) not in (None, name) and is_test_code(importer):
            return _replacement(name, importer.get("__name__"))
        return fresh(name, *args, **kwargs)

    import_helper.import_fresh_module = import_fresh_module


# Setting up


class _ExtraTests:
    """Finds test.NAME in directories of ours when the interpreter's test package lacks it."""

    def __init__(self, directories):
        self.directories = directories

    def find_spec(self, name, path=None, target=None):
        if name.startswith("test.") and name.count(".") == 1:
            from importlib.machinery import PathFinder

            return PathFinder.find_spec(name, self.directories)
        return None


def _configure(lines):
    global _parents, _first_names, _own_packages, _scratch
    test_directories = []
    for line in lines:
        key, _, value = line.rstrip("\n").partition(" ")
        if key == "map":
            source, _, target = value.partition("=")
            MAPPING[source] = target
        elif key == "path" and value not in sys.path:
            sys.path.append(value)
        elif key == "tests":
            test_directories.append(value)
        elif key == "scratch":
            _scratch = value
    parts = [source.split(".") for source in MAPPING]
    _parents = frozenset(".".join(p[:end]) for p in parts for end in range(1, len(p)))
    _first_names = frozenset([p[0] for p in parts] + [module for _, module in _ALIASES])
    _own_packages = frozenset(
        target.partition(".")[0] for source, target in MAPPING.items() if source != target
    )
    if test_directories:
        sys.meta_path.append(_ExtraTests(test_directories))
    _import_module.__name__ = _import_module.__qualname__ = "import_module"
    builtins.__import__ = _import
    importlib.import_module = _import_module


def _start():
    try:
        with open(os.path.join(sys.prefix, "conformance.cfg"), encoding="utf-8") as file:
            _configure(file.readlines())
    except FileNotFoundError:
        pass


_start()
