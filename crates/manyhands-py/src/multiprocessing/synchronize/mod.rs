//! Locks and their relatives between processes: multiprocessing.synchronize.

use std::cell::RefCell;

use manyhands_shm::{Acquired, Handle, Limit, Pause};
use pyo3::create_exception;
use pyo3::exceptions::{PyOverflowError, PyRuntimeWarning};
use pyo3::prelude::*;

use super::arena::{self, Outside, not_initialized};
use crate::{fast, timeout};

/// Defines the short cuts of a class whose `known()` has `try_acquire` and `release`.
macro_rules! short_cuts {
    ($class:ident) => {
        $crate::fast::short_cut!(Acquire, $class, c"acquire", |call| {
            let done = call.count() == 0 && call.this.get().known()?.try_acquire();
            done.then(|| pyo3::types::PyBool::new(call.py(), true).to_owned().into_any())
        });

        $crate::fast::short_cut!(Release, $class, c"release", |call| {
            let done = call.this.get().known()?.release().is_ok();
            done.then(|| call.py().None().into_bound(call.py()))
        });

        $crate::fast::short_cut!(Enter, $class, c"__enter__", |call| {
            let done = call.this.get().known()?.try_acquire();
            done.then(|| pyo3::types::PyBool::new(call.py(), true).to_owned().into_any())
        });

        $crate::fast::short_cut!(Exit, $class, c"__exit__", |call| {
            let done = call.this.get().known()?.release().is_ok();
            done.then(|| call.py().None().into_bound(call.py()))
        });
    };
}

mod barrier;
mod condition;
mod event;
mod lock;
mod rlock;
mod semaphore;

pub(super) use rlock::RLock;

create_exception!(
    manyhands.multiprocessing.synchronize,
    AbandonedLockWarning,
    PyRuntimeWarning,
    "A process ended while it held this lock: what the lock protects may be half changed."
);

type Late<T> = arena::Late<Handle<T>>;

/// How long to wait: for ever, also if the timeout is larger than any clock.
fn limit(block: bool, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Limit> {
    if !block {
        return Ok(Limit::Never);
    }
    timeout::optional(timeout).or_else(|error| match timeout {
        Some(timeout) if error.is_instance_of::<PyOverflowError>(timeout.py()) => {
            Ok(Limit::Forever)
        }
        _ => Err(error),
    })
}

/// Says of an inherited lock that it is, and whether a lock was acquired at all.
fn acquired(py: Python<'_>, acquired: Acquired) -> PyResult<bool> {
    if let Acquired::Inherited(process) = acquired {
        warn(py, process)?;
    }
    Ok(acquired.is_acquired())
}

#[cold]
fn warn(py: Python<'_>, process: Option<u32>) -> PyResult<()> {
    let who = process.map_or_else(|| "a process".to_owned(), |number| format!("process {number}"));
    let message = std::ffi::CString::new(format!(
        "{who} or its thread ended while it held this lock: what the lock protects may be half \
         changed (lock.abandoned is True until it is set to False)"
    ))?;
    PyErr::warn(py, &py.get_type::<AbandonedLockWarning>(), &message, 1)
}

/// A pause for what must end well: one exception of a signal handler is kept for afterwards, the
/// second gives the wait up.
struct Determined<'py> {
    outside: Outside<'py>,
    kept: RefCell<Option<PyErr>>,
}

impl<'py> Determined<'py> {
    /// With the exception that ended what was before, if one did.
    fn after(py: Python<'py>, error: Option<PyErr>) -> Self {
        Determined { outside: Outside(py), kept: RefCell::new(error) }
    }

    /// The result of acquiring a lock: the exception that was kept, if there is one.
    fn result(self, result: PyResult<Acquired>) -> PyResult<()> {
        let py = self.outside.0;
        match (self.kept.into_inner(), result) {
            (kept, Ok(acquisition)) => {
                let warned = acquired(py, acquisition);
                kept.map_or(warned.map(drop), Err)
            }
            (None, Err(second)) => Err(second),
            (first, Err(second)) => {
                second.set_context(py, first);
                Err(second)
            }
        }
    }
}

impl Pause for Determined<'_> {
    type Error = PyErr;

    fn pause(
        &self,
        word: &std::sync::atomic::AtomicU32,
        expected: u32,
        until: manyhands_shm::Deadline,
    ) -> PyResult<()> {
        match self.outside.pause(word, expected, until) {
            Err(error) if self.kept.borrow().is_none() => {
                *self.kept.borrow_mut() = Some(error);
                Ok(())
            }
            paused => paused,
        }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("AbandonedLockWarning", py.get_type::<AbandonedLockWarning>())?;
    module.add_class::<lock::Lock>()?;
    module.add_class::<rlock::RLock>()?;
    module.add_class::<semaphore::Semaphore>()?;
    module.add_class::<event::Event>()?;
    module.add_class::<condition::Condition>()?;
    module.add_class::<barrier::Barrier>()?;
    fast::install_for_subclasses::<lock::Acquire>(py)?;
    fast::install_for_subclasses::<lock::Release>(py)?;
    fast::install_for_subclasses::<lock::Enter>(py)?;
    fast::install_for_subclasses::<lock::Exit>(py)?;
    fast::install_for_subclasses::<rlock::Acquire>(py)?;
    fast::install_for_subclasses::<rlock::Release>(py)?;
    fast::install_for_subclasses::<rlock::Enter>(py)?;
    fast::install_for_subclasses::<rlock::Exit>(py)?;
    fast::install_for_subclasses::<semaphore::Acquire>(py)?;
    fast::install_for_subclasses::<semaphore::Release>(py)?;
    fast::install_for_subclasses::<semaphore::Enter>(py)?;
    fast::install_for_subclasses::<semaphore::Exit>(py)?;
    fast::install_for_subclasses::<event::IsSet>(py)?;
    fast::install_for_subclasses::<event::Set>(py)?;
    fast::install_for_subclasses::<event::Clear>(py)?;
    fast::install_for_subclasses::<event::Wait>(py)?;
    fast::install_for_subclasses::<condition::Notify>(py)?;
    fast::install_for_subclasses::<condition::Enter>(py)?;
    fast::install_for_subclasses::<condition::Exit>(py)
}
