//! Connections: multiprocessing.connection.

use pyo3::prelude::*;

mod authentication;
mod class;
mod errors;
mod gate;
mod memory;
mod pickling;
mod pipe;
mod wait;

pub(super) use class::Connection;
pub(super) use errors::{of_receiving, of_sending};
pub(super) use memory::{OPENING, Received};
pub(super) use pickling::dump;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<class::Connection>()?;
    module.add_function(wrap_pyfunction!(authentication::create_challenge, module)?)?;
    module.add_function(wrap_pyfunction!(authentication::create_response, module)?)?;
    module.add_function(wrap_pyfunction!(authentication::verify_response, module)?)?;
    module.add_function(wrap_pyfunction!(authentication::read_challenge, module)?)?;
    module.add_function(wrap_pyfunction!(pipe::pipe, module)?)?;
    module.add_function(wrap_pyfunction!(pipe::hurry, module)?)?;
    module.add_function(wrap_pyfunction!(wait::wait, module)?)
}
