//! The way out of the interpreter for calls that may block on a descriptor.

use manyhands_wire::stream::Gate;
use pyo3::prelude::*;

/// Leaves the interpreter for the call; a signal runs its handlers.
pub(super) struct Detached<'py>(pub(super) Python<'py>);

impl Gate for Detached<'_> {
    type Error = PyErr;

    // Whoever leaves may have to wait for a busy thread to let it in again, up to 5 ms.
    const IS_DEAR: bool = true;

    fn outside<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        self.0.detach(call)
    }

    fn interrupted(&self) -> PyResult<()> {
        self.0.check_signals()
    }
}
