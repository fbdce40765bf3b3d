//! Plain shared memory: what sharedctypes, heap and shared_memory stand on.

use pyo3::prelude::*;

mod block;
mod synchronized;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<block::SharedBlock>()?;
    module.add_function(wrap_pyfunction!(block::tree, module)?)?;
    synchronized::register(module)
}
