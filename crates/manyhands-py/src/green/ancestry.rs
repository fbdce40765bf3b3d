//! Where greenlets come from: who made them, and from which lines.
#![expect(
    unsafe_code,
    reason = "frames and weak references, of which PyO3 offers nothing as cheap"
)]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::body::Spawned;
use super::{api, raw};

/// Whether that is noted.
static NOTES: AtomicBool = AtomicBool::new(true);

/// How many lines.
const DEPTH: usize = 10;

/// Of a greenlet that is being made here and now.
#[inline]
pub(super) fn note(py: Python<'_>) -> PyResult<Option<Box<Spawned>>> {
    if !NOTES.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let current = api::current(py)?;
    // SAFETY: an object that is alive; a new reference or an error comes back.
    let by = unsafe {
        let reference = ffi::PyWeakref_NewRef(current.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, reference)?
    };
    let locals = locals(&current)?;
    let stack = stack(py);
    Ok(Some(Box::new(Spawned { by: Some(by.unbind()), locals: locals.map(Bound::unbind), stack })))
}

/// Code and place of those who called, the innermost first.
fn stack(py: Python<'_>) -> Vec<(Py<PyAny>, c_int)> {
    let mut found = [(std::ptr::null_mut(), 0); DEPTH];
    let mut depth = 0;
    // SAFETY: this thread is attached; frames and code objects that come back are references of ours, but for the first.
    unsafe {
        let mut frame = ffi::PyEval_GetFrame();
        ffi::Py_XINCREF(frame.cast());
        for slot in &mut found {
            if frame.is_null() {
                break;
            }
            *slot = (ffi::PyFrame_GetCode(frame).cast(), place(frame));
            depth += 1;
            let back = ffi::PyFrame_GetBack(frame);
            ffi::Py_DECREF(frame.cast());
            frame = back;
        }
        ffi::Py_XDECREF(frame.cast());
        // As long as that: each greenlet keeps its own.
        let found = found.iter().take(depth);
        found.map(|(code, place)| (Bound::from_owned_ptr(py, *code).unbind(), *place)).collect()
    }
}

/// The place in the code; its line where the version tells nothing cheaper.
///
/// # Safety
/// A frame, and this thread is attached.
unsafe fn place(frame: *mut ffi::PyFrameObject) -> c_int {
    #[cfg(Py_3_11)]
    // SAFETY: the caller vouches for it.
    unsafe {
        ffi::PyFrame_GetLasti(frame)
    }
    #[cfg(not(Py_3_11))]
    // SAFETY: the caller vouches for it.
    unsafe {
        ffi::PyFrame_GetLineNumber(frame)
    }
}

/// What a greenlet of ours shares with those that it makes; made if it is not there.
fn locals<'py>(greenlet: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = greenlet.py();
    if !raw::is(greenlet) {
        if api::is_main(greenlet) {
            return Ok(None);
        }
        let theirs = greenlet.getattr_opt(intern!(py, "spawn_tree_locals"))?;
        return Ok(theirs.and_then(|it| it.cast_into().ok()));
    }
    let has = raw::with(greenlet, |body| {
        body.spawned.as_ref().and_then(|it| it.locals.as_ref()).map(|it| it.clone_ref(py))
    });
    if let Some(Some(locals)) = has {
        return Ok(Some(locals.into_bound(py)));
    }
    let locals = PyDict::new(py);
    raw::with(greenlet, |body| {
        body.spawned.get_or_insert_default().locals = Some(locals.clone().unbind());
    });
    Ok(Some(locals))
}

#[pyfunction]
fn _spawn_locals<'py>(greenlet: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    locals(greenlet)
}

#[pyfunction]
fn _set_spawn_locals(greenlet: &Bound<'_, PyAny>, locals: Option<Py<PyDict>>) {
    drop(raw::with(greenlet, |body| {
        std::mem::replace(&mut body.spawned.get_or_insert_default().locals, locals)
    }));
}

/// A weak reference to who made it.
#[pyfunction]
fn _spawned_by(py: Python<'_>, greenlet: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
    raw::with(greenlet, |body| {
        body.spawned.as_ref().and_then(|it| it.by.as_ref()).map(|it| it.clone_ref(py))
    })
    .flatten()
}

/// Code and the index of its instruction (before 3.11: its line) of those who called, the innermost first.
#[pyfunction]
fn _spawned_at(py: Python<'_>, greenlet: &Bound<'_, PyAny>) -> Vec<(Py<PyAny>, c_int)> {
    raw::with(greenlet, |body| {
        let stack = body.spawned.iter().flat_map(|it| &it.stack);
        stack.map(|(code, place)| (code.clone_ref(py), *place)).collect()
    })
    .unwrap_or_default()
}

#[pyfunction]
fn _note_ancestry(notes: bool) {
    NOTES.store(notes, Ordering::Relaxed);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for function in [
        wrap_pyfunction!(_spawn_locals, module)?,
        wrap_pyfunction!(_set_spawn_locals, module)?,
        wrap_pyfunction!(_spawned_by, module)?,
        wrap_pyfunction!(_spawned_at, module)?,
        wrap_pyfunction!(_note_ancestry, module)?,
    ] {
        module.add_function(function)?;
    }
    Ok(())
}
