//! What is native of `concurrent.futures.ThreadPoolExecutor` itself: its `submit`.

use manyhands_sync::Protected;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::threads::Jobs;
use crate::exclusion::Interpreter;
use crate::made::Made;

type Cell<S> = <Interpreter as manyhands_sync::Exclusion>::Cell<S>;

/// The base of the class that programs see, for its `submit`.
// py: concurrent.futures.ThreadPoolExecutor
#[pyclass(frozen, subclass, module = "manyhands._native.concurrent")]
pub(crate) struct ThreadPoolExecutor {
    made: Made,
    /// None before it is initialized, and where it works as the standard library's.
    jobs: Cell<Option<Py<Jobs>>>,
}

#[pymethods]
impl ThreadPoolExecutor {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> ThreadPoolExecutor {
        ThreadPoolExecutor { made: Made::new(), jobs: Cell::new(None) }
    }

    fn __init__(&self) {}

    #[getter]
    fn _jobs(&self, py: Python<'_>) -> Option<Py<Jobs>> {
        self.jobs.with(|jobs| jobs.as_ref().map(|jobs| jobs.clone_ref(py)))
    }

    #[setter(_jobs)]
    fn set_jobs(&self, jobs: Option<Py<Jobs>>) {
        let before = self.jobs.with(|known| std::mem::replace(known, jobs));
        drop(before);
    }

    /// Have `fn(*args, **kwargs)` called by a worker; return its `Future`.
    // py: concurrent.futures.ThreadPoolExecutor.submit
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn submit<'py>(
        slf: &Bound<'py, Self>,
        r#fn: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        // The first is another matter: a worker has to be there before the executor can be shut down.
        let jobs = slf
            .get()
            ._jobs(py)
            .filter(|jobs| jobs.get().crew.workers() > 0 && !jobs.get().is_foreign());
        if let Some(jobs) = jobs {
            let jobs = jobs.get();
            if let Some(future) = jobs.call(r#fn.clone(), args.clone(), kwargs.clone())? {
                if jobs.wants_worker() {
                    slf.call_method0(intern!(py, "_adjust_thread_count"))?;
                }
                return Ok(future.into_any());
            }
        }
        slf.call_method1(intern!(py, "_submit"), (r#fn, args, kwargs))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        self.jobs.with(|jobs| visit.call(&*jobs))
    }

    fn __clear__(&self) {
        self.set_jobs(None);
    }
}
