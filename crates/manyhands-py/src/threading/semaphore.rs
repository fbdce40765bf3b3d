//! `manyhands.threading.Semaphore`, `manyhands.threading.BoundedSemaphore`

use manyhands_sync as sync;
use manyhands_sync::Limit;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::Outside;
use crate::threading::repr;
use crate::timeout::{self, Flag};

/// A counter that acquire() takes one from, waiting while there is none, and release() adds to.
///
/// `value` is what it starts with; ValueError if that is negative.
// py: threading.Semaphore
#[pyclass(frozen, weakref, subclass, dict, module = "manyhands.threading")]
pub(crate) struct Semaphore(sync::Semaphore<Interpreter>);

impl Semaphore {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.0.subject()
    }

    fn start(&self, value: isize, bounded: bool) -> PyResult<()> {
        let value = usize::try_from(value)
            .map_err(|_| PyValueError::new_err("semaphore initial value must be >= 0"))?;
        self.0.reset(value, bounded);
        Ok(())
    }

    fn give(&self, count: usize) -> PyResult<()> {
        self.0.release(count).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Semaphore {
        Semaphore(sync::Semaphore::new(1))
    }

    #[pyo3(signature = (value=1))]
    fn __init__(&self, value: isize) -> PyResult<()> {
        self.start(value, false)
    }

    /// Take one: at once, or by waiting as long as it takes (timeout None) or `timeout` seconds.
    /// Returns whether one was taken.
    // py: threading.Semaphore.acquire
    #[pyo3(signature = (blocking=Flag(true), timeout=None), text_signature = "($self, blocking=True, timeout=None)")]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Flag,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let Flag(blocking) = blocking;
        if !blocking && timeout.is_some() {
            return Err(PyValueError::new_err("can't specify timeout for non-blocking acquire"));
        }
        if self.0.try_acquire() {
            return Ok(true);
        }
        let limit = if blocking { timeout::optional(timeout)? } else { Limit::Never };
        self.0.acquire_with(&Outside(py), limit)
    }

    /// Add `n`, so that up to so many waiting threads go on; ValueError if it is less than 1.
    // py: threading.Semaphore.release
    #[pyo3(signature = (n=1))]
    fn release(&self, n: isize) -> PyResult<()> {
        match usize::try_from(n) {
            Ok(count) if count > 0 => self.give(count),
            _ => Err(PyValueError::new_err("n must be one or more")),
        }
    }

    #[getter]
    fn _value(&self) -> usize {
        self.0.value()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.acquire_with(&Outside(py), Limit::Forever)
    }

    #[pyo3(signature = (_type=None, _value=None, _traceback=None))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _type: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (py, class) = (slf.py(), slf.get_type());
        if class.is(py.get_type::<Semaphore>()) || class.is(py.get_type::<BoundedSemaphore>()) {
            return slf.get().give(1);
        }
        // A subclass may have overridden it.
        slf.call_method0(intern!(py, "release")).map(drop)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().0;
        match core.bound() {
            None => repr(slf, format_args!("value={}", core.value())),
            Some(bound) => repr(slf, format_args!("value={}/{bound}", core.value())),
        }
    }
}

/// A semaphore whose release() raises ValueError when the counter would exceed its first value.
// py: threading.BoundedSemaphore
#[pyclass(frozen, extends = Semaphore, subclass, module = "manyhands.threading")]
pub(crate) struct BoundedSemaphore;

#[pymethods]
impl BoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<BoundedSemaphore> {
        let base = Semaphore(sync::Semaphore::bounded(1));
        PyClassInitializer::from(base).add_subclass(BoundedSemaphore)
    }

    #[pyo3(signature = (value=1))]
    fn __init__(slf: &Bound<'_, Self>, value: isize) -> PyResult<()> {
        slf.as_super().get().start(value, true)
    }
}

// py: threading.Semaphore.acquire
short_cut!(Acquire, Semaphore, c"acquire", |call| {
    let done = call.count() == 0 && call.this.get().0.try_acquire();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});

// py: threading.Semaphore.release
short_cut!(Release, Semaphore, c"release", |call| {
    let done = call.count() == 0 && call.this.get().0.release(1).is_ok();
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.Semaphore.__exit__
short_cut!(Exit, Semaphore, c"__exit__", |call| {
    let exact = call.this.get_type().is(call.py().get_type::<Semaphore>());
    let done = exact && call.count() == 3 && call.this.get().0.release(1).is_ok();
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.Semaphore.__enter__
short_cut!(Enter, Semaphore, c"__enter__", |call| {
    let done = call.this.get().0.try_acquire();
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});
