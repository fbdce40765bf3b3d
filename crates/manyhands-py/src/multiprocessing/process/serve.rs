//! The zygote's side: waiting for orders, being born.
#![allow(unsafe_code, reason = "the interpreter's hooks around a fork are C functions")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use manyhands_process::{Guard, Served};
use manyhands_sys::process;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// Waits, as a zygote, for orders from the program at the other end of a socket, which it takes over.
/// Returns in the children only, each time what the child needs, as a dict; the zygote itself ends in
/// here.
///
/// * `payload`: bytes for it;
/// * `environment`: the program's, as bytes, if it is another one than the zygote's, or None;
/// * `descriptors`: a list of numbers;
/// * `arena`: (descriptor, ticket), or None;
/// * `parent`: a descriptor that becomes readable when the program ends;
/// * `standard`: for each of the first three descriptors, whether it is there;
/// * `ignored`: the signals that the program ignores, as a set of bits, if they have changed, or None.
#[pyfunction]
fn serve<'py>(py: Python<'py>, socket: RawFd, by_main: bool) -> PyResult<Bound<'py, PyDict>> {
    if socket < 3 {
        return Err(PyValueError::new_err("that is no socket"));
    }
    // SAFETY: the caller gives it away.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // From here on this process is in the middle of a fork, of which only children get out. The zygote
    // runs no code of the interpreter any more.
    // SAFETY: this thread is attached, and PyOS_AfterFork_Child follows.
    unsafe { ffi::PyOS_BeforeFork() };
    let born = match manyhands_process::serve(socket, by_main) {
        Ok(Served::Born(born)) => born,
        Ok(Served::Over) => process::exit(0),
        Err(error) => {
            eprintln!("manyhands: {error}");
            process::exit(1)
        }
    };
    // SAFETY: this is a child, after PyOS_BeforeFork.
    unsafe { ffi::PyOS_AfterFork_Child() };
    let result = PyDict::new(py);
    result.set_item("payload", PyBytes::new(py, &born.payload))?;
    let environment = born.environment.as_deref().map(|block| PyBytes::new(py, block));
    result.set_item("environment", environment)?;
    let descriptors: Vec<RawFd> = born.descriptors.into_iter().map(OwnedFd::into_raw_fd).collect();
    result.set_item("descriptors", descriptors)?;
    result.set_item("arena", born.arena.map(|(arena, ticket)| (arena.into_raw_fd(), ticket)))?;
    result.set_item("parent", born.parent.into_raw_fd())?;
    result.set_item("standard", born.standard)?;
    result.set_item("ignored", born.ignored)?;
    Ok(result)
}

/// Has this process die with its parent, which must be the process of that number; it began as a child
/// of that process's main thread or of another one.
#[pyfunction]
fn die_with_parent(parent: u32, by_main: bool) -> PyResult<()> {
    let sentinel = process::open(parent);
    if process::parent() != parent {
        process::exit(255);
    }
    Ok(Guard::new(parent, by_main).stand(&sentinel?)?)
}

/// The signals that this process ignores, as a set of bits, but for those that an interpreter ignores
/// anyway.
#[pyfunction]
fn ignored_signals() -> Option<u64> {
    manyhands_process::ignored_signals()
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(serve, module)?)?;
    module.add_function(wrap_pyfunction!(ignored_signals, module)?)?;
    module.add_function(wrap_pyfunction!(die_with_parent, module)?)
}
