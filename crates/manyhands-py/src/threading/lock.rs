//! `manyhands.threading.Lock`

use manyhands_sync as sync;
use manyhands_sync::Limit;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::{Determined, Outside};
use crate::threading::class_name;
use crate::timeout::{self, FOR_EVER, Flag, Seconds};

/// A lock that is not reentrant, and that any thread may release.
// py: threading.Lock
#[pyclass(frozen, weakref, module = "manyhands.threading", name = "lock")]
pub(crate) struct Lock(sync::Lock<Interpreter>);

impl Lock {
    pub(crate) fn new() -> Lock {
        Lock(sync::Lock::new())
    }

    pub(crate) fn core(&self) -> &sync::Lock<Interpreter> {
        &self.0
    }

    /// Acquires the lock; false if the limit was reached.
    pub(crate) fn acquire_within(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        self.0.acquire_with(&Outside(py), limit)
    }

    /// Acquires the lock again for somebody who must have it before he may raise.
    pub(crate) fn reacquire(&self, py: Python<'_>) -> PyResult<()> {
        let gate = Determined::new(py);
        self.0.acquire_with(&gate, Limit::Forever)?;
        gate.finish()
    }

    pub(crate) fn free(&self) -> PyResult<()> {
        self.0.release().map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }
}

/// Create a lock that is not locked.
// py: threading.Lock
#[pyfunction]
#[pyo3(name = "Lock")]
pub(super) fn create() -> Lock {
    Lock::new()
}

#[pymethods]
impl Lock {
    #[new]
    fn __new__() -> PyResult<Lock> {
        // Before 3.13, `threading.Lock` is a function, and the type behind it cannot be called.
        if cfg!(Py_3_13) {
            return Ok(Lock::new());
        }
        Err(PyTypeError::new_err("cannot create 'manyhands.threading.lock' instances"))
    }

    /// Acquire the lock: at once, or by waiting as long as it takes (timeout -1) or `timeout`
    /// seconds. Returns whether it was acquired.
    // py: threading.Lock.acquire
    #[pyo3(signature = (blocking=Flag(true), timeout=FOR_EVER), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: Flag, timeout: Seconds) -> PyResult<bool> {
        self.acquire_within(py, timeout::of_lock(blocking, timeout)?)
    }

    /// Release the lock; RuntimeError if it is not locked.
    // py: threading.Lock.release
    fn release(&self) -> PyResult<()> {
        self.free()
    }

    /// Whether the lock is locked.
    // py: threading.Lock.locked
    fn locked(&self) -> bool {
        self.0.is_locked()
    }

    /// An obsolete synonym of acquire().
    #[pyo3(signature = (blocking=Flag(true), timeout=FOR_EVER), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_lock(&self, py: Python<'_>, blocking: Flag, timeout: Seconds) -> PyResult<bool> {
        self.acquire(py, blocking, timeout)
    }

    /// An obsolete synonym of release().
    fn release_lock(&self) -> PyResult<()> {
        self.free()
    }

    /// An obsolete synonym of locked().
    fn locked_lock(&self) -> bool {
        self.locked()
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
        let state = if slf.get().locked() { "locked" } else { "unlocked" };
        Ok(format!("<{state} {} object at {:#x}>", class_name(slf)?, slf.as_ptr() as usize))
    }
}

// py: threading.Lock.acquire
short_cut!(Acquire, Lock, c"acquire", |call| {
    let done = call.count() == 0 && call.this.get().core().try_acquire();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});

// py: threading.Lock.__exit__
short_cut!(Exit, Lock, c"__exit__", |call| {
    let done = call.count() == 3 && call.this.get().core().release().is_ok();
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.Lock.release
short_cut!(Release, Lock, c"release", |call| {
    let done = call.this.get().core().release().is_ok();
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.Lock.__enter__
short_cut!(Enter, Lock, c"__enter__", |call| {
    let done = call.this.get().core().try_acquire();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});
