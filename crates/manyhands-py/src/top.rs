//! The command `manyhands top`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use manyhands_top::{Form, Options, run};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// Show a program until the user has enough or it has ended: on the screen, or as JSON.
#[pyfunction]
fn top(py: Python<'_>, pid: u32, as_json: bool, interval: f64, once: bool) -> PyResult<()> {
    let interval = Duration::try_from_secs_f64(interval)
        .map_err(|_| PyValueError::new_err(format!("{interval} is no interval")))?;
    let form = if as_json { Form::Json } else { Form::Screen };
    let raised = Mutex::new(None);
    let goes_on = || match Python::attach(|py| py.check_signals()) {
        Ok(()) => true,
        Err(error) => {
            *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            false
        }
    };
    let done = py.detach(|| run(Options { pid, form, interval, once }, &goes_on));
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => done.map_err(PyOSError::new_err),
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(top, module)?)
}
