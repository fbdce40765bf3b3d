"""ctypes objects in memory that processes share, with or without a lock.

Source: https://docs.python.org/3/library/multiprocessing.html#module-multiprocessing.sharedctypes
"""

import ctypes
import functools
import weakref

from manyhands import _native
from manyhands.multiprocessing import heap, synchronize
from manyhands.multiprocessing.context import _default_context, assert_spawning
from manyhands.multiprocessing.reduction import ForkingPickler

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

#: The types that the letters of the module `array` stand for.
typecode_to_type = {
    "c": ctypes.c_char,
    "u": ctypes.c_wchar,
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}


def RawValue(typecode_or_type, *args):
    """Return a ctypes object in shared memory; `args` are passed to its class."""
    value = _new(_type_of(typecode_or_type))
    value.__init__(*args)
    return value


def RawArray(typecode_or_type, size_or_initializer):
    """Return a ctypes array in shared memory: that many zeros, or what the sequence has."""
    type_ = _type_of(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new(type_ * size_or_initializer)
    array = _new(type_ * len(size_or_initializer))
    array.__init__(*size_or_initializer)
    return array


def Value(typecode_or_type, *args, lock=True, ctx=None):
    """Return a ctypes object in shared memory, wrapped with its lock unless that is False."""
    return _with_lock(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type, size_or_initializer, *, lock=True, ctx=None):
    """Return a ctypes array in shared memory, wrapped with its lock unless that is False."""
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def copy(obj):
    """Return a ctypes object in shared memory that has the contents of another one."""
    new = _new(type(obj))
    ctypes.pointer(new)[0] = obj
    return new


def synchronized(obj, lock=None, ctx=None):
    """Return a wrapper for a ctypes object that uses it under a lock; without one, a new one."""
    assert not isinstance(obj, SynchronizedBase), "object already synchronized"
    return _wrapper_for(type(obj))(obj, lock, ctx)


def reduce_ctype(obj):
    """What a shared ctypes object is pickled as, for a child that is being started."""
    assert_spawning(obj)
    if isinstance(obj, ctypes.Array):
        return rebuild_ctype, (obj._type_, obj._wrapper, obj._length_)
    return rebuild_ctype, (type(obj), obj._wrapper, None)


def rebuild_ctype(type_, wrapper, length):
    """Return the ctypes object in that memory; an array if it has a length."""
    if length is not None:
        type_ = type_ * length
    ForkingPickler.register(type_, reduce_ctype)
    obj = type_.from_buffer(wrapper.create_memoryview())
    obj._wrapper = wrapper
    return obj


@functools.cache
def make_property(name):
    """Return an attribute of wrappers: that of the object, got and set under the lock."""
    return _native.multiprocessing.SynchronizedAttribute(name)


class SynchronizedBase(_native.multiprocessing.SynchronizedBase):
    """A shared ctypes object and its lock."""

    def __init__(self, obj, lock=None, ctx=None):
        lock = lock or _new_lock(ctx)
        self._unite(obj, lock, type(lock) is synchronize.RLock)

    def __reduce__(self):
        assert_spawning(self)
        return synchronized, (self._obj, self._lock)

    def __repr__(self):
        return f"<{type(self).__name__} wrapper for {self._obj}>"


class Synchronized(SynchronizedBase):
    """A shared number, or character, and its lock."""

    value = make_property("value")


class SynchronizedArray(SynchronizedBase, _native.multiprocessing.SynchronizedItems):
    """A shared array and its lock."""


class SynchronizedString(SynchronizedArray):
    """A shared array of characters and its lock."""

    value = make_property("value")
    raw = make_property("raw")


#: The wrappers of structures and the like, each made when it is first needed.
class_cache = weakref.WeakKeyDictionary()


def _type_of(typecode_or_type):
    return typecode_to_type.get(typecode_or_type, typecode_or_type)


def _new(type_):
    """An object of that type in shared memory of its own, which is all zero."""
    return rebuild_ctype(type_, heap.BufferWrapper(ctypes.sizeof(type_)), None)


def _new_lock(ctx):
    return (ctx or _default_context.get_context()).RLock()


def _with_lock(obj, lock, ctx):
    if lock is False:
        return obj
    if lock in (True, None):
        lock = _new_lock(ctx)
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(obj, lock, ctx)


def _wrapper_for(type_):
    if issubclass(type_, ctypes._SimpleCData):
        return Synchronized
    if issubclass(type_, ctypes.Array):
        return SynchronizedString if type_._type_ is ctypes.c_char else SynchronizedArray
    wrapper = class_cache.get(type_)
    if wrapper is None:
        fields = {field[0]: make_property(field[0]) for field in type_._fields_}
        wrapper = type(f"Synchronized{type_.__name__}", (SynchronizedBase,), fields)
        class_cache[type_] = wrapper
    return wrapper
