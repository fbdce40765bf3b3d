//! Errors as `_socket` raises them.

use std::io;

use pyo3::exceptions::{PyOSError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use rustix::io::Errno;

/// An OSError, or what it has for that number.
#[cold]
pub(super) fn of_system(errno: Errno) -> PyErr {
    let number = errno.raw_os_error();
    let text = io::Error::from_raw_os_error(number).to_string();
    // The standard library appends the number, which an OSError shows itself.
    let message = text.rsplit_once(" (os error ").map_or(text.as_str(), |(message, _)| message);
    PyOSError::new_err((number, message.to_owned()))
}

/// The time is up.
#[cold]
pub(super) fn timed_out() -> PyErr {
    PyTimeoutError::new_err("timed out")
}

/// Somebody closed what this greenlet waits for.
#[cold]
pub(super) fn closed(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "manyhands.gevent._socketcommon", "cancel_wait_ex") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

/// Another greenlet waits for the same already.
#[cold]
pub(super) fn busy(other: &Bound<'_, PyAny>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = other.py();
    match CLASS.import(py, "manyhands.gevent.exceptions", "ConcurrentObjectUseError") {
        Ok(class) => {
            let why = format!("This socket is already used by another greenlet: {other:?}");
            PyErr::from_type(class.clone(), why)
        }
        Err(error) => error,
    }
}
