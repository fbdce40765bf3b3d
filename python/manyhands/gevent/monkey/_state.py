"""What has been patched: the originals, by module and name."""

#: Module name -> {attribute: what it was}. Other people's patchers look into it, too.
saved = {}


def is_module_patched(mod_name):
    """Whether anything in the module of that name has been replaced."""
    return mod_name in saved


def is_object_patched(mod_name, item_name):
    """Whether an attribute of the module of that name has been replaced."""
    return item_name in saved.get(mod_name, ())


def is_anything_patched():
    """Whether this process has been patched at all."""
    return bool(saved)


def remember(module, name, value):
    """Keep the original; what was replaced twice keeps the first."""
    saved.setdefault(module.__name__, {}).setdefault(name, value)


def originals(mod_name, names):
    """What the names were before they were replaced, or are."""
    known = saved.get(mod_name, {})
    if all(name in known for name in names):
        return [known[name] for name in names]
    module = __import__(mod_name, fromlist=("*",))
    return [known[name] if name in known else getattr(module, name) for name in names]
