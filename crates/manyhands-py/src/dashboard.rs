//! `manyhands run --dashboard`.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::multiprocessing::errors::os_error;

/// A web page about a program.
#[pyclass(frozen, module = "manyhands._native")]
struct Dashboard(Mutex<Option<manyhands_dashboard::Dashboard>>);

impl Dashboard {
    fn with<R>(&self, body: impl FnOnce(&mut manyhands_dashboard::Dashboard) -> R) -> PyResult<R> {
        let mut dashboard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = || PyRuntimeError::new_err("the dashboard has ended");
        dashboard.as_mut().map(body).ok_or_else(ended)
    }
}

#[pymethods]
impl Dashboard {
    /// One at that address, HOST:PORT.
    #[new]
    fn __new__(py: Python<'_>, address: &str) -> PyResult<Dashboard> {
        let made = py.detach(|| manyhands_dashboard::Dashboard::bind(address));
        let made = made.map_err(|error| os_error(py, &error))?;
        Ok(Dashboard(Mutex::new(Some(made))))
    }

    /// The address of the page.
    #[getter]
    fn url(&self) -> PyResult<String> {
        self.with(|dashboard| dashboard.url())
    }

    /// Show the program that has that process.
    fn watch(&self, py: Python<'_>, pid: u32) -> PyResult<()> {
        self.with(|dashboard| dashboard.watch(pid))?.map_err(|error| os_error(py, &error))
    }

    /// Tell browsers how the program has ended, and serve no more.
    fn end(&self, py: Python<'_>, how: &str) {
        let dashboard = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(dashboard) = dashboard {
            py.detach(|| dashboard.end(how));
        }
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Dashboard>()
}
