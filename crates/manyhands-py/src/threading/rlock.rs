//! `manyhands.threading.RLock`

use manyhands_sync as sync;
use manyhands_sync::{Limit, Saved, ThreadId};
use pyo3::exceptions::{PyDeprecationWarning, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple, PyType};

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::{Determined, Outside};
use crate::threading::class_name;
use crate::timeout::{self, FOR_EVER, Flag, Seconds};

/// A reentrant lock: its owner may acquire it again, and releases it as often.
// py: threading.RLock
#[pyclass(frozen, weakref, subclass, module = "manyhands.threading")]
pub(crate) struct RLock(sync::RLock<Interpreter>);

impl RLock {
    pub(crate) fn new() -> RLock {
        RLock(sync::RLock::new())
    }

    pub(crate) fn core(&self) -> &sync::RLock<Interpreter> {
        &self.0
    }

    pub(crate) fn acquire_within(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        self.0.acquire_with(&Outside(py), limit)
    }

    pub(crate) fn reacquire(&self, py: Python<'_>, saved: Saved) -> PyResult<()> {
        let gate = Determined::new(py);
        self.0.acquire_saved(&gate, Limit::Forever, saved)?;
        gate.finish()
    }

    pub(crate) fn free(&self) -> PyResult<()> {
        self.0.release().map_err(not_owner)
    }

    pub(crate) fn free_all(&self) -> PyResult<Saved> {
        self.0.release_all().map_err(not_owner)
    }
}

/// What `_release_save` returned, as it was.
pub(super) fn saved_from((count, owner): (usize, u64)) -> Saved {
    Saved { owner: ThreadId::from_raw(owner).unwrap_or_else(ThreadId::current), count }
}

fn not_owner(error: sync::NotOwner) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

#[pymethods]
impl RLock {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs), text_signature = "()")]
    fn __new__(
        class: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<RLock> {
        let py = class.py();
        // Arguments are for subclasses; the class itself ignored them, and from 3.13 warns.
        if cfg!(Py_3_13)
            && (!args.is_empty() || kwargs.is_some())
            && class.is(py.get_type::<RLock>())
        {
            let message =
                c"passing arguments to RLock is deprecated, and an error from Python 3.15";
            PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), message, 1)?;
        }
        Ok(RLock::new())
    }

    /// Acquire the lock: at once, or by waiting as long as it takes (timeout -1) or `timeout`
    /// seconds. Returns whether it was acquired; its owner always acquires it, once more.
    // py: threading.RLock.acquire
    #[pyo3(signature = (blocking=Flag(true), timeout=FOR_EVER), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: Flag, timeout: Seconds) -> PyResult<bool> {
        self.acquire_within(py, timeout::of_lock(blocking, timeout)?)
    }

    /// Release the lock once; RuntimeError if the calling thread does not own it.
    // py: threading.RLock.release
    fn release(&self) -> PyResult<()> {
        self.free()
    }

    /// Whether the lock is owned by any thread.
    // py: threading.RLock.locked
    fn locked(&self) -> bool {
        self.0.holder().is_some()
    }

    fn _is_owned(&self) -> bool {
        self.0.is_owned()
    }

    fn _recursion_count(&self) -> usize {
        self.0.holder().filter(|_| self.0.is_owned()).map_or(0, |holder| holder.count)
    }

    fn _release_save(&self) -> PyResult<(usize, u64)> {
        self.free_all().map(|saved| (saved.count, saved.owner.get()))
    }

    fn _acquire_restore(&self, py: Python<'_>, state: (usize, u64)) -> PyResult<()> {
        self.reacquire(py, saved_from(state))
    }

    fn _at_fork_reinit(&self) {
        self.0.reset();
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_within(py, Limit::Forever)
    }

    #[pyo3(signature = (_type=None, _value=None, _traceback=None))]
    fn __exit__(
        &self,
        _type: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.free()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let holder = slf.get().0.holder();
        Ok(format!(
            "<{} {} object owner={} count={} at {:#x}>",
            if holder.is_some() { "locked" } else { "unlocked" },
            class_name(slf)?,
            holder.map_or(0, |holder| holder.owner.get()),
            holder.map_or(0, |holder| holder.count),
            slf.as_ptr() as usize,
        ))
    }
}

// py: threading.RLock.acquire
short_cut!(Acquire, RLock, c"acquire", |call| {
    let done = call.count() == 0 && call.this.get().core().try_acquire();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});

// py: threading.RLock.__exit__
short_cut!(Exit, RLock, c"__exit__", |call| {
    let done = call.count() == 3 && call.this.get().core().release().is_ok();
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.RLock.release
short_cut!(Release, RLock, c"release", |call| {
    let done = call.this.get().core().release().is_ok();
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.RLock.__enter__
short_cut!(Enter, RLock, c"__enter__", |call| {
    let done = call.this.get().core().try_acquire();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});
