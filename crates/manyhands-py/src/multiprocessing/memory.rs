//! Plain shared memory: what sharedctypes, heap and shared_memory stand on.

use pyo3::prelude::*;

pub(super) fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
