//! Descriptors for multiprocessing.connection.Pipe and for TCP.

use std::os::fd::{IntoRawFd, RawFd};

use manyhands_sys::descriptor::{self, Descriptor};
use pyo3::prelude::*;

use crate::multiprocessing::errors::os_error;

/// The two descriptors of a new pipe; of a pair of sockets if it goes both ways.
// py: multiprocessing.connection.Pipe
#[pyfunction]
pub(super) fn pipe(py: Python<'_>, duplex: bool) -> PyResult<(RawFd, RawFd)> {
    let made = if duplex { descriptor::socket_pair() } else { descriptor::pipe() };
    let (one, other) = made.map_err(|error| os_error(py, &error))?;
    Ok((one.into_raw_fd(), other.into_raw_fd()))
}

/// Has a TCP socket neither hold back small messages nor acknowledgements.
// py: multiprocessing.connection.Client
// py: multiprocessing.connection.Listener.accept
#[pyfunction]
pub(super) fn hurry(fileno: RawFd) {
    if let Some(descriptor) = Descriptor::from_number(fileno) {
        descriptor.hurry();
    }
}
