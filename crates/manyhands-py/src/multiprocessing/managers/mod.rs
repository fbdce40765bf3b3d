//! `multiprocessing.managers`

use pyo3::prelude::*;

mod brief;
mod client;
mod quick;
mod server;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    client::register(module)?;
    server::register(module)
}
