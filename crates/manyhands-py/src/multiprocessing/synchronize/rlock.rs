//! `manyhands.multiprocessing.synchronize.RLock`

use manyhands_shm as shm;
use manyhands_shm::{Kind, Limit};
use pyo3::exceptions::PyAssertionError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{Determined, Late, Outside, acquired, limit};
use crate::timeout::Flag;

/// A lock between processes that its owner, a thread, may acquire again, and releases as often.
// py: multiprocessing.synchronize.RLock
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
pub(crate) struct RLock(Late<shm::RLock>);

fn not_owner(error: shm::NotOwner) -> PyErr {
    PyAssertionError::new_err(error.to_string())
}

impl RLock {
    #[inline(always)]
    pub(super) fn known(&self) -> Option<&shm::RLock> {
        self.0.known()
    }

    pub(super) fn core(&self) -> PyResult<&shm::RLock> {
        self.0.get().map(|handle| &**handle)
    }

    pub(in super::super) fn acquire_within(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        let core = self.core()?;
        let result = acquired(py, core.acquire_with(&Outside(py), limit)?);
        if result.is_err() {
            // The warning became an exception, after which nobody takes the lock for held.
            let _ = core.release();
        }
        result
    }

    /// Acquires the lock again, so often, for somebody who must have it before he may raise: that error, if
    /// there is one already.
    pub(super) fn reacquire(
        &self,
        py: Python<'_>,
        count: u32,
        error: Option<PyErr>,
    ) -> PyResult<()> {
        let pause = Determined::after(py, error);
        let result = self.core()?.reacquire_with(&pause, count);
        pause.result(result)
    }

    pub(in super::super) fn free(&self) -> PyResult<()> {
        self.core()?.release().map_err(not_owner)
    }

    pub(super) fn free_all(&self) -> PyResult<u32> {
        self.core()?.release_all().map_err(not_owner)
    }
}

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> RLock {
        RLock(Late::new())
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new, free lock.
    fn _create(&self) -> PyResult<()> {
        self.0.create(Kind::RLock).map(drop)
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64) -> PyResult<()> {
        self.0.open(Kind::RLock, arena, block)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.0.reference()
    }

    /// Acquire the lock: at once, or by waiting as long as it takes (timeout None) or `timeout`
    /// seconds. Returns whether it was acquired; its owner always acquires it, once more.
    ///
    /// If its owner, the process or only the thread, ended without releasing it, the lock passes on to
    /// who wants it next, with an AbandonedLockWarning.
    // py: multiprocessing.synchronize.RLock.acquire
    #[pyo3(signature = (block=Flag(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.acquire_within(py, limit(block.0, timeout)?)
    }

    /// Release the lock once; AssertionError if the calling thread does not own it.
    // py: multiprocessing.synchronize.RLock.release
    fn release(&self) -> PyResult<()> {
        self.free()
    }

    /// Whether the lock is owned by any thread.
    fn locked(&self) -> PyResult<bool> {
        Ok(self.core()?.owner().is_some())
    }

    /// Whether an owner ended without releasing the lock, so that what it protects may be half
    /// changed. Set it to False when that has been put right.
    #[getter]
    fn abandoned(&self) -> PyResult<bool> {
        self.core().map(shm::RLock::is_abandoned)
    }

    #[setter]
    fn set_abandoned(&self, value: Flag) -> PyResult<()> {
        self.core().map(|core| core.set_abandoned(value.0))
    }

    fn _is_mine(&self) -> PyResult<bool> {
        self.core().map(shm::RLock::is_mine)
    }

    /// How often this process holds it.
    fn _count(&self) -> PyResult<u32> {
        let core = self.core()?;
        let is_ours = core.owner().is_some_and(shm::Owner::is_current_process);
        Ok(if is_ours { core.count() } else { 0 })
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

// py: multiprocessing.synchronize.RLock.acquire
// py: multiprocessing.synchronize.RLock.release
// py: multiprocessing.synchronize.RLock.__enter__
// py: multiprocessing.synchronize.RLock.__exit__
short_cuts!(RLock);
