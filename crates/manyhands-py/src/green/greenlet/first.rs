//! The first switch to a greenlet.
//!
//! `greenlet` calls what the attribute `run` of the object is then. A method bound to the object would be one more object for each greenlet
//! that is parked, at which the collector looks again and again; one function that does the same for the greenlet that runs will do.
#![expect(unsafe_code, reason = "a C function")]

use pyo3::ffi::{self, PyObject};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::super::body::Stage;
use super::super::method::guarded;
use super::super::{api, raw};
use super::run;

/// Whether it is still to begin; then it is about to, and somebody has to switch to it at once.
pub(in super::super) fn begins(greenlet: &Bound<'_, PyAny>) -> bool {
    let begins = raw::with(greenlet, |body| {
        let is_due = body.stage == Stage::Due;
        if is_due {
            body.stage = Stage::Beginning;
        }
        is_due
    });
    begins.unwrap_or(true)
}

/// The attribute `run` of the class.
#[pyclass(frozen, module = "manyhands._native")]
struct RunAttribute {
    /// The method proper.
    method: Py<PyAny>,
    /// What does it for the greenlet that runs.
    current: Py<PyAny>,
}

#[pymethods]
impl RunAttribute {
    fn __get__<'py>(
        &self,
        py: Python<'py>,
        greenlet: Option<Bound<'py, PyAny>>,
        _class: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let method = self.method.bind(py);
        let Some(greenlet) = greenlet else { return Ok(method.clone()) };
        if raw::with(&greenlet, |body| body.stage) == Some(Stage::Beginning) {
            return Ok(self.current.bind(py).clone());
        }
        method.call_method1(intern!(py, "__get__"), (greenlet,))
    }
}

/// # Safety
/// The interpreter calls it, in a greenlet of the class.
unsafe extern "C" fn run_current(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter calls, attached.
    let py = unsafe { Python::assume_attached() };
    guarded(py, || {
        let this = api::current(py)?;
        run::whole(this.as_borrowed())
    })
}

/// Puts that attribute into the place of the method of its name.
pub(super) fn set_up(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    // Never freed: the interpreter keeps using it.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"run".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: run_current },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: c"run()\n--\n\nCall what the greenlet that runs is for. Called when it begins."
            .as_ptr(),
    }));
    let nothing = std::ptr::null_mut();
    // SAFETY: a definition that stays; a new reference or an error comes back.
    let current = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, nothing, nothing))?
    };
    let method = class.getattr(intern!(py, "run"))?.unbind();
    class.setattr(intern!(py, "run"), RunAttribute { method, current: current.unbind() })
}
