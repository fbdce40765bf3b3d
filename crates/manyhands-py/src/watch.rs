//! `manyhands.watch`

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The objects that have made threads wait, as plain data.
///
/// Returns a list of dicts, in the order in which the objects first made somebody wait:
///
/// * `id`: a number, unique in this process and its forked children;
/// * `kind`: the name of its class, such as `'Lock'`;
/// * `owner`: the identifier of the thread that holds it, or None;
/// * `waiters`: a list of dicts with `thread` (its identifier), `operation` (the method that it
///   called) and `waited` (seconds), longest first.
// py: manyhands.watch.snapshot
#[pyfunction]
fn snapshot(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let result = PyList::empty(py);
    for seen in manyhands_watch::snapshot() {
        let waiters = PyList::empty(py);
        for waiting in seen.waiters {
            let entry = PyDict::new(py);
            entry.set_item("thread", waiting.thread.get())?;
            entry.set_item("operation", waiting.operation)?;
            entry.set_item("waited", waiting.waited.as_secs_f64())?;
            waiters.append(entry)?;
        }
        let entry = PyDict::new(py);
        entry.set_item("id", seen.id)?;
        entry.set_item("kind", seen.kind.to_string())?;
        entry.set_item("owner", seen.owner.map(|owner| owner.get()))?;
        entry.set_item("waiters", waiters)?;
        result.append(entry)?;
    }
    Ok(result)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(snapshot, module)?)
}
