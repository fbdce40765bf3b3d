//! What goes wrong on the wire, as the standard library's exceptions.

use manyhands_wire::{ReceiveError, SendError};
use pyo3::exceptions::{PyEOFError, PyMemoryError, PyOSError};
use pyo3::prelude::*;

use crate::multiprocessing::errors::os_error;

/// What `Connection._bad_message_length` raises.
#[cold]
pub(super) fn bad_message_length() -> PyErr {
    PyOSError::new_err("bad message length")
}

#[cold]
pub(in crate::multiprocessing) fn of_receiving(
    py: Python<'_>,
    error: ReceiveError<PyErr>,
) -> PyErr {
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
pub(in crate::multiprocessing) fn of_sending(py: Python<'_>, error: SendError<PyErr>) -> PyErr {
    match error {
        SendError::System(error) => os_error(py, &error),
        SendError::Interrupted(error) => error,
    }
}
