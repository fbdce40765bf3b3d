//! The arena as Python sees it: waiting in it, joining it, tickets for children.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, OnceLock};

use manyhands_shm::{ArenaError, Deadline, Handle, Kind, Pause, Reference, Shared, Ticket};
use manyhands_sys::{futex, thread};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{explained, os_error};
use crate::green::guest;
use crate::watch::check_condemned;

/// Sleeps outside of the interpreter; given up when a signal handler raises. A greenlet is parked, see [`guest`].
pub(crate) struct Outside<'py>(pub(crate) Python<'py>);

impl Pause for Outside<'_> {
    type Error = PyErr;

    fn pause(&self, word: &AtomicU32, expected: u32, until: Deadline) -> PyResult<()> {
        if guest::is_here(self.0) {
            return guest::while_word_holds(self.0, word, expected, until);
        }
        let slept = self.0.detach(|| futex::wait_shared(word, expected, Some(until)));
        if slept == futex::Sleep::TimedOut {
            check_condemned()?;
        }
        // A signal that arrives in the few instructions before the sleep does not end it: the main
        // thread looks after each, and none is long.
        if slept != futex::Sleep::Woken && thread::is_main() {
            self.0.check_signals()
        } else {
            Ok(())
        }
    }

    fn aside(&self, action: &mut (dyn FnMut() + Send)) {
        self.0.detach(action);
    }
}

/// Sleeps outside of the interpreter, if this thread is in it; for what is not given up, whatever signal
/// handlers want: they run later.
fn sleep_aside(word: &AtomicU32, expected: u32, until: Deadline) {
    let sleep = || {
        futex::wait_shared(word, expected, Some(until));
    };
    #[expect(unsafe_code, reason = "what is dropped knows not whether it is in the interpreter")]
    // SAFETY: asks what it says, of the calling thread.
    let attached = unsafe { ffi::Py_IsInitialized() != 0 && ffi::PyGILState_Check() != 0 };
    if attached {
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: it is.
        unsafe { Python::assume_attached() }.detach(sleep);
    } else {
        sleep();
    }
}

/// An object of the arena that a Python object gets when it is initialized or unpickled.
pub(super) struct Late<T>(OnceLock<T>);

impl<T> Late<T> {
    pub(super) const fn new() -> Late<T> {
        Late(OnceLock::new())
    }

    pub(super) fn set(&self, object: Result<T, ArenaError>) -> PyResult<&T> {
        match self.0.set(object.map_err(error)?) {
            Ok(()) => self.get(),
            Err(_) => Err(PyRuntimeError::new_err("the object is initialized already")),
        }
    }

    #[inline]
    pub(super) fn get(&self) -> PyResult<&T> {
        self.0.get().ok_or_else(not_initialized)
    }

    /// What to pass to another process, as a pair of numbers.
    pub(super) fn pair(&self, reference: impl Fn(&T) -> Reference) -> PyResult<(u64, u64)> {
        let Reference { arena, block } = reference(self.get()?);
        Ok((arena, block))
    }
}

impl<T: Shared> Late<Handle<T>> {
    pub(super) fn create(&self, kind: Kind) -> PyResult<&Handle<T>> {
        self.set(Handle::new(kind))
    }

    pub(super) fn open(&self, kind: Kind, arena: u64, block: u64) -> PyResult<()> {
        self.set(Handle::open(Reference { arena, block }, kind)).map(drop)
    }

    /// For short cuts.
    #[inline(always)]
    pub(super) fn known(&self) -> Option<&T> {
        self.0.get().map(|handle| &**handle)
    }

    pub(super) fn reference(&self) -> PyResult<(u64, u64)> {
        self.pair(Handle::reference)
    }
}

#[cold]
pub(super) fn not_initialized() -> PyErr {
    PyRuntimeError::new_err("the object is not initialized: its __init__ was not called")
}

/// The Python exception for what went wrong with the arena.
pub(crate) fn error(error: ArenaError) -> PyErr {
    let text = error.to_string();
    match error {
        ArenaError::System { .. } => {
            explained(Some(error.os_error().unwrap_or(libc::ENOMEM)), text)
        }
        ArenaError::Full { .. } => explained(Some(libc::ENOMEM), text),
        ArenaError::TooManyProcesses(_) => explained(Some(libc::EAGAIN), text),
        ArenaError::Gone => explained(Some(libc::ENOENT), text),
        _ => PyRuntimeError::new_err(text),
    }
}

