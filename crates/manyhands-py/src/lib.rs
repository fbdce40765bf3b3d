//! The Python binding of Manyhands: arguments, leaving the interpreter, garbage collection,
//! exceptions. What the objects do is in the core crates.
//!
//! One file a class, in a folder a module; `// py: module.Class.method` names what each serves.

use pyo3::prelude::*;

mod concurrent;
mod contextvars;
mod crew;
mod dashboard;
mod exclusion;
mod fast;
mod gate;
mod green;
mod made;
mod multiprocessing;
mod news;
mod queue;
#[cfg(feature = "ssh")]
mod sftp;
#[cfg(feature = "ssh")]
mod ssh;
#[cfg(feature = "ssh")]
mod ssh_keys;
mod tally;
mod threading;
mod timeout;
mod top;
mod trace;
mod watch;

/// The native half of the package `manyhands`.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Forks take their locks in the opposite order: the last one calls the others with its own held.
    manyhands_trace::prepare_for_forks();
    manyhands_watch::prepare_for_forks();
    manyhands_shm::prepare_for_forks();
    manyhands_process::prepare_for_forks();
    threading::register(module)?;
    queue::register(module)?;
    multiprocessing::register(module)?;
    concurrent::register(module)?;
    green::register(module)?;
    #[cfg(feature = "ssh")]
    sftp::register(module)?;
    #[cfg(feature = "ssh")]
    ssh::register(module)?;
    #[cfg(feature = "ssh")]
    ssh_keys::register(module)?;
    dashboard::register(module)?;
    top::register(module)?;
    watch::register(module)?;
    // The last: it may import modules that need the others.
    trace::register(module)
}
