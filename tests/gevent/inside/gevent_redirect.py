"""Gives who imports `gevent` another package, but for `gevent.tests` and `gevent.testing`.

A .pth file of the overlay environment imports this at every start of its interpreter, so that
children of tests get the same. With the original nothing is redirected.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec

from gevent_redirect_config import PACKAGE, WHEEL

#: What comes from the wheel whoever is tested.
TESTS = ("gevent.tests", "gevent.testing")
TESTS_OF_PACKAGE = {PACKAGE + name[len("gevent") :]: name for name in TESTS}


class Alias:
    """Loads nothing: the module is the one of the package, under a second name."""

    def __init__(self, name, spec):
        self.name, self.spec = name, spec

    def create_module(self, spec):
        module = import_module(self.name)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self.own_spec

    def get_code(self, name):
        """For `python -m`."""
        return self.spec.loader.get_code(self.name)


def alias(name, real_name):
    real = find_spec(real_name)
    if real is None:
        return None
    is_package = real.submodule_search_locations is not None
    spec = ModuleSpec(name, Alias(real_name, real), origin=real.origin, is_package=is_package)
    spec.submodule_search_locations = real.submodule_search_locations
    return spec


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in TESTS_OF_PACKAGE:
            # `from gevent import testing` asks for it by the package's own name.
            return alias(name, TESTS_OF_PACKAGE[name])
        first, _, rest = name.partition(".")
        if name in TESTS:
            return PathFinder.find_spec(name, [f"{WHEEL}/gevent"])
        if first != "gevent" or is_of_tests(name):
            return None
        real_name = f"{PACKAGE}.{rest}" if rest else PACKAGE
        spec = alias(name, real_name)
        if spec is None and not rest:
            # Nobody else shall be asked, who would find the original.
            raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
        return spec


def evidence():
    """Which `gevent` this process has loaded, and what is wrong with it."""
    own = f"{WHEEL}/gevent/"
    loaded, objections = {}, []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if is_of_tests(name) or file.startswith((f"{own}tests/", f"{own}testing/")):
            continue
        if name.partition(".")[0] == "gevent":
            loaded[name] = file
        original = file.startswith(own)
        if PACKAGE != "gevent" and original:
            objections.append(f"{name} is the original's {file}")
        elif PACKAGE == "gevent" and name in loaded and file and not original:
            objections.append(f"{name} is not the original's, but {file}")
        elif PACKAGE != "gevent" and name in loaded and not is_of_package(module):
            objections.append(f"{name} is {module!r}, not of {PACKAGE}")
    if "gevent" not in loaded:
        objections.append("gevent was not imported")
    return {"imports": {"gevent": loaded}, "objections": sorted(objections)}


def is_of_tests(name):
    return name in TESTS or name.startswith(tuple(f"{tests}." for tests in TESTS))


def is_of_package(module):
    name = str(getattr(module, "__name__", ""))
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


if PACKAGE != "gevent":
    sys.meta_path.insert(0, Finder)
