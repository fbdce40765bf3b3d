//! What the package `greenlet` offers to other native code: stacks and switching between them.
#![expect(unsafe_code, reason = "a table of C functions")]

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;
use pyo3::types::PyType;

type Greenlet = *mut PyObject;

/// The table behind `greenlet._C_API`, in the order in which `greenlet.h` numbers it.
#[repr(C)]
struct Table {
    class: *mut PyTypeObject,
    error: *mut PyObject,
    exit: *mut PyObject,
    new: unsafe extern "C" fn(*mut PyObject, Greenlet) -> Greenlet,
    current: unsafe extern "C" fn() -> Greenlet,
    throw: unsafe extern "C" fn(Greenlet, *mut PyObject, *mut PyObject, *mut PyObject) -> Greenlet,
    switch: unsafe extern "C" fn(Greenlet, *mut PyObject, *mut PyObject) -> *mut PyObject,
    set_parent: unsafe extern "C" fn(Greenlet, Greenlet) -> c_int,
    is_main: unsafe extern "C" fn(Greenlet) -> c_int,
    is_started: unsafe extern "C" fn(Greenlet) -> c_int,
    is_active: unsafe extern "C" fn(Greenlet) -> c_int,
    parent: unsafe extern "C" fn(Greenlet) -> Greenlet,
}

struct Shared(*const Table);

// SAFETY: the table lies in a module that is never unloaded, and is not written to after that was imported.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

static TABLE: OnceLock<Shared> = OnceLock::new();

/// Finds the table; before anything else here.
pub(super) fn load(py: Python<'_>) -> PyResult<()> {
    if TABLE.get().is_none() {
        py.import("greenlet._greenlet")?;
        // SAFETY: the name is a string that ends; null comes with an exception.
        let table = unsafe { ffi::PyCapsule_Import(c"greenlet._C_API".as_ptr(), 0) };
        if table.is_null() {
            return Err(PyErr::fetch(py));
        }
        let _ = TABLE.set(Shared(table.cast::<c_void>().cast()));
    }
    Ok(())
}

#[inline(always)]
fn table() -> &'static Table {
    // SAFETY: it lives as long as the process.
    TABLE.get().map(|shared| unsafe { &*shared.0 }).expect("loaded when the module is set up")
}

/// The class `greenlet.greenlet`.
pub(super) fn class(py: Python<'_>) -> Bound<'_, PyType> {
    // SAFETY: the module keeps its class.
    unsafe { Bound::from_borrowed_ptr(py, table().class.cast()).cast_into_unchecked() }
}

/// The class `greenlet.GreenletExit`.
pub(super) fn exit(py: Python<'_>) -> Bound<'_, PyType> {
    // SAFETY: the module keeps its class.
    unsafe { Bound::from_borrowed_ptr(py, table().exit).cast_into_unchecked() }
}

/// The greenlet that runs.
#[inline(always)]
pub(super) fn current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: this thread is attached; a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, (table().current)()) }
}

fn is(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: an object and a class that are alive.
    unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), table().class) != 0 }
}

/// Switches to a greenlet; comes back when somebody switches to the one that called this, with what they passed.
///
/// Nothing that is borrowed may live across this: other greenlets run meanwhile.
#[inline(always)]
pub(super) fn switch<'py>(greenlet: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = greenlet.py();
    // SAFETY: the function looks whether it is a greenlet; no arguments are no pointer; a new reference, or null with an
    // exception.
    unsafe {
        let result =
            (table().switch)(greenlet.as_ptr(), std::ptr::null_mut(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, result)
    }
}

/// As [`switch`], without what they passed; `None` with the exception set, which takes less of the stack.
#[inline(always)]
pub(super) fn switch_only(greenlet: Bound<'_, PyAny>) -> Option<()> {
    // SAFETY: as in `switch`; the reference that is owned is released, and the result.
    unsafe {
        let result =
            (table().switch)(greenlet.as_ptr(), std::ptr::null_mut(), std::ptr::null_mut());
        drop(greenlet);
        if result.is_null() {
            return None;
        }
        ffi::Py_DECREF(result);
        Some(())
    }
}

/// Switches to a greenlet and raises the exception there.
pub(super) fn throw<'py>(
    greenlet: &Bound<'py, PyAny>,
    error: PyErr,
) -> PyResult<Bound<'py, PyAny>> {
    let py = greenlet.py();
    let class = error.get_type(py);
    let traceback = error.traceback(py);
    let value = error.into_value(py).into_bound(py);
    let traceback = traceback.as_ref().map_or(std::ptr::null_mut(), |it| it.as_ptr());
    // SAFETY: a class, its instance, and a traceback or null; the result as for `switch`.
    unsafe {
        let result = (table().throw)(greenlet.as_ptr(), class.as_ptr(), value.as_ptr(), traceback);
        Bound::from_owned_ptr_or_err(py, result)
    }
}

/// To whom goes what runs when the greenlet has ended.
pub(super) fn set_parent(greenlet: &Bound<'_, PyAny>, parent: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: the function looks whether both are greenlets.
    if unsafe { (table().set_parent)(greenlet.as_ptr(), parent.as_ptr()) } < 0 {
        return Err(PyErr::fetch(greenlet.py()));
    }
    Ok(())
}

/// Whether the greenlet has begun and not ended. False of what is no greenlet.
pub(super) fn is_active(greenlet: &Bound<'_, PyAny>) -> bool {
    // SAFETY: it is a greenlet.
    is(greenlet) && unsafe { (table().is_active)(greenlet.as_ptr()) } == 1
}

/// Whether it is the greenlet that a thread begins with.
pub(super) fn is_main(greenlet: &Bound<'_, PyAny>) -> bool {
    // SAFETY: as above.
    is(greenlet) && unsafe { (table().is_main)(greenlet.as_ptr()) } == 1
}
