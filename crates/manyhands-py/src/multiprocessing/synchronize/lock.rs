//! `manyhands.multiprocessing.synchronize.Lock`

use manyhands_shm as shm;
use manyhands_shm::{Kind, Limit};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{Determined, Late, Outside, acquired, limit};
use crate::timeout::Flag;

/// A lock between processes that is not reentrant, and that any thread of any of them may release.
// py: multiprocessing.synchronize.Lock
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
pub(crate) struct Lock(Late<shm::Lock>);

impl Lock {
    #[inline(always)]
    pub(super) fn known(&self) -> Option<&shm::Lock> {
        self.0.known()
    }

    pub(super) fn core(&self) -> PyResult<&shm::Lock> {
        self.0.get().map(|handle| &**handle)
    }

    pub(super) fn acquire_within(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        let core = self.core()?;
        let result = acquired(py, core.acquire_with(&Outside(py), limit)?);
        if result.is_err() {
            // The warning became an exception, after which nobody takes the lock for held.
            let _ = core.release();
        }
        result
    }

    /// Acquires the lock again for somebody who must have it before he may raise: that error, if
    /// there is one already.
    pub(super) fn reacquire(&self, py: Python<'_>, error: Option<PyErr>) -> PyResult<()> {
        let pause = Determined::after(py, error);
        let result = self.core()?.reacquire_with(&pause);
        pause.result(result)
    }

    pub(super) fn free(&self) -> PyResult<()> {
        self.core()?.release().map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

#[pymethods]
impl Lock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Lock {
        Lock(Late::new())
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new, free lock.
    fn _create(&self) -> PyResult<()> {
        self.0.create(Kind::Lock).map(drop)
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64) -> PyResult<()> {
        self.0.open(Kind::Lock, arena, block)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.0.reference()
    }

    /// Acquire the lock: at once, or by waiting as long as it takes (timeout None) or `timeout`
    /// seconds. Returns whether it was acquired.
    ///
    /// If a process ended while it held the lock, the lock passes on to who wants it next, with an
    /// AbandonedLockWarning.
    // py: multiprocessing.synchronize.Lock.acquire
    #[pyo3(signature = (block=Flag(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.acquire_within(py, limit(block.0, timeout)?)
    }

    /// Release the lock; ValueError if it is not locked.
    // py: multiprocessing.synchronize.Lock.release
    fn release(&self) -> PyResult<()> {
        self.free()
    }

    /// Whether the lock is locked.
    fn locked(&self) -> PyResult<bool> {
        self.core().map(shm::Lock::is_locked)
    }

    /// Whether a process ended while it held the lock, so that what it protects may be half changed.
    /// Set it to False when that has been put right.
    #[getter]
    fn abandoned(&self) -> PyResult<bool> {
        self.core().map(shm::Lock::is_abandoned)
    }

    #[setter]
    fn set_abandoned(&self, value: Flag) -> PyResult<()> {
        self.core().map(|core| core.set_abandoned(value.0))
    }

    fn _is_mine(&self) -> PyResult<bool> {
        self.core().map(shm::Lock::is_mine)
    }

    /// How often this process holds it.
    fn _count(&self) -> PyResult<u32> {
        let owner = self.core()?.owner();
        Ok(owner.is_some_and(shm::Owner::is_current_process).into())
    }

    fn _get_value(&self) -> PyResult<u32> {
        Ok((!self.locked()?).into())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_within(py, Limit::Forever)
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.free()
    }
}

// py: multiprocessing.synchronize.Lock.acquire
// py: multiprocessing.synchronize.Lock.release
// py: multiprocessing.synchronize.Lock.__enter__
// py: multiprocessing.synchronize.Lock.__exit__
short_cuts!(Lock);
