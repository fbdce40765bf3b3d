"""Finds who took things from the standard library before they were replaced."""

import sys

from manyhands.gevent.monkey._state import saved

#: Packages that know what they do with the originals, and those that start commands, before the
#: program runs.
_EXPECTED = {
    "_distutils_hack",
    "gevent",
    "greenlet",
    "manyhands",
    "pkg_resources",
    "setuptools",
    "zope",
}

#: Modules whose users patch_all() tells of by itself.
_TOLD_ELSEWHERE = {"ssl"}

#: How many modules a warning names.
_NAMED = 12


def early_importers():
    """The modules that still hold originals, in the order of their import: (module, [what])."""
    by_id = {}
    for module_name, items in saved.items():
        if module_name in sys.modules and module_name not in _TOLD_ELSEWHERE:
            for name, value in items.items():
                if _makes_wait(name, value):
                    by_id.setdefault(id(value), f"{module_name}.{name}")
    found = []
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top in _EXPECTED or (top in sys.stdlib_module_names and name != "__main__"):
            continue
        namespace = getattr(module, "__dict__", None)
        if not isinstance(namespace, dict):
            continue
        held = {by_id[id(value)] for value in list(namespace.values()) if id(value) in by_id}
        if held:
            found.append((name, sorted(held)))
    return found


def early_warning():
    """What to tell about those modules; None if there are none."""
    importers = early_importers()
    if not importers:
        return None
    told = ", ".join(f"{name} ({', '.join(held)})" for name, held in importers[:_NAMED])
    more = f" and {len(importers) - _NAMED} more" if len(importers) > _NAMED else ""
    return (
        "Modules that were imported before patch_all() hold what it has replaced since, and will "
        f"stop all greenlets when they wait: {told}{more}. "
        "Call patch_all() before they are imported."
    )


def _makes_wait(name, value):
    # Constants and None are the same objects everywhere.
    return callable(value) and name not in ("Thread", "local", "get_ident", "_get_ident")
