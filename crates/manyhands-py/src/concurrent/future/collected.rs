//! Which futures the collector looks at: those that may be part of a cycle.
//!
//! As the interpreter does with tuples of what can be in no cycle, it is not told of a future of a call as
//! long as that holds nothing of the kind. Where many calls are submitted before the first result is asked
//! for, going through all their futures again and again is a third of what that costs.
//!
//! So whatever makes a future hold something else has to call [`Future::may_be_in_a_cycle`]. Attributes that the
//! program gives it do, too; only where it goes around our `__setattr__`, by that of `object`, a cycle stays.
#![expect(unsafe_code, reason = "calls of the interpreter's")]

use pyo3::ffi;
use pyo3::prelude::*;

use super::Future;

impl Future {
    /// Of one that holds nothing yet: the collector need not know of it. Nobody else may have it.
    pub(super) fn begin_out_of_cycles(slf: &Bound<'_, Self>) {
        // Without a global lock the collector finds objects in another way.
        if cfg!(not(Py_GIL_DISABLED)) {
            // SAFETY: it is an object of a class that the collector knows of, and complete.
            unsafe { ffi::PyObject_GC_UnTrack(slf.as_ptr().cast()) };
        }
    }

    /// From now on it may be part of a cycle.
    pub(super) fn may_be_in_a_cycle(slf: &Bound<'_, Self>) {
        if cfg!(not(Py_GIL_DISABLED)) {
            // SAFETY: it is an object of a class that the collector knows of, and complete. Who looks and then
            // enters it has the global lock in between.
            unsafe {
                if ffi::PyObject_GC_IsTracked(slf.as_ptr()) == 0 {
                    ffi::PyObject_GC_Track(slf.as_ptr().cast());
                }
            }
        }
    }

    /// It is going to hold that.
    pub(super) fn holds(slf: &Bound<'_, Self>, object: &Bound<'_, PyAny>) {
        // SAFETY: it is an object, so it has a class.
        if unsafe { ffi::PyType_IS_GC(ffi::Py_TYPE(object.as_ptr())) } != 0 {
            Self::may_be_in_a_cycle(slf);
        }
    }

    /// Gives it an attribute, or takes it away.
    pub(super) fn set_attribute(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Self::may_be_in_a_cycle(slf);
        let value = value.map_or(std::ptr::null_mut(), Bound::as_ptr);
        // SAFETY: they are objects, or there is no value; and this thread has the interpreter.
        done(slf, unsafe { ffi::PyObject_GenericSetAttr(slf.as_ptr(), name.as_ptr(), value) })
    }

    /// The dict of its attributes.
    pub(super) fn attributes<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::may_be_in_a_cycle(slf);
        // SAFETY: it is an object, and this thread has the interpreter; a new reference or an error comes back.
        unsafe {
            let dict = ffi::PyObject_GenericGetDict(slf.as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(slf.py(), dict)
        }
    }

    /// Gives it another.
    pub(super) fn set_attributes(slf: &Bound<'_, Self>, dict: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::may_be_in_a_cycle(slf);
        let (this, none) = (slf.as_ptr(), std::ptr::null_mut());
        // SAFETY: they are objects, and this thread has the interpreter; of what is no dict the call says so.
        done(slf, unsafe { ffi::PyObject_GenericSetDict(this, dict.as_ptr(), none) })
    }
}

fn done(slf: &Bound<'_, Future>, code: std::ffi::c_int) -> PyResult<()> {
    if code < 0 { Err(PyErr::fetch(slf.py())) } else { Ok(()) }
}
