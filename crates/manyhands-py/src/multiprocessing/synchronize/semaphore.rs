//! `manyhands.multiprocessing.synchronize.Semaphore`, `BoundedSemaphore`

use manyhands_shm as shm;
use manyhands_shm::{Kind, Limit};
use pyo3::exceptions::{PyOSError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::{Late, Outside, limit};
use crate::timeout::Flag;

/// A counter between processes that acquire() takes one from, waiting while there is none, and
/// release() adds one to.
///
/// What a process has taken and not given back when it ends stays taken: a semaphore has no owner.
// py: multiprocessing.synchronize.Semaphore
// py: multiprocessing.synchronize.BoundedSemaphore
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
pub(crate) struct Semaphore(Late<shm::Semaphore>);

impl Semaphore {
    #[inline(always)]
    fn known(&self) -> Option<&shm::Semaphore> {
        self.0.known()
    }

    fn core(&self) -> PyResult<&shm::Semaphore> {
        self.0.get().map(|handle| &**handle)
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Semaphore {
        Semaphore(Late::new())
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new one of that value, which it never exceeds if it is bounded.
    fn _create(&self, value: i64, bounded: bool) -> PyResult<()> {
        if value > i64::from(shm::Semaphore::MAX) {
            return Err(PyOverflowError::new_err("Python int too large to convert to C int"));
        }
        let value = u32::try_from(value)
            .map_err(|_| PyOSError::new_err((libc::EINVAL, "Invalid argument")))?;
        let maximum = if bounded { value } else { shm::Semaphore::MAX };
        self.0.create(Kind::Semaphore)?.set_up(value, maximum);
        Ok(())
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64) -> PyResult<()> {
        self.0.open(Kind::Semaphore, arena, block)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.0.reference()
    }

    /// Take one: at once, or by waiting as long as it takes (timeout None) or `timeout` seconds.
    /// Returns whether one was taken.
    // py: multiprocessing.synchronize.Semaphore.acquire
    #[pyo3(signature = (block=Flag(true), timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        block: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let limit = limit(block.0, timeout)?;
        self.core()?.acquire_with(&Outside(py), limit)
    }

    /// Add one, so that one who waits goes on; ValueError if it has its maximum already.
    // py: multiprocessing.synchronize.Semaphore.release
    fn release(&self) -> PyResult<()> {
        self.core()?.release().map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// How many can be taken at present.
    // py: multiprocessing.synchronize.Semaphore.get_value
    fn get_value(&self) -> PyResult<u32> {
        self.core().map(shm::Semaphore::value)
    }

    /// Whether none can be taken at present.
    fn locked(&self) -> PyResult<bool> {
        Ok(self.get_value()? == 0)
    }

    fn _get_value(&self) -> PyResult<u32> {
        self.get_value()
    }

    #[getter]
    fn _maximum(&self) -> PyResult<u32> {
        self.core().map(shm::Semaphore::maximum)
    }

    /// Whether anything is taken: by whom a semaphore does not know.
    fn _is_mine(&self) -> PyResult<bool> {
        let core = self.core()?;
        Ok(core.value() < core.maximum())
    }

    fn _count(&self) -> PyResult<u32> {
        self._is_mine().map(u32::from)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.core()?.acquire_with(&Outside(py), Limit::Forever)
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }
}

// py: multiprocessing.synchronize.Semaphore.acquire
// py: multiprocessing.synchronize.Semaphore.release
// py: multiprocessing.synchronize.Semaphore.__enter__
// py: multiprocessing.synchronize.Semaphore.__exit__
short_cuts!(Semaphore);
