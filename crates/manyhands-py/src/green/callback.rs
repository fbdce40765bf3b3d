//! `manyhands.gevent.core.callback`: something that a hub is to call once.

use manyhands_sync::{Exclusion, Protected};
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::exclusion::Interpreter;

type Call = (Py<PyAny>, Py<PyTuple>);

/// A call that a loop makes at its next turn, unless it is stopped before.
// py: gevent._ffi.callback.callback
#[pyclass(frozen, weakref, name = "callback", module = "manyhands.gevent.core")]
pub(super) struct Callback {
    call: <Interpreter as Exclusion>::Cell<Option<Call>>,
}

impl Callback {
    pub(super) fn new(callable: Bound<'_, PyAny>, arguments: Bound<'_, PyTuple>) -> Self {
        Callback { call: Protected::new(Some((callable.unbind(), arguments.unbind()))) }
    }

    /// What is to be called; afterwards it is nothing.
    pub(super) fn take<'py>(
        &self,
        py: Python<'py>,
    ) -> Option<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (callable, arguments) = self.call.with(Option::take)?;
        Some((callable.into_bound(py), arguments.into_bound(py)))
    }

    fn parts(&self, py: Python<'_>) -> Option<Call> {
        self.call.with(|call| {
            call.as_ref().map(|(callable, args)| (callable.clone_ref(py), args.clone_ref(py)))
        })
    }
}

#[pymethods]
impl Callback {
    #[new]
    fn __new__(callback: Bound<'_, PyAny>, args: Bound<'_, PyAny>) -> PyResult<Self> {
        if !callback.is_callable() {
            return Err(PyTypeError::new_err(format!("Expected callable, got {callback:?}")));
        }
        if args.is_none() {
            return Ok(Callback { call: Protected::new(None) });
        }
        Ok(Callback::new(callback, args.cast_into::<PyTuple>()?))
    }

    /// Take it back, if it has not been called yet.
    fn stop(&self, py: Python<'_>) {
        drop(self.take(py));
    }

    /// As stop().
    fn close(&self, py: Python<'_>) {
        drop(self.take(py));
    }

    /// What is to be called; None when it was, or was stopped.
    #[getter]
    fn callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.parts(py).map(|(callable, _)| callable)
    }

    #[setter]
    fn set_callback(&self, py: Python<'_>, callback: Option<Py<PyAny>>) {
        let Some(callback) = callback else { return drop(self.take(py)) };
        let arguments = self.parts(py).map_or_else(|| PyTuple::empty(py).unbind(), |(_, it)| it);
        drop(self.call.with(|call| call.replace((callback, arguments))));
    }

    /// With which arguments; None when it was called, or stopped.
    #[getter]
    fn args(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.parts(py).map(|(_, arguments)| arguments)
    }

    #[setter]
    fn set_args(&self, py: Python<'_>, args: Option<Py<PyTuple>>) {
        match (args, self.parts(py)) {
            (Some(args), Some((callable, _))) => {
                drop(self.call.with(|call| call.replace((callable, args))));
            }
            _ => drop(self.take(py)),
        }
    }

    /// Whether it is still to be called.
    #[getter]
    fn pending(&self) -> bool {
        self.call.with(|call| call.is_some())
    }

    fn __bool__(&self) -> bool {
        self.pending()
    }

    fn __repr__(this: &Bound<'_, Self>) -> PyResult<String> {
        let address = this.as_ptr() as usize;
        let Some((callable, arguments)) = this.get().parts(this.py()) else {
            return Ok(format!("<callback at {address:#x} stopped>"));
        };
        let py = this.py();
        let (callable, arguments) = (callable.into_bound(py), arguments.into_bound(py));
        Ok(format!("<callback at {address:#x} pending callback={callable:?} args={arguments:?}>"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.call.with(|call| match call {
            Some((callable, arguments)) => {
                visit.call(&*callable)?;
                visit.call(&*arguments)
            }
            None => Ok(()),
        })
    }

    fn __clear__(&self) {
        drop(self.call.with(Option::take));
    }
}
