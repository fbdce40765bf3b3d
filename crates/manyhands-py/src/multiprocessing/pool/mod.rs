//! `manyhands.multiprocessing.pool`, as far as it is native.
//!
//! A message of a task is its number, a [`Shape`](call::Shape), the length of the function's name, that
//! name, the context variables if any are set, the arguments as an object, and the [originals](repeats) if it has any; a function
//! that is no global of a module goes with the arguments. A result's is the task's number, whether it went well, and an object.

use pyo3::prelude::*;

mod call;
mod certificate;
mod imap;
mod limits;
mod notices;
mod outcomes;
mod repeats;
mod result;
mod scheduler;
mod signals;
mod source;
mod submit;
mod supervise;
mod task;
mod threads;
mod threads_submit;
mod worker;

pub(crate) use repeats::Repeats;
pub(crate) use scheduler::Scheduler;
pub(crate) use task::Task;
pub(crate) use threads::Threads;

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<scheduler::Scheduler>()?;
    module.add_class::<limits::Options>()?;
    module.add_class::<repeats::Repeats>()?;
    module.add_class::<threads::Threads>()?;
    module.add_class::<result::ApplyResult>()?;
    module.add_class::<result::MapResult>()?;
    module.add_class::<imap::IMapIterator>()?;
    module.add_class::<imap::IMapUnorderedIterator>()?;
    module.add_class::<notices::Notices>()?;
    module.add_function(wrap_pyfunction!(certificate::open_at, module)?)?;
    module.add_function(wrap_pyfunction!(worker::call_as_sent, module)?)?;
    module.add_function(wrap_pyfunction!(worker::work, module)?)
}
