//! Starting and watching processes.

use manyhands_process::StartError;
use pyo3::prelude::*;

use super::errors::explained;

mod bootstrap;
mod child;
mod exits;
mod fork;
mod serve;
mod zygote;

/// The Python exception for a process that could not be started.
fn error(error: &StartError) -> PyErr {
    explained(error.os_error(), error.to_string())
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    manyhands_process::set_death_hook(manyhands_shm::child_died);
    bootstrap::register(module)?;
    child::register(module)?;
    fork::register(module)?;
    serve::register(module)?;
    zygote::register(module)
}
