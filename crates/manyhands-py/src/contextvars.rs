//! `contextvars`: those of who submits a call are there for the call.
//!
//! A thread gets the context itself. A process gets the values of those variables that both find by their
//! names, as bytes; `manyhands.multiprocessing._variables` names them.

use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyIterator};

/// The context variables that were set where a call was submitted; nothing if none were.
pub(crate) struct Submitted(Option<Py<PyAny>>);

impl Submitted {
    /// Those that are set here and now.
    pub(crate) fn here(py: Python<'_>) -> PyResult<Submitted> {
        Ok(Submitted(copied(py)?.map(Bound::unbind)))
    }

    pub(crate) fn none() -> Submitted {
        Submitted(None)
    }

    pub(crate) fn again(&self, py: Python<'_>) -> Submitted {
        Submitted(self.0.as_ref().map(|context| context.clone_ref(py)))
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.0)
    }

    /// Makes a call that sees them, and besides what this thread has set. What it sets itself is gone
    /// afterwards, if there were any.
    pub(crate) fn call<R>(
        &self,
        py: Python<'_>,
        call: impl FnOnce() -> PyResult<R>,
    ) -> PyResult<R> {
        let Some(submitted) = &self.0 else { return call() };
        let submitted = submitted.bind(py);
        let _entered = enter_with(submitted)?;
        call()
    }
}

/// A copy of the context here and now, for what begins later; nothing if nothing is set in it.
pub(crate) fn copied(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(context) = current(py)? else { return Ok(None) };
    if let Some(variable) = decimal_variable(py)?
        && let Some(value) = value_in(&context, variable)?
    {
        // What is changed in it later is not for the call.
        Entered::enter(context.clone())?.set(variable, &own_decimal(&value)?)?;
    }
    Ok(Some(context))
}

/// What of the context here and now can be told to another process; `None` if there is nothing.
pub(crate) fn told(py: Python<'_>) -> PyResult<Option<Bound<'_, PyBytes>>> {
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(context) = current(py)? else { return Ok(None) };
    let encode = ENCODE.import(py, "manyhands.multiprocessing._variables", "encode")?;
    Ok(encode.call1((context,))?.extract()?)
}

/// Makes a call that sees what another process has told, as [`Submitted::call`].
pub(crate) fn call_with<R>(
    py: Python<'_>,
    told: &[u8],
    call: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    static DECODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let decode = DECODE.import(py, "manyhands.multiprocessing._variables", "decode")?;
    let values = decode.call1((PyBytes::new(py, told),))?;
    let entered = Entered::enter(copy_of_current(py)?)?;
    entered.set_all(&values)?;
    call()
}

/// The variables of a context on top of those of this thread.
fn enter_with<'py>(submitted: &Bound<'py, PyAny>) -> PyResult<Entered<'py>> {
    let py = submitted.py();
    let own = copy_of_current(py)?;
    let entered = if own.is_empty()? {
        // Several threads may do calls of one submission, and a context is one thread's at a time.
        Entered::enter(submitted.call_method0(intern!(py, "copy"))?)?
    } else {
        let entered = Entered::enter(own)?;
        entered.set_all(&submitted.call_method0(intern!(py, "items"))?)?;
        entered
    };
    if let Some(variable) = decimal_variable(py)?
        && let Some(value) = value_in(submitted, variable)?
    {
        entered.set(variable, &own_decimal(&value)?)?;
    }
    Ok(entered)
}

/// That in which this thread is; left when this is dropped.
struct Entered<'py>(Bound<'py, PyAny>);

impl<'py> Entered<'py> {
    fn enter(context: Bound<'py, PyAny>) -> PyResult<Entered<'py>> {
        #[expect(unsafe_code, reason = "a call of the interpreter's")]
        // SAFETY: it is a context, and this thread has the interpreter.
        let entered = unsafe { ffi::PyContext_Enter(context.as_ptr()) };
        if entered < 0 { Err(PyErr::fetch(context.py())) } else { Ok(Entered(context)) }
    }

    /// Sets variables to values: pairs of them.
    fn set_all(&self, values: &Bound<'py, PyAny>) -> PyResult<()> {
        for pair in values.try_iter()? {
            let (variable, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = pair?.extract()?;
            self.set(&variable, &value)?;
        }
        Ok(())
    }

    fn set(&self, variable: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.0.py();
        #[expect(unsafe_code, reason = "a call of the interpreter's")]
        // SAFETY: this thread has the interpreter; of what is no variable the call says so.
        let token = unsafe {
            let token = ffi::PyContextVar_Set(variable.as_ptr(), value.as_ptr());
            Bound::from_owned_ptr_or_err(py, token)
        };
        token.map(drop)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let py = self.0.py();
        #[expect(unsafe_code, reason = "a call of the interpreter's")]
        // SAFETY: it is a context, and this thread has the interpreter.
        let left = unsafe { ffi::PyContext_Exit(self.0.as_ptr()) };
        if left < 0 {
            // The call has entered another one and not left that.
            PyErr::fetch(py).write_unraisable(py, Some(&self.0));
        }
    }
}

/// The context here and now, if anything is set in it.
fn current(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let context = copy_of_current(py)?;
    Ok(if context.is_empty()? { None } else { Some(context) })
}

fn copy_of_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    #[expect(unsafe_code, reason = "a call of the interpreter's")]
    // SAFETY: this thread has the interpreter, and gets a reference of its own.
    unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent())
    }
}

fn value_in<'py>(
    context: &Bound<'py, PyAny>,
    variable: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !context.contains(variable)? {
        return Ok(None);
    }
    context.get_item(variable).map(Some)
}

/// A value of the variable of `decimal`, for one call alone: it is an object that each calculation
/// changes.
fn own_decimal<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    value.call_method0(intern!(value.py(), "copy"))
}

/// The variable in which `decimal` keeps how it calculates; `None` if it is not loaded, or has none.
fn decimal_variable(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyAny>>> {
    static VARIABLE: PyOnceLock<Option<Py<PyAny>>> = PyOnceLock::new();
    if VARIABLE.get(py).is_none() {
        let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
        if !modules.contains(intern!(py, "decimal"))? {
            return Ok(None);
        }
    }
    let variable = VARIABLE.get_or_try_init(py, || {
        // It has no name; but who asks for what is in it sets it.
        let context = py.import("contextvars")?.call_method0("Context")?;
        let asked = py.import("decimal")?.getattr("getcontext")?;
        context.call_method1("run", (asked,))?;
        let set = PyIterator::from_object(&context)?.collect::<PyResult<Vec<_>>>()?;
        Ok::<_, PyErr>(set.into_iter().next().map(Bound::unbind))
    })?;
    Ok(variable.as_ref().map(|variable| variable.bind(py)))
}
