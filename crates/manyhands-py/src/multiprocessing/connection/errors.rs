//! What goes wrong on the wire, as the standard library's exceptions.

use std::io;

use manyhands_wire::{ReceiveError, SendError};
use pyo3::exceptions::{PyEOFError, PyMemoryError, PyOSError};
use pyo3::prelude::*;

/// OSError, or the subclass that its number stands for.
#[cold]
pub(super) fn os_error(py: Python<'_>, error: &io::Error) -> PyErr {
    let Some(number) = error.raw_os_error() else {
        return PyOSError::new_err(error.to_string());
    };
    let text = py
        .import("os")
        .and_then(|os| os.call_method1("strerror", (number,)))
        .map(Bound::unbind)
        .unwrap_or_else(|_| py.None());
    PyOSError::new_err((number, text))
}

/// What `Connection._bad_message_length` raises.
#[cold]
pub(super) fn bad_message_length() -> PyErr {
    PyOSError::new_err("bad message length")
}

#[cold]
pub(super) fn of_receiving(py: Python<'_>, error: ReceiveError<PyErr>) -> PyErr {
    match error {
        ReceiveError::End => PyEOFError::new_err(()),
        ReceiveError::Torn => PyOSError::new_err("got end of file during message"),
        ReceiveError::Malformed(_) => bad_message_length(),
        ReceiveError::NoMemory(_) => PyMemoryError::new_err(()),
        ReceiveError::System(error) => os_error(py, &error),
        ReceiveError::Interrupted(error) => error,
    }
}

#[cold]
pub(super) fn of_sending(py: Python<'_>, error: SendError<PyErr>) -> PyErr {
    match error {
        SendError::System(error) => os_error(py, &error),
        SendError::Interrupted(error) => error,
    }
}
