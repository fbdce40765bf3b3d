//! What is native of `concurrent.futures.wait` and `as_completed`: that a worker of a pool may wait there
//! for other calls of it.

use manyhands_sync::Limit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::future::Future;
use crate::crew::{self, Blocked};

/// Whether this thread is a worker of a pool of threads.
#[pyfunction]
fn is_worker() -> bool {
    crew::own_number().is_some()
}

/// Returns `call(*args)`, which waits for those of a set of futures, or for one of them.
// py: concurrent.futures.wait
// py: concurrent.futures.as_completed
#[pyfunction]
#[pyo3(signature = (futures, for_one, call, *args))]
fn wait_for<'py>(
    futures: &Bound<'py, PyAny>,
    for_one: bool,
    call: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = futures.py();
    let own = crew::own_number();
    let (mut waits, mut presses) = (false, false);
    for future in futures.try_iter()? {
        let future = future?;
        let Ok(future) = future.cast::<Future>() else { continue };
        let future = future.get();
        if !future.is_done() {
            let is_own = own == Some(future.pool());
            waits |= is_own;
            presses |= is_own && future.is_pending();
        } else if for_one {
            waits = false;
            break;
        }
    }
    let _blocked = match own.filter(|_| waits) {
        Some(number) => Blocked::begin(py, number, Limit::Forever, || presses, None)?,
        None => None,
    };
    call.call1(args)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(is_worker, module)?)?;
    module.add_function(wrap_pyfunction!(wait_for, module)?)
}
