"""Imports a module as if everything were patched, and leaves all others as they are."""

import importlib
import sys

from manyhands.gevent.builtins import __import__ as _import

#: Our modules -> those of the standard library that they stand for.
MAPPING = {
    "gevent.builtins": "builtins",
    "gevent.contextvars": "contextvars",
    "gevent.local": "_threading_local",
    "gevent.os": "os",
    "gevent.queue": "queue",
    "gevent.select": "select",
    "gevent.selectors": "selectors",
    "gevent.signal": "signal",
    "gevent.socket": "socket",
    "gevent.ssl": "ssl",
    "gevent.subprocess": "subprocess",
    "gevent.thread": "_thread",
    "gevent.threading": "threading",
    "gevent.time": "time",
}

#: Under this a module that was imported so is kept.
_KEPT_AS = "__g_patched_module_"


class PatchedImport:
    """A module, and all of its package, that has cooperative modules where it imports the
    standard library's.
    """

    module = None

    def __init__(self, name, extra_all):
        self._name = name
        self._extra_all = extra_all
        self._green = {
            stdlib: importlib.import_module(f"manyhands.{ours}") for ours, stdlib in MAPPING.items()
        }
        self._hidden = {}

    def load(self, after_import_hook):
        """Import the module, unless it was already."""
        kept = _KEPT_AS + self._name
        if kept in sys.modules:
            self.module = sys.modules[kept]
            return
        import _imp

        _imp.acquire_lock()
        try:
            self._hide()
            try:
                self.module = self._import_with_all(after_import_hook)
            finally:
                self._restore()
        finally:
            _imp.release_lock()
        self.module.__gevent_patcher__ = self
        sys.modules[kept] = self.module

    def _belongs(self, name):
        return name == self._name or name.startswith(f"{self._name}.")

    def _hide(self):
        self._hidden = {name: sys.modules.get(name) for name in self._green}
        for name in list(sys.modules):
            if self._belongs(name):
                self._hidden[name] = sys.modules.pop(name)
        sys.modules.update(self._green)

    def _restore(self):
        for name in list(sys.modules):
            if self._belongs(name):
                self._green[name] = sys.modules.pop(name)
        for name, module in self._hidden.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        self._hidden = {}

    def _import_with_all(self, after_import_hook):
        module = self.module = _import(self._name, {}, {}, self._name.split(".")[:-1])
        queue = [module]
        for part in queue:  # grows
            name = part.__name__
            for attribute in (*getattr(part, "__all__", ()), *self._extra_all(name)):
                if not hasattr(part, attribute):
                    child = _import(f"{name}.{attribute}", {}, {}, attribute)
                    setattr(part, attribute, child)
                    queue.append(child)
        after_import_hook(module)
        return module


def import_patched(module_name, extra_all=lambda name: (), after_import_hook=lambda module: None):
    """Import a module with all patches in force for it; the result has it as `module`.

    What is in ``__all__`` of it, and in `extra_all(name)`, is imported along; `after_import_hook`
    is called while patches are still in force.
    """
    import platform

    # Some packages ask for it while they load, which forks; patched, that would make a hub too
    # early.
    known, ask = platform.architecture(), platform.architecture
    platform.architecture = lambda *args, **kwargs: (
        ask(*args, **kwargs) if args or kwargs else known
    )
    try:
        patched = PatchedImport(module_name, extra_all)
        patched.load(after_import_hook)
    finally:
        platform.architecture = ask
    return patched
