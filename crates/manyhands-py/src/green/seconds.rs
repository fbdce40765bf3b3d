//! Times that programs give.

use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// When so many seconds are over. `None` if that is never: no limit was given, or one too far to matter.
pub(super) fn deadline(limit: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Instant>> {
    limit.map_or(Ok(None), |limit| after(limit.extract::<f64>()?))
}

/// As [`deadline`].
pub(super) fn after(seconds: f64) -> PyResult<Option<Instant>> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err("a time that is not a number"));
    }
    let duration = Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    Ok(duration.and_then(|duration| Instant::now().checked_add(duration)))
}
