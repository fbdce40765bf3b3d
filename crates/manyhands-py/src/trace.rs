//! Traces: `manyhands run --trace`, `manyhands.watch.trace`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use manyhands_sys::{liveness, process};
use manyhands_trace::{Label, Store, What, chrome, html, svg};
use manyhands_watch::traced;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyFunction;

use crate::green::guest;
use crate::multiprocessing::errors::os_error;

/// The environment variable that says where to note what is done: the number of a process, a colon, and that
/// of its descriptor.
const TRACE: &str = "MANYHANDS_TRACE";

/// The memory of a trace.
#[pyclass(frozen, module = "manyhands._native")]
struct Trace(Arc<Store>);

#[pymethods]
impl Trace {
    #[new]
    fn __new__(py: Python<'_>) -> PyResult<Trace> {
        let store = Store::create().map_err(|error| os_error(py, &error))?;
        Ok(Trace(Arc::new(store)))
    }

    /// Where other processes find it: a value for the variable `MANYHANDS_TRACE`.
    #[getter]
    fn place(&self, py: Python<'_>) -> PyResult<String> {
        let descriptor = self.0.descriptor().map_err(|error| os_error(py, &error))?;
        Ok(format!("{}:{descriptor}", liveness::process_id()))
    }

    /// Has this process note there what it does.
    fn begin(&self) {
        manyhands_trace::begin(&self.0);
    }

    /// Writes what there is to a file: 'json', 'html' or 'svg'. Returns how many events there are,
    /// and how many were lost. `names` are those of objects, by what `watched_id` gives for them.
    fn write(
        &self,
        py: Python<'_>,
        path: PathBuf,
        form: &str,
        names: Vec<(String, String)>,
    ) -> PyResult<(usize, u64)> {
        let write = match form {
            "json" => chrome::write,
            "html" => html::write,
            "svg" => svg::write,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "a trace can be 'json', 'html' or 'svg', not {form:?}"
                )));
            }
        };
        py.detach(|| -> io::Result<(usize, u64)> {
            let mut trace = manyhands_trace::Trace::read(&self.0);
            for (id, name) in names {
                let (pid, key) = traced::key(&id);
                trace.set_given(pid, key, name);
            }
            let mut out = BufWriter::new(File::create(&path)?);
            write(&trace, &mut out)?;
            out.flush()?;
            Ok((trace.events.len(), trace.lost))
        })
        .map_err(|error| os_error(py, &error))
    }
}

/// Has this thread note what it was to note with more to come.
#[pyfunction]
fn finish_trace() {
    manyhands_trace::finish();
}

/// Has this process note nothing more.
#[pyfunction]
fn end_trace() {
    manyhands_trace::end();
}

/// Says what a thread of this process is called, by the kernel's number.
#[pyfunction]
fn trace_thread(thread: u32, name: &str) {
    manyhands_trace::name(What::Thread, thread.into(), name);
}

/// Says what this process calls an object that `watched_id` gave that for.
#[pyfunction]
fn trace_object(id: &str, name: &str) {
    manyhands_trace::name(What::Given, traced::key(id).1, name);
}

/// Says what this process is called.
#[pyfunction]
fn trace_process(name: &str) {
    manyhands_trace::name(What::Process, liveness::process_id().into(), name);
}

/// Says what this process is called, by its object.
pub(crate) fn name_process(process: &Bound<'_, PyAny>) -> PyResult<()> {
    let name = process.getattr(intern!(process.py(), "name"))?;
    trace_process(name.extract()?);
    manyhands_trace::name(What::Thread, liveness::process_id().into(), "MainThread");
    Ok(())
}

/// Makes the call of a task, which is one of that function, and notes it where there is a trace.
#[inline]
pub(crate) fn task<R>(
    function: &Bound<'_, PyAny>,
    call: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    if !manyhands_trace::is_on() {
        return call();
    }
    let describe = || (label_of(function), guest::current());
    manyhands_trace::call(key_of(function), describe, call)
}

/// What tells a function from others that are called about the same time: its code, which stays.
fn key_of(function: &Bound<'_, PyAny>) -> usize {
    match function.cast::<PyFunction>() {
        // SAFETY: it is a function.
        #[expect(unsafe_code, reason = "as an attribute it would take longer than all else")]
        Ok(function) => unsafe { ffi::PyFunction_GetCode(function.as_ptr()) }.addr(),
        Err(_) => function.as_ptr().addr(),
    }
}

/// The name of a function, or of what is called as one.
fn label_of(function: &Bound<'_, PyAny>) -> Label {
    let py = function.py();
    let mut function = function.clone();
    // What `functools.partial` has made is called like what it calls.
    while let Ok(inner) = function.getattr(intern!(py, "func")) {
        function = inner;
    }
    let name = function
        .getattr(intern!(py, "__qualname__"))
        .or_else(|_| function.get_type().getattr(intern!(py, "__qualname__")));
    match name.as_ref().map(|name| name.extract::<&str>()) {
        Ok(Ok(name)) => manyhands_trace::label(name),
        _ => manyhands_trace::label("?"),
    }
}

/// The environment variable that tells the program itself who looks after it, and ends as it ends.
const SUPERVISOR: &str = "MANYHANDS_SUPERVISOR";

/// Has the program end with who looks after it, as if they were one process: who kills the one wants to end
/// the other.
fn end_with_supervisor() {
    let parent = process::parent().to_string();
    if std::env::var(SUPERVISOR).is_ok_and(|supervisor| supervisor == parent) {
        let _ = process::die_with_starter();
        if process::parent().to_string() != parent {
            process::exit(1);
        }
    }
}

/// Takes part in the trace that the environment tells of. Who has it may be gone: then nobody reads it.
fn join() -> Option<()> {
    let place = std::env::var(TRACE).ok()?;
    let (pid, descriptor) = place.split_once(':')?;
    let store = Store::open(pid.parse().ok()?, descriptor.parse().ok()?).ok()?;
    manyhands_trace::begin(&Arc::new(store));
    Some(())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Trace>()?;
    module.add_function(wrap_pyfunction!(finish_trace, module)?)?;
    module.add_function(wrap_pyfunction!(end_trace, module)?)?;
    module.add_function(wrap_pyfunction!(trace_object, module)?)?;
    module.add_function(wrap_pyfunction!(trace_thread, module)?)?;
    module.add_function(wrap_pyfunction!(trace_process, module)?)?;
    end_with_supervisor();
    if join().is_some() {
        module.py().import("manyhands._trace")?.call_method0("tell_names")?;
    }
    Ok(())
}
