//! `manyhands.multiprocessing.synchronize.Event`

use manyhands_shm as shm;
use manyhands_shm::Kind;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::{Late, Outside, limit};
use crate::fast::short_cut;

/// A flag between processes that can be set, cleared and waited for.
// py: multiprocessing.synchronize.Event
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
pub(crate) struct Event(Late<shm::Event>);

impl Event {
    #[inline(always)]
    fn known(&self) -> Option<&shm::Event> {
        self.0.known()
    }

    fn core(&self) -> PyResult<&shm::Event> {
        self.0.get().map(|handle| &**handle)
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Event {
        Event(Late::new())
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new one that is not set.
    fn _create(&self) -> PyResult<()> {
        self.0.create(Kind::Event).map(drop)
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64) -> PyResult<()> {
        self.0.open(Kind::Event, arena, block)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.0.reference()
    }

    /// Whether it is set.
    // py: multiprocessing.synchronize.Event.is_set
    fn is_set(&self) -> PyResult<bool> {
        self.core().map(shm::Event::is_set)
    }

    /// Set it, and let all who wait go on.
    // py: multiprocessing.synchronize.Event.set
    fn set(&self) -> PyResult<()> {
        self.core().map(shm::Event::set)
    }

    /// Clear it.
    // py: multiprocessing.synchronize.Event.clear
    fn clear(&self) -> PyResult<()> {
        self.core().map(shm::Event::clear)
    }

    /// Wait until it is set, as long as it takes or `timeout` seconds. Returns whether it was.
    // py: multiprocessing.synchronize.Event.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let core = self.core()?;
        if core.is_set() {
            return Ok(true);
        }
        core.wait_with(&Outside(py), limit(true, timeout)?)
    }
}

// py: multiprocessing.synchronize.Event.is_set
short_cut!(IsSet, Event, c"is_set", |call| {
    let is_set = call.this.get().known()?.is_set();
    Some(PyBool::new(call.py(), is_set).to_owned().into_any())
});

// py: multiprocessing.synchronize.Event.set
short_cut!(Set, Event, c"set", |call| {
    call.this.get().known()?.set();
    Some(call.py().None().into_bound(call.py()))
});

// py: multiprocessing.synchronize.Event.clear
short_cut!(Clear, Event, c"clear", |call| {
    call.this.get().known()?.clear();
    Some(call.py().None().into_bound(call.py()))
});

// py: multiprocessing.synchronize.Event.wait
short_cut!(Wait, Event, c"wait", |call| {
    let done = call.count() <= 1 && call.this.get().known()?.is_set();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});
