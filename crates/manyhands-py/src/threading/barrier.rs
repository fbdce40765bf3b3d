//! `manyhands.threading.Barrier`

use std::sync::OnceLock;

use manyhands_sync as sync;
use manyhands_sync::{BarrierError, Limit};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::exclusion::Interpreter;
use crate::gate::Outside;
use crate::made::Made;
use crate::threading::repr;
use crate::timeout;

/// A point at which `parties` threads wait for each other.
///
/// `action`, if given, is called by one of them before they go on; `timeout` (seconds) is what
/// wait() uses if it is given none.
// py: threading.Barrier
#[pyclass(frozen, weakref, subclass, dict, module = "manyhands.threading")]
pub(crate) struct Barrier {
    made: Made,
    core: sync::Barrier<Interpreter>,
    set_up: OnceLock<SetUp>,
}

/// What `__init__` was given; each None if it was given none.
struct SetUp {
    action: Option<Py<PyAny>>,
    timeout: Option<Py<PyAny>>,
}

impl Barrier {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.core.subject()
    }

    fn set_up(&self) -> Option<&SetUp> {
        self.set_up.get()
    }
}

#[pymethods]
impl Barrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(parties, action=None, timeout=None)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Barrier {
        Barrier { made: Made::new(), core: sync::Barrier::new(0), set_up: OnceLock::new() }
    }

    #[pyo3(signature = (parties, action=None, timeout=None))]
    fn __init__(
        &self,
        parties: isize,
        action: Option<Py<PyAny>>,
        timeout: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        // 3.13 and later refuse what can never be passed.
        if parties < 1 && cfg!(Py_3_13) {
            return Err(PyValueError::new_err("parties must be > 0"));
        }
        if self.set_up.set(SetUp { action, timeout }).is_err() {
            return Err(PyValueError::new_err("a Barrier can be initialised only once"));
        }
        self.core.restart(usize::try_from(parties).unwrap_or(0));
        Ok(())
    }

    /// Wait until all parties are there, as long as it takes or `timeout` seconds. Returns this
    /// thread's order of arrival, from 0. BrokenBarrierError if the timeout was reached, or another
    /// thread broke the barrier.
    // py: threading.Barrier.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let set_up = self.set_up();
        let default = set_up.and_then(|set_up| set_up.timeout.as_ref());
        let timeout = timeout.or(default.map(|timeout| timeout.bind(py)));
        // Bad values must not first enter the round.
        timeout::optional(timeout)?;
        let limit = || timeout::optional(timeout).unwrap_or(Limit::Never);
        let action = set_up.and_then(|set_up| set_up.action.as_ref());
        let action = action.map(|action| || action.call0(py).map(drop));
        self.core.wait_with(&Outside(py), limit, action).map_err(|error| match error {
            BarrierError::Broken => broken(py),
            BarrierError::GivenUp(error) | BarrierError::Action(error) => error,
        })
    }

    /// Bring the barrier back to its empty state; who waits gets BrokenBarrierError.
    // py: threading.Barrier.reset
    fn reset(&self) {
        self.core.reset();
    }

    /// Break the barrier: who waits, and who comes, gets BrokenBarrierError.
    // py: threading.Barrier.abort
    fn abort(&self) {
        self.core.abort();
    }

    /// How many threads pass together.
    // py: threading.Barrier.parties
    #[getter]
    fn parties(&self) -> usize {
        self.core.parties()
    }

    /// How many threads wait at this moment.
    // py: threading.Barrier.n_waiting
    #[getter]
    fn n_waiting(&self) -> usize {
        self.core.waiting()
    }

    /// Whether the barrier is broken.
    // py: threading.Barrier.broken
    #[getter]
    fn broken(&self) -> bool {
        self.core.is_broken()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        if core.is_broken() {
            return repr(slf, "broken");
        }
        repr(slf, format_args!("waiters={}/{}", core.waiting(), core.parties()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        if let Some(set_up) = self.set_up() {
            visit.call(&set_up.action)?;
            visit.call(&set_up.timeout)?;
        }
        Ok(())
    }
}

/// The stdlib's `threading.BrokenBarrierError`.
fn broken(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "manyhands.threading", "BrokenBarrierError") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}
