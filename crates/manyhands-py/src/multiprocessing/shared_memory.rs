//! Segments of shared memory with names.
//!
//! Whatever may wait is done outside of the interpreter; only for signal handlers it is entered again.
//! No Python code runs while the family is locked, so the collector of garbage, which may close and
//! unlink segments at any time, cannot come back into it.

use std::os::fd::{IntoRawFd, RawFd};

use manyhands_shm::segment::{self, CreateError, Opening, Place};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::errors::{explained, os_error};

/// Where the folders of families are: looked up once, so that a program that changes its environment
/// stays in its family; and by a thread that is attached, since those that are change it.
fn place(py: Python<'_>) -> &Place {
    static PLACE: PyOnceLock<Place> = PyOnceLock::new();

    PLACE.get_or_init(py, Place::find)
}

fn handle_signals() -> PyResult<()> {
    Python::attach(|py| py.check_signals())
}

fn checked(name: &str) -> PyResult<&str> {
    if name.contains('\0') {
        return Err(PyValueError::new_err("embedded null character"));
    }
    Ok(name)
}

/// The exception for what the system says of a file.
#[cold]
fn error_of(py: Python<'_>, error: &std::io::Error, file: &str) -> PyErr {
    let error = os_error(py, error);
    match error.value(py).setattr("filename", file) {
        Ok(()) => error,
        Err(error) => error,
    }
}

/// Makes a segment with that much memory behind it, and, if it is to be tracked, lists it as its
/// family's; returns its descriptor.
// py: multiprocessing.shared_memory.SharedMemory
#[pyfunction]
fn create_segment(
    py: Python<'_>,
    name: &str,
    flags: u32,
    mode: u32,
    size: i64,
    tracked: bool,
) -> PyResult<RawFd> {
    let (name, opening) = (checked(name)?, Opening { flags, mode });
    let len = u64::try_from(size).map_err(|_| PyValueError::new_err("a size is not negative"))?;
    let place = tracked.then(|| place(py));
    let made = py.detach(|| segment::create(name, opening, len, place, handle_signals));
    match made {
        Ok(file) => Ok(file.into_raw_fd()),
        Err(CreateError::Name(error)) => Err(error_of(py, &error, name)),
        Err(CreateError::Memory(error)) => {
            let text = os_error(py, &error).value(py).getattr("strerror")?;
            let text = format!("{text}: cannot get {size} bytes of shared memory in");
            let error = explained(error.raw_os_error(), text);
            error.value(py).setattr("filename", "/dev/shm")?;
            Err(error)
        }
        Err(CreateError::Interrupted(error)) => Err(error),
    }
}

/// Opens a segment that is there already; returns its descriptor.
// py: multiprocessing.shared_memory.SharedMemory
#[pyfunction]
fn attach_segment(py: Python<'_>, name: &str, flags: u32, mode: u32) -> PyResult<RawFd> {
    let (name, opening, place) = (checked(name)?, Opening { flags, mode }, place(py));
    match py.detach(|| segment::attach(name, opening, place)) {
        Ok(file) => Ok(file.into_raw_fd()),
        Err(error) => Err(error_of(py, &error, name)),
    }
}

/// Takes away a segment's name, and takes it from its family's list.
// py: multiprocessing.shared_memory.SharedMemory.unlink
#[pyfunction]
fn unlink_segment(py: Python<'_>, name: &str) -> PyResult<()> {
    let (name, place) = (checked(name)?, place(py));
    py.detach(|| segment::unlink(name, place)).map_err(|error| error_of(py, &error, name))
}

/// Has the family's segments stay at least until this process leaves.
#[pyfunction]
fn join_family(py: Python<'_>) -> PyResult<()> {
    let place = place(py);
    py.detach(|| segment::join(place, handle_signals))
}

/// The end of this process; the last of the family tidies up.
#[pyfunction]
fn leave_family(py: Python<'_>) {
    py.detach(segment::leave);
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(create_segment, module)?)?;
    module.add_function(wrap_pyfunction!(attach_segment, module)?)?;
    module.add_function(wrap_pyfunction!(unlink_segment, module)?)?;
    module.add_function(wrap_pyfunction!(join_family, module)?)?;
    module.add_function(wrap_pyfunction!(leave_family, module)?)
}
