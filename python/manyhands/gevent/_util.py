"""Small things that several modules use."""

import functools
import time

__all__ = ["Lazy", "LazyOnClass", "copy_globals", "gmctime", "readproperty", "update_wrapper"]

update_wrapper = functools.update_wrapper


class _Default:
    """Stands for an argument that was not given."""

    __slots__ = ()

    def __repr__(self):
        return "<default value>"


_NONE = _Default()


def copy_globals(
    source,
    globs,
    only_names=None,
    ignore_missing_names=False,
    names_to_ignore=(),
    dunder_names_to_keep=("__implements__", "__all__", "__imports__"),
    cleanup_globs=True,
):
    """Put what the module `source` has into `globs`, and return the names of that.

    Dunder names are left out, save those to keep. `only_names`: just these; one that is missing is
    an error, unless `ignore_missing_names`.
    """
    copied = []
    for name in only_names or list(vars(source)):
        if name in names_to_ignore:
            continue
        if name.startswith("__") and name not in dunder_names_to_keep:
            continue
        if ignore_missing_names and not hasattr(source, name):
            continue
        globs[name] = getattr(source, name)
        copied.append(name)
    if cleanup_globs:
        globs.pop("copy_globals", None)
    return copied


class Lazy:
    """A method that is called when it is first read, and whose result the instance keeps."""

    def __init__(self, func):
        self.data = (func, func.__name__)
        update_wrapper(self, func)

    def __get__(self, instance, owner):
        if instance is None:
            return self
        func, name = self.data
        value = instance.__dict__[name] = func(instance)
        return value


class readproperty:
    """A property that can be overridden by just setting the attribute."""

    def __init__(self, func):
        self.func = func
        update_wrapper(self, func)

    def __get__(self, instance, owner):
        return self if instance is None else self.func(instance)


class LazyOnClass:
    """A method that is called when it is first read of any instance; the class keeps the result."""

    @classmethod
    def lazy(cls, cls_dict, func):
        """Put one for `func` into the namespace of a class."""
        cls_dict[func.__name__] = cls(func)

    def __init__(self, func, name=None):
        self.func = func
        self.name = name or func.__name__

    def __get__(self, instance, owner):
        if instance is None:
            return self
        value = self.func(instance)
        setattr(owner, self.name, value)
        return value


def gmctime():
    """Now, in UTC, as logs have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
