//! The way out of the interpreter for calls that may block on a descriptor.

use std::time::Duration;

use manyhands_green::Direction;
use manyhands_sys::descriptor::Descriptor;
use manyhands_sys::thread;
use manyhands_wire::stream::Gate;
use pyo3::prelude::*;

use crate::gate::LOOK_FOR_SIGNALS;
use crate::green::guest;

/// Leaves the interpreter for the call; a signal runs its handlers. A greenlet is parked instead.
pub(super) struct Detached<'py>(pub(super) Python<'py>);

impl Gate for Detached<'_> {
    type Error = PyErr;

    // Whoever leaves may have to wait for a busy thread to let it in again, up to 5 ms.
    const IS_DEAR: bool = true;

    fn patience(&self) -> Option<Duration> {
        thread::is_main().then_some(LOOK_FOR_SIGNALS)
    }

    fn outside<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        self.0.detach(call)
    }

    fn has_others(&self) -> bool {
        guest::is_here(self.0)
    }

    fn until_ready(&self, descriptor: Descriptor, to_write: bool) -> PyResult<()> {
        let direction = if to_write { Direction::Write } else { Direction::Read };
        guest::until_ready(self.0, descriptor.number(), direction)
    }

    fn interrupted(&self) -> PyResult<()> {
        self.0.check_signals()
    }
}
