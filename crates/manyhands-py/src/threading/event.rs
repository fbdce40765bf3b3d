//! `manyhands.threading.Event`

use manyhands_sync as sync;
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::Outside;
use crate::threading::repr;
use crate::timeout;

/// A flag that is set and cleared, and that threads wait for.
// py: threading.Event
#[pyclass(frozen, weakref, subclass, dict, module = "manyhands.threading")]
pub(crate) struct Event(sync::Event<Interpreter>);

impl Event {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.0.subject()
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Event {
        Event(sync::Event::new())
    }

    fn __init__(&self) {}

    /// Whether the flag is set.
    // py: threading.Event.is_set
    fn is_set(&self) -> bool {
        self.0.is_set()
    }

    /// A deprecated synonym of is_set().
    #[pyo3(name = "isSet")]
    fn is_set_old<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let message = c"isSet() is deprecated, use is_set() instead";
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), message, 1)?;
        slf.call_method0(intern!(py, "is_set"))
    }

    /// Set the flag, and let all who wait for it go on.
    // py: threading.Event.set
    fn set(&self) {
        self.0.set();
    }

    /// Clear the flag.
    // py: threading.Event.clear
    fn clear(&self) {
        self.0.clear();
    }

    /// Wait until the flag is set, as long as it takes (timeout None) or `timeout` seconds. Returns
    /// whether it was set.
    // py: threading.Event.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        if self.0.is_set() {
            return Ok(true);
        }
        self.0.wait_with(&Outside(py), timeout::optional(timeout)?)
    }

    #[getter]
    fn _flag(&self) -> bool {
        self.0.is_set()
    }

    fn _at_fork_reinit(&self) {
        self.0.reset_waiters();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        repr(slf, if slf.get().is_set() { "set" } else { "unset" })
    }
}

// py: threading.Event.wait
short_cut!(Wait, Event, c"wait", |call| {
    let done = call.count() == 0 && call.this.get().0.is_set();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});

// py: threading.Event.set
short_cut!(Set, Event, c"set", |call| {
    call.this.get().0.set();
    Some(call.py().None().into_bound(call.py()))
});

// py: threading.Event.clear
short_cut!(Clear, Event, c"clear", |call| {
    call.this.get().0.clear();
    Some(call.py().None().into_bound(call.py()))
});

// py: threading.Event.is_set
short_cut!(IsSet, Event, c"is_set", |call| {
    let set = call.this.get().0.is_set();
    Some(PyBool::new(call.py(), set).to_owned().into_any())
});
