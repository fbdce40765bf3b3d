//! `manyhands.multiprocessing`

use pyo3::prelude::*;

mod arena;
mod codec;
mod connection;
pub(crate) mod errors;
mod managers;
mod memory;
mod pool;
mod process;
mod queue;
mod reducers;
mod shared_memory;
mod synchronize;

pub(crate) use pool::{Repeats, Scheduler, Task, Threads};

pub(crate) fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "manyhands._native.multiprocessing")?;
    arena::register(&module)?;
    codec::register(&module)?;
    connection::register(&module)?;
    managers::register(&module)?;
    memory::register(&module)?;
    pool::register(&module)?;
    process::register(&module)?;
    queue::register(&module)?;
    shared_memory::register(&module)?;
    synchronize::register(&module)?;
    parent.add("multiprocessing", module)
}
