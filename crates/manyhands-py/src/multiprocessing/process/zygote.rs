//! The program's side of zygotes; and children that run a program of their own.
#![allow(unsafe_code, reason = "numbers from Python become descriptors")]

use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, RawFd};

use manyhands_process::{Birth, RequestError, Zygote};
use manyhands_sys::{process, thread};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::child::PyChild;

/// How those entries of an environment begin that count when an interpreter starts, and not later.
const AT_START: [&str; 9] = [
    "PYTHON",
    "MANYHANDS_",
    "LANG=",
    "LANGUAGE=",
    "LC_",
    "TZ=",
    "LD_",
    "MALLOC_",
    "GLIBC_TUNABLES=",
];

/// A process that becomes children of this process.
#[pyclass(frozen, name = "Zygote", module = "manyhands._native.multiprocessing")]
struct PyZygote(Zygote);

fn borrow<'a>(number: RawFd) -> PyResult<BorrowedFd<'a>> {
    if number < 0 {
        return Err(PyValueError::new_err("a descriptor is not negative"));
    }
    // SAFETY: it is used for the time of a call only, for which Python's caller keeps it open; that it is
    // open at all the system checks.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

fn strings(arguments: &[Vec<u8>]) -> PyResult<Vec<CString>> {
    let strings = arguments.iter().map(|argument| CString::new(argument.as_slice()));
    strings.collect::<Result<_, _>>().map_err(|_| PyValueError::new_err("embedded null byte"))
}

fn request_error(error: RequestError) -> PyErr {
    match error {
        RequestError::Start(error) => super::error(&error),
        other => PyValueError::new_err(other.to_string()),
    }
}

/// `None` for a zygote that is gone.
fn unless_gone<T>(result: Result<T, RequestError>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RequestError::Gone) => Ok(None),
        Err(error) => Err(request_error(error)),
    }
}

#[pymethods]
impl PyZygote {
    /// Runs a program that calls `serve(3, ...)`; it finds the arena's descriptor, if given, as 4.
    #[new]
    #[pyo3(signature = (path, arguments, arena=None))]
    fn __new__(path: Vec<u8>, arguments: Vec<Vec<u8>>, arena: Option<RawFd>) -> PyResult<PyZygote> {
        let path = strings(&[path])?;
        let arguments = strings(&arguments)?;
        let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
        let arena = arena.map(borrow).transpose()?;
        match Zygote::start(&path[0], &arguments, arena, &AT_START) {
            Ok(zygote) => Ok(PyZygote(zygote)),
            Err(error) => Err(super::error(&error)),
        }
    }

    /// The number of its process.
    #[getter]
    fn pid(&self) -> u32 {
        self.0.child().id()
    }

    /// Whether this process's main thread has started it.
    #[getter]
    fn by_main(&self) -> bool {
        self.0.by_main()
    }

    /// Expects it to serve from now on, having said all that it has to say.
    fn expect_children(&self) {
        self.0.expect_children();
    }

    /// Says something before it serves; False if it is gone.
    fn say(&self, text: &[u8]) -> PyResult<bool> {
        Ok(unless_gone(self.0.say(text))?.is_some())
    }

    /// Waits for what it says before it serves; None if it is gone.
    fn hear<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        loop {
            match unless_gone(py.detach(|| self.0.hear()))? {
                None => return Ok(None),
                Some(Some(text)) => return Ok(Some(PyBytes::new(py, &text))),
                Some(None) => py.check_signals()?,
            }
        }
    }

    /// Orders a child; None if the zygote is gone or does not fit any more.
    ///
    /// `descriptors` are pairs: which, and by which number the child gets it, -1 for any.
    #[pyo3(signature = (payload, descriptors, arena=None, guarded=false))]
    fn request(
        &self,
        py: Python<'_>,
        payload: &[u8],
        descriptors: Vec<(RawFd, RawFd)>,
        arena: Option<(RawFd, u64)>,
        guarded: bool,
    ) -> PyResult<Option<PyChild>> {
        let descriptors = descriptors
            .into_iter()
            .map(|(number, target)| Ok((borrow(number)?, target)))
            .collect::<PyResult<Vec<_>>>()?;
        let arena = match arena {
            Some((number, ticket)) => Some((borrow(number)?, ticket)),
            None => None,
        };
        let environment = process::environment();
        let birth =
            Birth { payload, descriptors: &descriptors, arena, guarded, environment: &environment };
        Ok(unless_gone(py.detach(|| self.0.request(&birth)))?.map(PyChild::new))
    }

    /// Ends it and waits for that; its children live on.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }
}

/// Runs a program as a child, with the given descriptors by the same numbers.
#[pyfunction]
fn spawn(path: Vec<u8>, arguments: Vec<Vec<u8>>, descriptors: Vec<RawFd>) -> PyResult<PyChild> {
    let path = strings(&[path])?;
    let arguments = strings(&arguments)?;
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    match manyhands_process::spawn(&path[0], &arguments, &descriptors) {
        Ok(child) => Ok(PyChild::new(child)),
        Err(error) => Err(super::error(&error)),
    }
}

/// Whether this is the thread that lives as long as the process.
#[pyfunction]
fn is_main_thread() -> bool {
    thread::is_main()
}

/// How many threads this process has, without the engine's own; 0 if that cannot be told.
#[pyfunction]
fn program_threads() -> usize {
    manyhands_process::program_threads()
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyZygote>()?;
    module.add("MOST_DESCRIPTORS", manyhands_process::MOST_DESCRIPTORS)?;
    module.add_function(wrap_pyfunction!(spawn, module)?)?;
    module.add_function(wrap_pyfunction!(is_main_thread, module)?)?;
    module.add_function(wrap_pyfunction!(program_threads, module)?)
}
