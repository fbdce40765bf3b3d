//! The exceptions of `manyhands.gevent.exceptions`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

fn raise(py: Python<'_>, class: &PyOnceLock<Py<PyType>>, name: &str, why: &'static str) -> PyErr {
    match class.import(py, "manyhands.gevent.exceptions", name) {
        Ok(class) => PyErr::from_type(class.clone(), why),
        Err(error) => error,
    }
}

/// Somebody blocks in the hub's greenlet.
#[cold]
pub(super) fn blocking_switch_out(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let why = "Impossible to call blocking function in the event loop callback";
    raise(py, &CLASS, "BlockingSwitchOutError", why)
}

/// Somebody switched to a greenlet that waits for something else.
#[cold]
pub(super) fn invalid_switch(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let why = "Invalid switch into a greenlet that waits: only what it waits for may wake it";
    raise(py, &CLASS, "InvalidSwitchError", why)
}

/// The hub has gone while its greenlets wait.
#[cold]
pub(super) fn hub_destroyed(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let why = "This operation would block forever: its hub was destroyed";
    raise(py, &CLASS, "LoopExit", why)
}
