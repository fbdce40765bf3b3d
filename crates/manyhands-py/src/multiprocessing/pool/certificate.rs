//! What is known of a worker that has died in a call.

use std::os::fd::{IntoRawFd, RawFd};

use manyhands_pool::TASK;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use rustix::fs::{Mode, OFlags, SeekFrom, open, seek};

use super::call::Told;
use super::limits::Verdict;
use super::repeats::named;
use super::scheduler::{Scheduler, Tag, To};
use crate::multiprocessing::codec::{Plain, decode_plain};

/// A descriptor of its own for a file that another process has open by that number, at that place in it;
/// None if it cannot be had.
#[pyfunction]
pub(super) fn open_at(pid: u32, number: RawFd, place: u64) -> Option<RawFd> {
    let path = format!("/proc/{pid}/fd/{number}");
    let file = open(path.as_str(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
    seek(&file, SeekFrom::Start(place)).ok()?;
    Some(file.into_raw_fd())
}

/// A worker that has ended.
pub(super) struct Dead {
    pub(super) pid: u32,
    pub(super) seat: usize,
    pub(super) exitcode: Option<i32>,
    /// The most memory that it had.
    pub(super) peak: Option<u64>,
    /// The beginning of the message of the task that it took last, and how long that was.
    pub(super) noted: (Vec<u8>, usize),
}

impl Scheduler {
    /// The exception of a call whose worker has died, or of all if it had none.
    pub(super) fn death<'py>(
        &self,
        py: Python<'py>,
        dead: &Dead,
        lost: Option<(u64, &Tag)>,
        verdict: Option<Verdict>,
    ) -> Bound<'py, PyAny> {
        let made = self.certify(py, dead, lost, verdict);
        let made = made.and_then(|facts| self.died.bind(py).call((), Some(&facts)));
        made.unwrap_or_else(|why| why.into_value(py).into_bound(py).into_any())
    }

    fn certify<'py>(
        &self,
        py: Python<'py>,
        dead: &Dead,
        lost: Option<(u64, &Tag)>,
        verdict: Option<Verdict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let facts = PyDict::new(py);
        facts.set_item("pid", dead.pid)?;
        facts.set_item("seat", dead.seat)?;
        facts.set_item("exitcode", dead.exitcode)?;
        facts.set_item("peak_memory", dead.peak)?;
        if let Some(Verdict::TimedOut(timeout)) = verdict {
            facts.set_item("timeout", timeout.as_secs_f64())?;
        }
        if let Some((task, tag)) = lost {
            facts.set_item("function", self.function(py, tag))?;
            facts.set_item("died_before", tag.died_before())?;
            if let Some(call) = dead.call(py, task)? {
                facts.set_item("call", call)?;
            }
        }
        Ok(facts)
    }

    fn function(&self, py: Python<'_>, tag: &Tag) -> Option<Py<PyAny>> {
        match &tag.to {
            To::Result(result) => result.get().function(py),
            To::Imap(imap) => Some(imap.function(py)),
            To::Future(future) => future.get().task(py).map(|task| task.function(py)),
        }
    }
}

/// How a function was called: the number of the shape; whether what was sent is only the argument, and
/// not a pair of the function and that; and it: an object, or a pickle, or None if there is not all of it.
type Call<'py> = (u8, bool, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyBytes>>);

impl Dead {
    fn call<'py>(&self, py: Python<'py>, task: u64) -> PyResult<Option<Call<'py>>> {
        let (head, len) = &self.noted;
        if head.first_chunk::<TASK>() != Some(&task.to_ne_bytes()) {
            return Ok(None);
        }
        let Some(told) = Told::read(head) else { return Ok(None) };
        let call =
            |object, pickle| Ok(Some((told.shape as u8, !told.name.is_empty(), object, pickle)));
        let end = || if told.has_originals { Some(named(head)?.0) } else { Some(head.len()) };
        let whole = if head.len() == *len { end() } else { None };
        let Some(object) = whole.and_then(|end| head.get(told.object..end)) else {
            return call(None, None);
        };
        match decode_plain(py, object) {
            Some(Plain::Object(object)) => call(Some(object), None),
            Some(Plain::Pickle(pickle)) => call(None, Some(PyBytes::new(py, pickle))),
            None => call(None, None),
        }
    }
}
