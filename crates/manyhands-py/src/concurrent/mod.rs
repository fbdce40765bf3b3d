//! `manyhands.concurrent.futures`, as far as it is native.

use pyo3::prelude::*;

mod executors;
pub(crate) mod future;
mod threads;
mod waits;

pub(crate) use threads::Jobs;

pub(crate) fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "manyhands._native.concurrent")?;
    future::register(&module)?;
    module.add_class::<threads::Jobs>()?;
    module.add_class::<crate::tally::Tally>()?;
    executors::register(&module)?;
    waits::register(&module)?;
    parent.add("concurrent", module)
}
