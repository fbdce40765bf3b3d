//! The life of a greenlet: what it is for, and what comes of it.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::super::body::Stage;
use super::super::method::function;
use super::super::raw;
use super::{ending, is_usual};

// py: gevent.Greenlet.run
function!(
    Run,
    c"run",
    c"run($self, /)\n--\n\nCall what it is for, and keep what comes of it. The hub calls this.",
    [],
    0,
    |this, _arguments| whole(this)
);

/// All of its life, on its own stack.
#[inline(always)]
pub(super) fn whole<'py>(this: Borrowed<'_, 'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let result = match begun(this) {
        Some((run, args, kwargs)) => call(run, args, kwargs),
        None => None,
    };
    ended(this, result)
}

/// What it calls, and with what.
type Call<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Its turn has come for the first time. `None` with an exception set.
///
/// This and [`ended`] are not inlined: what they need of the stack would be part of what is copied at each switch.
#[inline(never)]
fn begun<'py>(this: Borrowed<'_, 'py, PyAny>) -> Option<Call<'py>> {
    let py = this.py();
    let parts = raw::with(&this, |body| {
        body.stage = Stage::Begun;
        let args = body.args.as_ref().map(|it| it.clone_ref(py));
        let kwargs = body.kwargs.as_ref().map(|it| it.clone_ref(py));
        (body.run.as_ref().map(|it| it.clone_ref(py)), args, kwargs)
    });
    let (run, args, kwargs) = parts.unwrap_or_default();
    let args = args.map_or_else(|| PyTuple::empty(py), |it| it.into_bound(py));
    let kwargs = kwargs.map(|it| it.into_bound(py));
    let run = match run.map(|it| it.into_bound(py)) {
        Some(run) if is_usual(&this) => Ok(run),
        _ => this.getattr(intern!(py, "_run")),
    };
    run.map(|run| (run, args, kwargs)).map_err(|error| error.restore(py)).ok()
}

/// As PyO3's, with less of the stack. `None` with an exception set.
#[inline(always)]
#[expect(unsafe_code, reason = "the interpreter's function, by itself")]
fn call<'py>(
    run: Bound<'py, PyAny>,
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> Option<Bound<'py, PyAny>> {
    let named = kwargs.as_ref().map_or(std::ptr::null_mut(), |it| it.as_ptr());
    // SAFETY: an object, a tuple, and a dict or null; a new reference, or null with an exception.
    unsafe {
        let result = ffi::PyObject_Call(run.as_ptr(), args.as_ptr(), named);
        Bound::from_owned_ptr_or_opt(run.py(), result)
    }
}

/// It has come to its end, with that, or with the exception that is set.
#[inline(never)]
fn ended<'py>(
    this: Borrowed<'_, 'py, PyAny>,
    result: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (greenlet, py) = (this.to_owned(), this.py());
    let result = result.ok_or_else(|| PyErr::fetch(py));
    let parts =
        raw::with(&greenlet, |body| (body.run.take(), body.args.take(), body.kwargs.take()));
    if let Some((run, args, kwargs)) = parts {
        drop(run.map(|it| it.into_bound(py)));
        drop(args.map(|it| it.into_bound(py)));
        drop(kwargs.map(|it| it.into_bound(py)));
    }
    match result {
        Ok(value) => {
            ending::finish(&greenlet, Stage::Returned, value.clone(), None)?;
            Ok(value)
        }
        Err(error) => {
            ending::failed(&greenlet, error)?;
            Ok(py.None().into_bound(py))
        }
    }
}
