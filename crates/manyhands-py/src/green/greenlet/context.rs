//! Whether a greenlet begins with a copy of the context variables of the one that starts it.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::super::raw;
use super::{CLASS, is_usual};
use crate::contextvars;

/// Whether those do that do not say themselves.
static COPIES: AtomicBool = AtomicBool::new(false);

/// Gives a greenlet that is being started the context of the one that starts it, if it is to have that, and has none yet.
#[inline]
pub(super) fn inherit(greenlet: &Bound<'_, PyAny>, copies: Option<bool>) -> PyResult<()> {
    let said = if is_usual(greenlet) { None } else { said_by_class(greenlet)? };
    let copies = said.or(copies).unwrap_or_else(|| COPIES.load(Ordering::Relaxed));
    if copies { copy(greenlet) } else { Ok(()) }
}

/// What a subclass says for all of its objects. Anything but a bool is something else of the same name.
fn said_by_class(greenlet: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let py = greenlet.py();
    let name = intern!(py, "copy_context");
    let Some(usual) = CLASS.get(py) else { return Ok(None) };
    if greenlet.get_type().getattr(name)?.is(&usual.bind(py).getattr(name)?) {
        return Ok(None);
    }
    Ok(greenlet.getattr(name)?.cast::<PyBool>().ok().map(|said| said.is_true()))
}

#[cold]
fn copy(greenlet: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = greenlet.py();
    let name = intern!(py, "gr_context");
    if greenlet.getattr(name)?.is_none()
        && let Some(context) = contextvars::copied(py)?
    {
        greenlet.setattr(name, context)?;
    }
    Ok(())
}

/// As starting it does.
#[pyfunction]
fn _inherit_context(greenlet: &Bound<'_, PyAny>) -> PyResult<()> {
    let copies = raw::with(greenlet, |body| body.copies_context);
    inherit(greenlet, copies.flatten())
}

/// Whether this one does.
#[pyfunction]
fn _copies_context(greenlet: &Bound<'_, PyAny>) -> bool {
    let copies = raw::with(greenlet, |body| body.copies_context);
    copies.flatten().unwrap_or_else(|| COPIES.load(Ordering::Relaxed))
}

#[pyfunction]
fn _set_copies_context(greenlet: &Bound<'_, PyAny>, copies: bool) {
    raw::with(greenlet, |body| body.copies_context = Some(copies));
}

/// Whether those do that do not say themselves.
#[pyfunction]
fn _all_copy_context(copy: bool) {
    COPIES.store(copy, Ordering::Relaxed);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for function in [
        wrap_pyfunction!(_inherit_context, module)?,
        wrap_pyfunction!(_copies_context, module)?,
        wrap_pyfunction!(_set_copies_context, module)?,
        wrap_pyfunction!(_all_copy_context, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
