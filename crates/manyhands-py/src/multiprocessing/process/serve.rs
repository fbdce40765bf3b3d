//! The zygote's side: waiting for orders, being born.
#![allow(unsafe_code, reason = "the interpreter's hooks around a fork are C functions")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use manyhands_process::{Born, Guard, Served, Spare, StartError};
use manyhands_sys::footprint::Footprint;
use manyhands_sys::process;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::multiprocessing::errors::os_error;

/// SIGPIPE and SIGXFSZ, which an interpreter ignores from its start, whatever its parent did.
const IGNORED_ANYWAY: u64 = process::signal_bit(libc::SIGPIPE) | process::signal_bit(libc::SIGXFSZ);

/// A copy of a zygote that has not been asked to be anybody yet.
#[pyclass(frozen, name = "Spare", module = "manyhands._native.multiprocessing")]
struct PySpare(Mutex<Option<Spare>>);

/// Is a zygote of the program at the other end of a socket, which it takes over. Returns in copies
/// only, what [`born`] tells, or a `Spare`, which has time before it calls `wait()`; the zygote itself
/// ends in here. `footprint` is what a child has told of itself, if one has.
#[pyfunction]
fn serve<'py>(
    py: Python<'py>,
    socket: RawFd,
    by_main: bool,
    footprint: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    if socket < 3 {
        return Err(PyValueError::new_err("that is no socket"));
    }
    // SAFETY: the caller gives it away.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let footprint = Footprint::from_bytes(footprint);
    // From here on this process is in the middle of a fork, of which only copies get out. The zygote
    // runs no code of the interpreter any more.
    // SAFETY: this thread is attached, and PyOS_AfterFork_Child follows.
    unsafe { ffi::PyOS_BeforeFork() };
    // Each order brings the place of its child.
    manyhands_shm::give_up_reserved();
    let served = unless_over(manyhands_process::serve(socket, by_main, &footprint));
    // SAFETY: this is a copy, after PyOS_BeforeFork.
    unsafe { ffi::PyOS_AfterFork_Child() };
    match served {
        Ok(born) => Ok(self::born(py, *born)?.into_any()),
        Err(spare) => Ok(Bound::new(py, PySpare(Mutex::new(Some(*spare))))?.into_any()),
    }
}

/// Ends the process if there is nothing to do for it.
fn unless_over(served: Result<Served, StartError>) -> Result<Box<Born>, Box<Spare>> {
    match served {
        Ok(Served::Born(born)) => Ok(born),
        Ok(Served::Spare(spare)) => Err(spare),
        Ok(Served::Over) => process::exit(0),
        Err(error) => {
            eprintln!("manyhands: {error}");
            process::exit(1)
        }
    }
}

#[pymethods]
impl PySpare {
    /// Whether it has no time any more.
    fn is_wanted(&self) -> bool {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.as_ref().is_none_or(Spare::is_wanted)
    }

    /// Waits to be asked for, and returns as `serve`.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let spare = spare.ok_or_else(|| PyValueError::new_err("it has been born already"))?;
        match unless_over(spare.wait()) {
            Ok(born) => self::born(py, *born),
            Err(_) => unreachable!("a spare waits until it is born"),
        }
    }
}

/// What a child needs, as a dict:
///
/// * `payload`: bytes for it;
/// * `environment`: the program's, as bytes, if it is another one than the zygote's, or None;
/// * `descriptors`: a list of numbers;
/// * `arena`: (descriptor, ticket), or None;
/// * `parent`: a descriptor that becomes readable when the program ends;
/// * `standard`: for each of the first three descriptors, whether it is there;
/// * `ignored`: the signals that the program ignores, as a set of bits, but for those that an interpreter
///   ignores anyway, if they have changed, or None.
fn born(py: Python<'_>, born: Born) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("payload", PyBytes::new(py, &born.payload))?;
    let environment = born.environment.as_deref().map(|block| PyBytes::new(py, block));
    result.set_item("environment", environment)?;
    let descriptors: Vec<RawFd> = born.descriptors.into_iter().map(OwnedFd::into_raw_fd).collect();
    result.set_item("descriptors", descriptors)?;
    result.set_item("arena", born.arena.map(|(arena, ticket)| (arena.into_raw_fd(), ticket)))?;
    result.set_item("parent", born.parent.into_raw_fd())?;
    result.set_item("standard", born.standard)?;
    result.set_item("ignored", born.ignored.map(|ignored| ignored & !IGNORED_ANYWAY))?;
    Ok(result)
}

/// What memory this process, a copy, has touched, for `serve`; nothing if that cannot be told.
#[pyfunction]
fn footprint(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &Footprint::of_this_process().to_bytes())
}

/// Has this process die with its parent, which must be the process of that number; it began as a child
/// of that process's main thread or of another one.
#[pyfunction]
fn die_with_parent(py: Python<'_>, parent: u32, by_main: bool) -> PyResult<()> {
    let sentinel = process::open(parent);
    if process::parent() != parent {
        process::exit(255);
    }
    let stands = sentinel.and_then(|sentinel| Guard::new(parent, by_main).stand(&sentinel));
    stands.map_err(|error| os_error(py, &error))
}

/// The signals that this process ignores, as a set of bits, but for those that an interpreter ignores
/// anyway.
#[pyfunction]
fn ignored_signals() -> Option<u64> {
    Some(manyhands_process::ignored_signals()? & !IGNORED_ANYWAY)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySpare>()?;
    module.add_function(wrap_pyfunction!(serve, module)?)?;
    module.add_function(wrap_pyfunction!(footprint, module)?)?;
    module.add_function(wrap_pyfunction!(ignored_signals, module)?)?;
    module.add_function(wrap_pyfunction!(die_with_parent, module)?)
}
