//! Exact built-in objects, taken apart and made with the interpreter's own macros.
//!
//! Nothing here runs Python code, but for the garbage collection that a new container may start.
#![expect(unsafe_code, reason = "the macros that make this fast are C's")]

use std::ffi::c_int;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyTuple};

use super::format::TEXT_ASCII;

/// What an object is, if its class is exactly one of these.
pub(super) enum Kind<'a, 'py> {
    None,
    Bool(bool),
    Int,
    Float(f64),
    Str,
    Bytes(&'a Bound<'py, PyBytes>),
    ByteArray(&'a Bound<'py, PyByteArray>),
    Tuple(&'a Bound<'py, PyTuple>),
    List(&'a Bound<'py, PyList>),
    Dict(&'a Bound<'py, PyDict>),
    Other,
}

#[inline]
pub(super) fn kind<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Kind<'a, 'py> {
    let pointer = object.as_ptr();
    // SAFETY: only addresses of static types are taken; an object's type is looked at, and the
    // object taken for what its type says that it is.
    unsafe {
        let class = ffi::Py_TYPE(pointer);
        if class == &raw mut ffi::PyLong_Type {
            Kind::Int
        } else if class == &raw mut ffi::PyUnicode_Type {
            Kind::Str
        } else if class == &raw mut ffi::PyTuple_Type {
            Kind::Tuple(object.cast_unchecked())
        } else if class == &raw mut ffi::PyDict_Type {
            Kind::Dict(object.cast_unchecked())
        } else if class == &raw mut ffi::PyList_Type {
            Kind::List(object.cast_unchecked())
        } else if class == &raw mut ffi::PyBytes_Type {
            Kind::Bytes(object.cast_unchecked())
        } else if class == &raw mut ffi::PyFloat_Type {
            Kind::Float(ffi::PyFloat_AS_DOUBLE(pointer))
        } else if class == &raw mut ffi::PyBool_Type {
            Kind::Bool(pointer == ffi::Py_True())
        } else if pointer == ffi::Py_None() {
            Kind::None
        } else if class == &raw mut ffi::PyByteArray_Type {
            Kind::ByteArray(object.cast_unchecked())
        } else {
            Kind::Other
        }
    }
}

/// Whether only one reference to the object exists, so that it cannot be in two places.
///
/// Without a global lock another thread may take one at any time, so never there.
#[inline]
pub(super) fn has_one_reference(object: &Bound<'_, PyAny>) -> bool {
    // The `Bound` of `items_of_...` is borrowed from the container, and counts for nothing.
    // SAFETY: the object is alive.
    cfg!(not(Py_GIL_DISABLED)) && unsafe { ffi::Py_REFCNT(object.as_ptr()) } == 1
}

/// Whether it is an exact int.
#[inline]
pub(super) fn is_int(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: as in `kind`.
    unsafe { ffi::Py_TYPE(object.as_ptr()) == &raw mut ffi::PyLong_Type }
}

/// The value of an exact int, unless it has more than 64 bits.
#[inline]
pub(super) fn int(object: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow: c_int = 0;
    // SAFETY: the object is an int, for which this runs no Python code and does not fail.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(value)
}

/// The characters of a str as the interpreter has them.
pub(super) struct Text<'a> {
    pub(super) form: u8,
    pub(super) characters: usize,
    pub(super) bytes: &'a [u8],
}

/// The characters of an exact str; None for one of the old kind that cannot be had as characters.
#[inline]
pub(super) fn text<'a>(object: &'a Bound<'_, PyAny>) -> Option<Text<'a>> {
    let pointer = object.as_ptr();
    // SAFETY: the object is a str, which is made ready before it is looked into; its characters
    // stay where they are for as long as it lives.
    unsafe {
        if ffi::PyUnicode_READY(pointer) != 0 {
            ffi::PyErr_Clear();
            return None;
        }
        let characters = ffi::PyUnicode_GET_LENGTH(pointer).unsigned_abs();
        let width = ffi::PyUnicode_KIND(pointer) as usize;
        let data = ffi::PyUnicode_DATA(pointer).cast::<u8>();
        let bytes = std::slice::from_raw_parts(data, characters * width);
        let form = if width == 1 && bytes.is_ascii() { TEXT_ASCII } else { width as u8 };
        Some(Text { form, characters, bytes })
    }
}

/// Whether a str that was made of ASCII characters has these.
#[inline]
pub(super) fn is_ascii_text(text: &Bound<'_, PyAny>, characters: &[u8]) -> bool {
    let pointer = text.as_ptr();
    // SAFETY: the object is a str, which is ready and has one byte for each character.
    unsafe {
        let len = ffi::PyUnicode_GET_LENGTH(pointer).unsigned_abs();
        let data = ffi::PyUnicode_DATA(pointer).cast::<u8>();
        std::slice::from_raw_parts(data, len) == characters
    }
}

