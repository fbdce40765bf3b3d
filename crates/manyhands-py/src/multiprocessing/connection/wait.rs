//! Waiting until one of many has something to read.

use std::os::fd::RawFd;
use std::time::Duration;

use manyhands_sync::Limit;
use manyhands_sys::descriptor::wait_readable;
use manyhands_sys::thread;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};

use crate::gate::LOOK_FOR_SIGNALS;
use crate::green::guest;
use crate::multiprocessing::errors::os_error;
use crate::timeout;

/// Waits until one of the descriptors is ready or the limit is reached; whether one is.
pub(super) fn until_readable(
    py: Python<'_>,
    numbers: &[RawFd],
    ready: &mut [bool],
    limit: Limit,
) -> PyResult<bool> {
    // What is ready already needs no leaving.
    match wait_readable(numbers, ready, Some(Duration::ZERO)) {
        Ok(0) if limit != Limit::Never => {}
        Ok(count) => return Ok(count > 0),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
        Err(error) => return Err(os_error(py, &error)),
    }
    while guest::is_here(py) {
        let over = matches!(limit, Limit::Until(deadline) if deadline.has_passed());
        match wait_readable(numbers, ready, Some(Duration::ZERO)) {
            Ok(0) if over => return Ok(false),
            Ok(0) => guest::until_readable(py, numbers, limit).map(drop)?,
            Ok(_) => return Ok(true),
            Err(error) => return Err(os_error(py, &error)),
        }
    }
    let is_main = thread::is_main();
    loop {
        py.check_signals()?;
        let left = match limit {
            Limit::Never => Some(Duration::ZERO),
            Limit::Until(deadline) => Some(deadline.remaining()),
            Limit::Forever => None,
        };
        let sleep = match left {
            _ if !is_main => left,
            Some(left) => Some(left.min(LOOK_FOR_SIGNALS)),
            None => Some(LOOK_FOR_SIGNALS),
        };
        match py.detach(|| wait_readable(numbers, ready, sleep)) {
            Ok(0) if left == sleep => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(os_error(py, &error)),
        }
    }
}

/// The descriptor's number of what may be waited for: a number or something with a fileno().
fn number(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let py = object.py();
    let number: RawFd = if object.is_instance_of::<PyInt>() {
        object.extract()?
    } else {
        let invalid = |error: PyErr| {
            let is_invalid = error.is_instance_of::<PyAttributeError>(py)
                || error.is_instance_of::<PyTypeError>(py)
                || error.is_instance_of::<PyValueError>(py);
            match object.repr() {
                Ok(repr) if is_invalid => {
                    PyValueError::new_err(format!("Invalid file object: {repr}"))
                }
                _ => error,
            }
        };
        object.call_method0("fileno").and_then(|number| number.extract()).map_err(invalid)?
    };
    if number < 0 {
        return Err(PyValueError::new_err(format!("Invalid file descriptor: {number}")));
    }
    Ok(number)
}

/// Wait until one of the objects has something to read, or is at its end; `timeout` seconds, or as
/// long as it takes if that is None. Returns those that are ready.
///
/// Each is a connection, a socket, a sentinel of a process, or anything that is a file descriptor
/// or has a fileno().
// py: multiprocessing.connection.wait
#[pyfunction]
#[pyo3(signature = (object_list, timeout=None))]
pub(super) fn wait<'py>(
    object_list: &Bound<'py, PyAny>,
    timeout: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let py = object_list.py();
    let mut objects = Vec::new();
    let mut numbers = Vec::new();
    for object in object_list.try_iter()? {
        let object = object?;
        let number = number(&object)?;
        objects.push(object);
        numbers.push(number);
    }
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    if let Some([twice, _]) = sorted.array_windows().find(|[one, next]| one == next) {
        let object = numbers.iter().rposition(|number| number == twice).map(|at| &objects[at]);
        let repr = object.map(|object| object.repr()).transpose()?;
        let repr = repr.map(|repr| repr.to_string()).unwrap_or_default();
        return Err(PyKeyError::new_err(format!("{repr} (FD {twice}) is already registered")));
    }
    let limit = timeout::optional(timeout)?;
    let mut ready = vec![false; numbers.len()];
    until_readable(py, &numbers, &mut ready, limit)?;
    let found = PyList::empty(py);
    for (object, _) in objects.iter().zip(&ready).filter(|(_, ready)| **ready) {
        found.append(object)?;
    }
    Ok(found)
}
