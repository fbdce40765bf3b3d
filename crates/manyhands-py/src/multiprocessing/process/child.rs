//! A child process, as the `Popen` classes see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use manyhands_process::{Child, ExitStatus, Waited};
use manyhands_sync::Limit;
use manyhands_sys::thread;
use manyhands_sys::time::Deadline;
use manyhands_watch::WaitingGuard;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::gate::Lasting;
use crate::green::guest;
use crate::multiprocessing::errors::os_error;
use crate::timeout;

/// A child of this process. It is reaped when it ends, whether anybody asks or not.
// py: multiprocessing.popen_fork.Popen
#[pyclass(frozen, name = "Child", module = "manyhands._native.multiprocessing")]
pub(super) struct PyChild {
    pid: u32,
    child: Mutex<Option<Arc<Child>>>,
}

impl PyChild {
    pub(super) fn new(child: Arc<Child>) -> PyChild {
        PyChild { pid: child.id(), child: Mutex::new(Some(child)) }
    }

    fn get(&self) -> PyResult<Arc<Child>> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).clone();
        child.ok_or_else(|| PyValueError::new_err("the child process was closed"))
    }
}

/// Waits for the end of a child, and runs signal handlers meanwhile.
pub(super) fn wait(py: Python<'_>, child: &Child, limit: Limit) -> PyResult<Option<ExitStatus>> {
    let until = match limit {
        Limit::Never => return Ok(child.status()),
        Limit::Until(deadline) => Some(deadline),
        Limit::Forever => None,
    };
    while guest::is_here(py) {
        match child.wait(Some(Deadline::now())) {
            Waited::Ended(status) => return Ok(Some(status)),
            _ if until.is_some_and(Deadline::has_passed) => return Ok(None),
            // As in a thread: its end is told first to somebody who traces it.
            _ if guest::until_readable(py, &[child.raw_descriptor()], limit)?
                && child.status().is_none() =>
            {
                guest::rest(py, Duration::from_millis(1))?;
            }
            _ => {}
        }
    }
    let is_main = thread::is_main();
    let mut lasting = Lasting::new();
    let _noted = WaitingGuard::for_process(child.id(), "join", until.is_some());
    loop {
        let look = lasting.next_look(is_main);
        let last = match (until, look) {
            (Some(until), Some(look)) => until <= look,
            (_, look) => look.is_none(),
        };
        match py.detach(|| child.wait(if last { until } else { look })) {
            Waited::Ended(status) => return Ok(Some(status)),
            Waited::TimedOut if last => return Ok(None),
            Waited::TimedOut => {
                lasting.has_looked()?;
                py.check_signals()?;
            }
            Waited::Interrupted => py.check_signals()?,
        }
    }
}

#[pymethods]
impl PyChild {
    /// Its number.
    #[getter]
    fn pid(&self) -> u32 {
        self.pid
    }

    /// A descriptor that becomes readable when it ends.
    #[getter]
    fn sentinel(&self) -> PyResult<i32> {
        Ok(self.get()?.raw_descriptor())
    }

    /// Its exit code, if it has ended.
    // py: multiprocessing.popen_fork.Popen.poll
    fn poll(&self) -> PyResult<Option<i32>> {
        Ok(self.get()?.status().map(ExitStatus::code))
    }

    /// How much memory it had at most, in bytes; None if it has not ended, or nobody knows.
    #[getter]
    fn peak_memory(&self) -> PyResult<Option<u64>> {
        Ok(self.get()?.peak_memory())
    }

    /// Waits for its end, at most so many seconds; returns the exit code, or None if it lives on.
    // py: multiprocessing.popen_fork.Popen.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i32>> {
        let limit = timeout::optional(timeout)?;
        Ok(wait(py, &*self.get()?, limit)?.map(ExitStatus::code))
    }

    /// Sends it a signal; False if it has ended.
    fn send_signal(&self, py: Python<'_>, signal: i32) -> PyResult<bool> {
        self.get()?.send_signal(signal).map_err(|error| os_error(py, &error))
    }

    /// Gives the descriptor back.
    fn close(&self) {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyChild>()
}