/// Calls `each` with the items while it returns true.
#[inline]
pub(super) fn items_of_tuple<'py>(
    tuple: &Bound<'py, PyTuple>,
    mut each: impl FnMut(&Bound<'py, PyAny>) -> bool,
) -> bool {
    let pointer = tuple.as_ptr();
    for index in 0..tuple.len() {
        // SAFETY: the index is in bounds, and the tuple holds its items for as long as it lives.
        let item = unsafe {
            let item = ffi::PyTuple_GET_ITEM(pointer, index as ffi::Py_ssize_t);
            Borrowed::from_ptr(tuple.py(), item)
        };
        if !each(&item) {
            return false;
        }
    }
    true
}

/// Calls `each` with the items while it returns true; false also if there are not `len` of them.
///
/// The list's critical section is held.
#[inline]
pub(super) fn items_of_list<'py>(
    list: &Bound<'py, PyList>,
    len: usize,
    mut each: impl FnMut(&Bound<'py, PyAny>) -> bool,
) -> bool {
    let pointer = list.as_ptr();
    for index in 0..len {
        if index >= list.len() {
            return false;
        }
        // SAFETY: the index is in bounds, and the list holds its items: with a global lock because
        // no Python code runs here; without one see `held`.
        let item = unsafe {
            let item = ffi::PyList_GET_ITEM(pointer, index as ffi::Py_ssize_t);
            Borrowed::from_ptr(list.py(), item)
        };
        if !each(&held(item)) {
            return false;
        }
    }
    list.len() == len
}

/// As [`items_of_list`], with the keys and values of a dict.
#[inline]
pub(super) fn items_of_dict<'py>(
    dict: &Bound<'py, PyDict>,
    len: usize,
    mut each: impl FnMut(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> bool,
) -> bool {
    let py = dict.py();
    let mut position = 0;
    let mut key = std::ptr::null_mut();
    let mut value = std::ptr::null_mut();
    let mut count = 0;
    // SAFETY: the position is what the last call left, and the rest are places to write to.
    while unsafe {
        ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut value) != 0
    } {
        // SAFETY: the dict holds both; as in `items_of_list`.
        let (key, value) = unsafe { (Borrowed::from_ptr(py, key), Borrowed::from_ptr(py, value)) };
        if count == len || !each(&held(key), &held(value)) {
            return false;
        }
        count += 1;
    }
    count == len
}

/// An item of a mutable container while it is encoded.
///
/// With a global lock the container's own reference does. Without one a critical section is given up
/// while the thread waits for another, the item's own.
#[cfg(not(Py_GIL_DISABLED))]
#[inline]
fn held<'a, 'py>(item: Borrowed<'a, 'py, PyAny>) -> Borrowed<'a, 'py, PyAny> {
    item
}

#[cfg(Py_GIL_DISABLED)]
fn held<'py>(item: Borrowed<'_, 'py, PyAny>) -> Bound<'py, PyAny> {
    item.to_owned()
}

/// An int.
#[inline]
pub(super) fn new_int(py: Python<'_>, value: i64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a new reference or an error comes back.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyLong_FromLongLong(value)) }
}

/// A str of ASCII characters, which have been checked.
#[inline]
pub(super) fn new_ascii<'py>(py: Python<'py>, characters: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if characters.len() < 2 {
        // The interpreter has one of each.
        return new_text(py, 1, characters);
    }
    // SAFETY: a new str has room for the characters, and nobody else has seen it.
    unsafe {
        let len = ffi::Py_ssize_t::try_from(characters.len())?;
        let text = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(len, 127))?;
        let data = ffi::PyUnicode_DATA(text.as_ptr()).cast::<u8>();
        std::ptr::copy_nonoverlapping(characters.as_ptr(), data, characters.len());
        Ok(text)
    }
}

/// A str of characters of `width` bytes: 1, 2 or 4.
pub(super) fn new_text<'py>(
    py: Python<'py>,
    width: u8,
    characters: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let kind = c_int::from(width);
    let len = ffi::Py_ssize_t::try_from(characters.len() / usize::from(width))?;
    let aligned;
    let data = if width == 1 || characters.as_ptr().cast::<u32>().is_aligned() {
        characters.as_ptr().cast()
    } else {
        aligned = copied_aligned(characters);
        aligned.as_ptr().cast()
    };
    // SAFETY: there are that many characters; a new reference or an error comes back.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_FromKindAndData(kind, data, len)) }
}

/// A copy at an address that is good for the widest characters.
fn copied_aligned(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(4)) {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        *word = u32::from_ne_bytes(four);
    }
    words
}

/// A tuple of `len` items that `next` makes.
#[inline]
pub(super) fn new_tuple<'py>(
    py: Python<'py>,
    len: usize,
    mut next: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: each item of the new tuple is set once; its end copes with those that are not.
    unsafe {
        let len = ffi::Py_ssize_t::try_from(len)?;
        let tuple = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(len))?;
        for index in 0..len {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index, next()?.into_ptr());
        }
        Ok(tuple)
    }
}

/// A list of `len` items that `next` makes.
#[inline]
pub(super) fn new_list<'py>(
    py: Python<'py>,
    len: usize,
    mut next: impl FnMut() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: as in `new_tuple`.
    unsafe {
        let len = ffi::Py_ssize_t::try_from(len)?;
        let list = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(len))?;
        for index in 0..len {
            ffi::PyList_SET_ITEM(list.as_ptr(), index, next()?.into_ptr());
        }
        Ok(list)
    }
}
