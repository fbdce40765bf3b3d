//! `manyhands.multiprocessing.synchronize.Barrier`

use manyhands_shm as shm;
use manyhands_shm::{Passage, Reference};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::{Outside, arena, limit};

/// A barrier between processes: the threads that come wait until so many are there.
// py: multiprocessing.synchronize.Barrier
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
pub(crate) struct Barrier(arena::Late<shm::Barrier>);

#[cold]
fn broken(py: Python<'_>) -> PyErr {
    static BROKEN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match BROKEN.import(py, "threading", "BrokenBarrierError") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Barrier {
        Barrier(arena::Late::new())
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new one for that many.
    fn _create(&self, parties: i64) -> PyResult<()> {
        let parties = u32::try_from(parties.max(0))
            .map_err(|_| PyValueError::new_err("there are too many parties"))?;
        self.0.set(shm::Barrier::new(parties)).map(drop)
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64) -> PyResult<()> {
        self.0.set(shm::Barrier::open(Reference { arena, block })).map(drop)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.0.pair(shm::Barrier::reference)
    }

    /// Waits until all have come, and returns the caller's number; the last calls `action` before.
    // py: multiprocessing.synchronize.Barrier.wait
    fn _pass(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
        action: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u32> {
        let limit = limit(true, timeout)?;
        match self.0.get()?.wait_with(&Outside(py), limit, action.is_some())? {
            Ok(Passage::Passed(number)) => Ok(number),
            Ok(Passage::Last(last)) => {
                if let Some(action) = action {
                    // If it raises, the barrier breaks when `last` is dropped.
                    action.call0()?;
                }
                last.finish().map_err(|_| broken(py))
            }
            Err(_) => Err(broken(py)),
        }
    }

    /// Make it as new; who waits gets BrokenBarrierError.
    // py: multiprocessing.synchronize.Barrier.reset
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get()?.reset_with(&Outside(py))
    }

    /// Break it: who waits gets BrokenBarrierError, and so does who comes, until it is reset.
    // py: multiprocessing.synchronize.Barrier.abort
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get()?.abort_with(&Outside(py))
    }

    /// How many wait.
    // py: multiprocessing.synchronize.Barrier.n_waiting
    #[getter]
    fn n_waiting(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get()?.waiting_with(&Outside(py))
    }

    /// Whether it is broken.
    // py: multiprocessing.synchronize.Barrier.broken
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        self.0.get().map(shm::Barrier::is_broken)
    }
}
