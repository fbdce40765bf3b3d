"""Pickles a process object for its child.

What a child cannot import is pickled by value, if `cloudpickle` is installed: lambdas, functions
within functions, and everything in a `__main__` that is no file, as of `python -c` or a notebook.
"""

import functools
import io
import pickle
import sys
import types
from collections import ChainMap

from manyhands.multiprocessing import reduction

TYPES = types.FunctionType, type

#: The name of the main module in a child that was not forked.
_MAIN_OF_CHILD = "__mp_main__"

HINT = (
    "Functions and classes that are not at the top level of a module that the child can import can "
    "be passed to it if the package `cloudpickle` is installed."
)


def dump(process, preparation, forget):
    """Return the process object as bytes. `forget` undoes what a failed attempt has left behind."""
    buffer = io.BytesIO()
    try:
        if not _has_main(preparation):
            pickler = _pickler()
            if pickler is not None:
                pickler(buffer, main_is_foreign=True).dump(process)
                return buffer.getvalue()
        reduction.dump(process, buffer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        pickler = _pickler()
        if pickler is None:
            if hasattr(error, "add_note") and not isinstance(error, TypeError):
                error.add_note(HINT)
            raise
        buffer = io.BytesIO()
        forget()
        try:
            pickler(buffer).dump(process)
        except Exception:
            raise error from None
    return buffer.getvalue()


def _has_main(preparation):
    """Whether the child will have this process's main module."""
    return (
        "init_main_from_name" in preparation
        or "init_main_from_path" in preparation
        or getattr(sys, "frozen", False)
    )


def foreign_pickler():
    """The class of a pickler for another machine, which has nothing of this one's main module, nor
    what `cloudpickle` was told to pickle by value; or None."""
    pickler = _pickler()
    return pickler and functools.partial(pickler, main_is_foreign=True, names_are_enough=False)


def _pickler():
    """The class of a pickler by value, or None."""
    try:
        import cloudpickle
    except ImportError:
        return None

    class Pickler(cloudpickle.Pickler):
        """Pickles by value what cannot be imported, and all else as multiprocessing does."""

        def __init__(self, file, main_is_foreign=False, names_are_enough=True):
            self._main_is_foreign = main_is_foreign
            self._names_are_enough = names_are_enough
            ours = reduction.ForkingPickler(io.BytesIO()).dispatch_table
            # Before __init__, which looks it up once and for all.
            self.dispatch_table = ChainMap(ours, self.dispatch_table)
            super().__init__(file)
            if not names_are_enough and _MAIN_OF_CHILD in sys.modules:
                cloudpickle.register_pickle_by_value(sys.modules[_MAIN_OF_CHILD])

        def reducer_override(self, obj):
            if self._names_are_enough and isinstance(obj, TYPES) and self._can_be_imported(obj):
                return NotImplemented
            return super().reducer_override(obj)

        def _can_be_imported(self, obj):
            module = getattr(obj, "__module__", None)
            if module == "__main__" and self._main_is_foreign:
                return False
            found = sys.modules.get(module)
            try:
                for name in obj.__qualname__.split("."):
                    found = getattr(found, name)
            except AttributeError:
                return False
            return found is obj

    return Pickler
