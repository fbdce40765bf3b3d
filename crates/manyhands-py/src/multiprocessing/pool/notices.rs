//! What a worker process tells its pool besides the outcomes of tasks.

use std::sync::Arc;
use std::time::Duration;

use manyhands_pool::{FIRST_OF_HOST, Worker};
use manyhands_shm::Deadline;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use super::worker::{DONE, put};
use crate::multiprocessing::arena::error;

/// The number of the notice that something was logged.
pub(super) const LOGGED: u64 = FIRST_OF_HOST + 0x10;

/// More than so many messages that the pool has not taken make who logs wait, so that memory is not used
/// up by one that logs all the time; for no longer than that, as the pool may have other things to do.
const MOST_UNTAKEN: usize = 10_000;
const LONGEST: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(1);

/// The way of a worker's notices to its pool; any of its threads may use it.
#[pyclass(frozen, module = "manyhands._native.multiprocessing")]
pub(crate) struct Notices(pub(super) Arc<Worker>);

#[pymethods]
impl Notices {
    /// Has the pool's process handle a record that was logged, which comes there before whatever is put
    /// after it.
    fn log(&self, py: Python<'_>, record: &Bound<'_, PyBytes>) -> PyResult<()> {
        put(py, &self.0, &LOGGED.to_ne_bytes(), DONE, record)?;
        let until = Deadline::after(LONGEST);
        while self.0.untaken().map_err(error)? > MOST_UNTAKEN && !until.has_passed() {
            py.detach(|| std::thread::sleep(STEP));
            py.check_signals()?;
        }
        Ok(())
    }
}

/// Has a record handled that a worker has logged.
pub(super) fn handle_record(record: &Bound<'_, PyAny>) -> PyResult<()> {
    static HANDLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let handle = HANDLE.import(record.py(), "manyhands.multiprocessing._logs", "receive")?;
    handle.call1((record,)).map(drop)
}
