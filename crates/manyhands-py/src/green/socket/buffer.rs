//! Memory of Python objects, for one system call.
#![expect(
    unsafe_code,
    reason = "the buffer protocol, and bytes that are filled before anybody sees them"
)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;

unsafe extern "C" {
    /// Documented, but PyO3 does not declare it.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, length: ffi::Py_ssize_t) -> c_int;
}

/// A view of an object's memory, given back when this is dropped.
struct View(ffi::Py_buffer);

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: it was filled by PyObject_GetBuffer, and is released once, by the thread that took it.
        unsafe { ffi::PyBuffer_Release(&mut self.0) };
    }
}

fn view(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<View> {
    let mut view = MaybeUninit::<ffi::Py_buffer>::uninit();
    // SAFETY: a place for a view. It may be moved: without shape and strides nothing in it points to itself.
    if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) } != 0 {
        return Err(PyErr::fetch(object.py()));
    }
    // SAFETY: it was filled.
    Ok(View(unsafe { view.assume_init() }))
}

/// Calls the body with an object's bytes; it must not wait.
#[inline]
pub(super) fn reading<R>(object: &Bound<'_, PyAny>, body: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    let view = view(object, ffi::PyBUF_SIMPLE)?;
    if view.0.len <= 0 {
        return Ok(body(&[]));
    }
    // SAFETY: so many bytes lie there until the view is released.
    Ok(body(unsafe { std::slice::from_raw_parts(view.0.buf.cast::<u8>(), view.0.len as usize) }))
}

/// The same with bytes that the body may change.
#[inline]
pub(super) fn writing<R>(
    object: &Bound<'_, PyAny>,
    body: impl FnOnce(&mut [MaybeUninit<u8>]) -> R,
) -> PyResult<R> {
    let view = view(object, ffi::PyBUF_WRITABLE)?;
    if view.0.len <= 0 {
        return Ok(body(&mut []));
    }
    let (start, count) = (view.0.buf.cast::<MaybeUninit<u8>>(), view.0.len as usize);
    // SAFETY: as above, and whoever has made the object writable lets others write there.
    Ok(body(unsafe { std::slice::from_raw_parts_mut(start, count) }))
}

/// New bytes of at most that size: the body fills them and says how many it has.
pub(super) fn filled<'py>(
    py: Python<'py>,
    size: usize,
    body: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize, Errno>,
) -> PyResult<Result<Bound<'py, PyBytes>, Errno>> {
    // SAFETY: new bytes, whose content is not set, and which are only ours.
    unsafe {
        let mut bytes = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size as isize);
        if bytes.is_null() {
            return Err(PyErr::fetch(py));
        }
        let start = ffi::PyBytes_AsString(bytes).cast::<MaybeUninit<u8>>();
        match body(std::slice::from_raw_parts_mut(start, size)) {
            Ok(count) => {
                if count < size && _PyBytes_Resize(&mut bytes, count as isize) != 0 {
                    return Err(PyErr::fetch(py));
                }
                Ok(Ok(Bound::from_owned_ptr(py, bytes).cast_into_unchecked()))
            }
            Err(errno) => {
                ffi::Py_DECREF(bytes);
                Ok(Err(errno))
            }
        }
    }
}

/// The descriptor, for one system call.
#[inline]
pub(super) fn borrowed<'a>(fd: RawFd) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: it is not -1; if it is no descriptor, that is what the system will say.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
