//! `multiprocessing.managers`

use pyo3::prelude::*;

mod server;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    server::register(module)
}
