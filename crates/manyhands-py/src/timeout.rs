//! Timeouts as Python gives them, seconds as any real number or None; and flags, which are
//! anything.

use std::time::Duration;

use manyhands_sync::Limit;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

/// `threading.TIMEOUT_MAX`, in seconds.
const MAX_SECONDS: f64 = 9_223_372_036.0;

fn too_large() -> PyErr {
    PyOverflowError::new_err("timeout value is too large")
}

/// Seconds as a float; an integer that does not fit is too large a timeout.
fn seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    let seconds: f64 = match timeout.cast::<PyFloat>() {
        Ok(float) => float.value(),
        Err(_) => timeout.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyOverflowError>(timeout.py()) { too_large() } else { error }
        })?,
    };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    Ok(seconds)
}

fn limit(seconds: f64) -> PyResult<Limit> {
    if seconds <= 0.0 {
        return Ok(Limit::Never);
    }
    if seconds > MAX_SECONDS {
        return Err(too_large());
    }
    // Rounded up: a wait is never shorter than asked for.
    let nanoseconds = (seconds * 1e9).ceil();
    Ok(Limit::after(Duration::from_nanos(nanoseconds as u64)))
}

/// How long something may take, which is more than no time.
pub(crate) fn positive(timeout: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds = seconds(timeout)?;
    if seconds <= 0.0 {
        return Err(PyValueError::new_err("timeout must be more than 0 seconds"));
    }
    if seconds > MAX_SECONDS { Err(too_large()) } else { Ok(Duration::from_secs_f64(seconds)) }
}

/// A timeout where None is for ever, and what is not positive does not wait.
pub(crate) fn optional(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Limit> {
    timeout.map_or(Ok(Limit::Forever), |timeout| limit(seconds(timeout)?))
}

/// As [`optional`], of a queue, where a negative one is an error.
pub(crate) fn non_negative(timeout: &Bound<'_, PyAny>) -> PyResult<Limit> {
    let seconds = seconds(timeout)?;
    if seconds < 0.0 {
        return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
    }
    limit(seconds)
}

/// A flag: any object, for whether it is true.
#[derive(Clone, Copy)]
pub(crate) struct Flag(pub(crate) bool);

impl<'py> FromPyObject<'_, 'py> for Flag {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Flag> {
        object.is_truthy().map(Flag)
    }
}

/// The timeout of `Lock.acquire`, which is a number.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Seconds(f64);

/// For ever, in a `Lock.acquire`.
pub(crate) const FOR_EVER: Seconds = Seconds(-1.0);

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Seconds> {
        seconds(&object).map(Seconds)
    }
}

/// The limit that the arguments of `Lock.acquire` say.
pub(crate) fn of_lock(Flag(blocking): Flag, timeout: Seconds) -> PyResult<Limit> {
    match (blocking, timeout) {
        (true, FOR_EVER) => Ok(Limit::Forever),
        (false, FOR_EVER) => Ok(Limit::Never),
        (false, _) => Err(PyValueError::new_err("can't specify a timeout for a non-blocking call")),
        (true, Seconds(seconds)) if seconds < 0.0 => {
            Err(PyValueError::new_err("timeout value must be a non-negative number"))
        }
        (true, Seconds(seconds)) => limit(seconds),
    }
}
