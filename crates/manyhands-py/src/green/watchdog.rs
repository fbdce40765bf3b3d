//! Who notices that somebody holds a hub for too long.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::eventloop::Loop;

/// Notices turns of a loop that take longer than `limit` seconds.
#[pyclass(frozen, module = "manyhands.gevent")]
struct Watchdog(manyhands_green::Watchdog);

#[pymethods]
impl Watchdog {
    #[new]
    fn __new__(events: &Bound<'_, Loop>, limit: f64) -> PyResult<Self> {
        let limit = Duration::try_from_secs_f64(limit)
            .ok()
            .filter(|limit| *limit >= Duration::from_millis(1))
            .ok_or_else(|| PyValueError::new_err(format!("{limit} is no time of 1 ms or more")))?;
        let pulse = events.get().home.with(|hub| hub.pulse());
        Ok(Watchdog(manyhands_green::Watchdog::new(pulse, limit)))
    }

    /// Block this thread until a turn has taken too long: for how many seconds up to now; None if it was stopped.
    fn wait(&self, py: Python<'_>) -> Option<f64> {
        py.detach(|| self.0.wait()).map(|held| held.as_secs_f64())
    }

    /// Whether the turn that wait() told of last is not over yet.
    fn still(&self) -> bool {
        self.0.still()
    }

    /// Whether nobody but whoever has it could have a turn: that it takes long harms none.
    #[staticmethod]
    fn is_alone(events: &Bound<'_, Loop>) -> bool {
        events.get().home.with(|hub| hub.places() == 0 && hub.due() == 0)
    }

    /// Have wait() return, now and always.
    fn stop(&self) {
        self.0.stop();
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Watchdog>()
}