/// A place kept for a child that is about to be started in another way than by fork.
#[pyclass(frozen, name = "Ticket", module = "manyhands._native.multiprocessing")]
struct PyTicket {
    number: u64,
    arena: RawFd,
    ticket: Mutex<Option<Ticket>>,
}

impl PyTicket {
    fn take(&self) -> PyResult<Ticket> {
        let ticket = self.ticket.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        ticket.ok_or_else(|| PyValueError::new_err("the ticket was used already"))
    }
}

#[pymethods]
impl PyTicket {
    /// The arena's descriptor, which is to be passed to the child. It stays open.
    fn fileno(&self) -> RawFd {
        self.arena
    }

    /// What the child has to give to `join_arena`.
    #[getter]
    fn number(&self) -> u64 {
        self.number
    }

    /// The child is there, and that is its number.
    fn started(&self, pid: u32) -> PyResult<()> {
        self.take()?.started(pid);
        Ok(())
    }

    /// There will be no such child.
    fn cancel(&self) -> PyResult<()> {
        self.take().map(drop)
    }
}

/// Keeps a place for a child; everything handed to it has to exist before.
#[pyfunction]
fn reserve_child() -> PyResult<PyTicket> {
    let ticket = manyhands_shm::reserve_child().map_err(error)?;
    let arena = ticket.arena().descriptor().map_err(error)?.as_raw_fd();
    Ok(PyTicket { number: ticket.number(), arena, ticket: Mutex::new(Some(ticket)) })
}

/// Joins the arena behind a descriptor, which stays the caller's, by the number of a ticket.
#[pyfunction]
fn join_arena(py: Python<'_>, descriptor: RawFd, ticket: u64) -> PyResult<()> {
    if descriptor < 0 {
        return Err(PyValueError::new_err("a descriptor is not negative"));
    }
    #[expect(unsafe_code, reason = "a number from Python becomes a descriptor")]
    // SAFETY: it is used only for the time of this call; that it is open the system checks.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned();
    let descriptor = descriptor.map_err(|error| os_error(py, &error))?;
    manyhands_shm::join(descriptor, ticket).map(|_| ()).map_err(error)
}

/// Makes what this process has made in the arena its parent's, so that it outlives this process.
#[pyfunction]
fn hand_over_to_parent() -> PyResult<()> {
    manyhands_shm::hand_over_to_parent().map_err(error)
}

/// The number of this process's arena; None if it has none.
#[pyfunction]
fn arena_number() -> Option<u64> {
    manyhands_shm::existing().map(manyhands_shm::Arena::id)
}

/// Tells that the last fork by this thread has made that child; None if it failed.
#[pyfunction]
fn forked(pid: Option<u32>) {
    manyhands_shm::forked(pid);
}

/// Tells that a child has ended, so that what it held is released.
#[pyfunction]
fn child_died(py: Python<'_>, pid: u32) {
    py.detach(|| manyhands_shm::child_died(pid));
}

/// Keeps the place of the child of a fork that this thread is about to make, for which the fork itself
/// would wait with all threads of the program standing still.
#[pyfunction]
fn reserve_for_fork(py: Python<'_>) {
    py.detach(manyhands_shm::reserve_for_fork);
}

/// What the arena holds, as a dict of numbers.
#[pyfunction]
fn arena_statistics(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let arena = manyhands_shm::arena().map_err(error)?;
    let statistics = py.detach(|| arena.statistics()).map_err(error)?;
    let result = PyDict::new(py);
    result.set_item("blocks", statistics.blocks)?;
    result.set_item("bytes", statistics.bytes)?;
    result.set_item("lingering", statistics.lingering)?;
    result.set_item("resident", statistics.resident)?;
    result.set_item("participants", statistics.participants)?;
    Ok(result)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    manyhands_shm::set_sleep_aside(sleep_aside);
    let hook = PyDict::new(py);
    hook.set_item("before", wrap_pyfunction!(reserve_for_fork, module)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&hook))?;
    module.add_class::<PyTicket>()?;
    module.add_function(wrap_pyfunction!(reserve_child, module)?)?;
    module.add_function(wrap_pyfunction!(join_arena, module)?)?;
    module.add_function(wrap_pyfunction!(hand_over_to_parent, module)?)?;
    module.add_function(wrap_pyfunction!(arena_number, module)?)?;
    module.add_function(wrap_pyfunction!(forked, module)?)?;
    module.add_function(wrap_pyfunction!(child_died, module)?)?;
    module.add_function(wrap_pyfunction!(arena_statistics, module)?)
}
