//! `manyhands.queue`

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::fast;

mod counted;
mod list_heap;
mod native;
mod open;
mod ordered;
mod simple;

pub(crate) use counted::Queue;
pub(crate) use simple::SimpleQueue;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<counted::Queue>()?;
    module.add_class::<counted::LifoQueue>()?;
    module.add_class::<counted::PriorityQueue>()?;
    module.add_class::<simple::SimpleQueue>()?;

    let py = module.py();
    fast::install::<counted::Put>(py)?;
    fast::install::<counted::Get>(py)?;
    fast::install::<simple::Put>(py)?;
    fast::install::<simple::Get>(py)
}

/// The exceptions of `manyhands.queue`, which are the stdlib's where that has them.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    Empty,
    Full,
    ShutDown,
}

impl Failure {
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        static EMPTY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static FULL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static SHUT_DOWN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let (class, name) = match self {
            Failure::Empty => (&EMPTY, "Empty"),
            Failure::Full => (&FULL, "Full"),
            Failure::ShutDown => (&SHUT_DOWN, "ShutDown"),
        };
        match class.import(py, "manyhands.queue", name) {
            Ok(class) => PyErr::from_type(class.clone(), ()),
            Err(error) => error,
        }
    }
}
