//! Blocking calls that coroutines await: each runs on a stack of its own in the thread of the event loop, and parks where a thread
//! would sleep. Who notifies it rings the bell of the loop, which then has the stack go on.
//!
//! What `guest` says of stacks that are somewhere else while they are parked holds here, too.

use std::cell::Cell;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use manyhands_sync::{Deadline, Waiter};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use rustix::event::EventfdFlags;

use super::api;
use super::guest::Parked;

/// The class of the stacks, whose method `_park` returns when its number was rung, the time is up, or for no reason.
static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

thread_local! {
    /// How many such calls of this thread are under way.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// What wakes an event loop, from any thread, and tells it which stacks are to go on.
#[pyclass(frozen, module = "manyhands._native.awaited")]
struct Bell(Arc<Rung>);

struct Rung {
    /// Readable while there are numbers.
    descriptor: OwnedFd,
    numbers: Mutex<Vec<u64>>,
    next: AtomicU64,
}

impl Rung {
    fn ring(&self, number: u64) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.push(number);
        if numbers.len() == 1 {
            // A counter that goes from 0 to 1 and back never makes this wait, so it does not fail.
            let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }
}

#[pymethods]
impl Bell {
    #[new]
    fn new() -> PyResult<Bell> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let descriptor = rustix::event::eventfd(0, flags).map_err(std::io::Error::from)?;
        let (numbers, next) = (Mutex::default(), AtomicU64::new(0));
        Ok(Bell(Arc::new(Rung { descriptor, numbers, next })))
    }

    fn fileno(&self) -> RawFd {
        self.0.descriptor.as_raw_fd()
    }

    /// The numbers that were rung since the last time.
    fn take(&self) -> Vec<u64> {
        let mut numbers = self.0.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = rustix::io::read(&self.0.descriptor, &mut [0; 8]);
        std::mem::take(&mut numbers)
    }
}

/// The stack that runs, if it is that of a call that is awaited.
#[inline]
pub(crate) fn here(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    if CALLS.get() == 0 {
        return None;
    }
    let class = CLASS.get(py)?.bind(py);
    api::current(py).ok().filter(|current| current.get_type().is(class))
}

/// Whether this thread may have such stacks.
pub(super) fn has_any() -> bool {
    CALLS.get() > 0
}

/// Parks the stack until the waiter is notified (true) or the deadline has passed (false).
#[cold]
pub(crate) fn until_notified(
    stack: &Bound<'_, PyAny>,
    waiter: &Arc<Waiter>,
    deadline: Option<Deadline>,
) -> PyResult<bool> {
    let py = stack.py();
    let bell = stack.getattr(intern!(py, "bell"))?.cast_into::<Bell>()?;
    loop {
        let rung = Arc::clone(&bell.get().0);
        let number = rung.next.fetch_add(1, Ordering::Relaxed);
        if !waiter.listen(move || rung.ring(number)) {
            return Ok(true);
        }
        let seconds = deadline.map(|deadline| deadline.remaining().as_secs_f64());
        {
            let _parked = Parked::begin();
            stack.call_method1(intern!(py, "_park"), (number, seconds))?;
        }
        if waiter.is_notified() {
            return Ok(true);
        }
        if deadline.is_some_and(|deadline| deadline.has_passed()) {
            return Ok(false);
        }
    }
}

/// Says what the class of the stacks is.
#[pyfunction]
fn set_class(class: Bound<'_, PyType>) -> PyResult<()> {
    api::load(class.py())?;
    let _ = CLASS.set(class.py(), class.unbind());
    Ok(())
}

/// Another call of this thread is under way, or one less.
#[pyfunction]
fn count(by: isize) {
    CALLS.set(CALLS.get().saturating_add_signed(by));
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let awaited = PyModule::new(module.py(), "awaited")?;
    awaited.add_class::<Bell>()?;
    awaited.add_function(wrap_pyfunction!(set_class, &awaited)?)?;
    awaited.add_function(wrap_pyfunction!(count, &awaited)?)?;
    module.add("awaited", awaited)
}
