//! What is native of `ThreadPoolExecutor` and `ProcessPoolExecutor` of `concurrent.futures` themselves: their
//! `submit`.

use manyhands_sync::Protected;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::threads::Jobs;
use crate::exclusion::Interpreter;
use crate::fast::{self, short_cut};
use crate::made::Made;
use crate::multiprocessing::{Repeats, Scheduler};

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
        let (again, again_args, again_kwargs) = (r#fn.clone(), args.clone(), kwargs.clone());
        if let Some(future) = Self::submit_to_workers(slf, r#fn, args, kwargs)? {
            return Ok(future);
        }
        let all = (again, again_args, again_kwargs);
        slf.call_method1(intern!(slf.py(), "_submit"), all)
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

impl ThreadPoolExecutor {
    /// Has a call made if it is just one more for workers that are there; returns its future.
    fn submit_to_workers<'py>(
        slf: &Bound<'py, Self>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let Some(jobs) = slf.get()._jobs(py).map(|jobs| jobs.into_bound(py)) else {
            return Ok(None);
        };
        let jobs = jobs.get();
        // The first is another matter: a worker has to be there before the executor can be shut down.
        if jobs.crew.workers() == 0 || jobs.is_foreign() {
            return Ok(None);
        }
        let Some(future) = jobs.call(function, args, kwargs)? else { return Ok(None) };
        if jobs.wants_worker() {
            slf.call_method0(intern!(py, "_adjust_thread_count"))?;
        }
        Ok(Some(future.into_any()))
    }
}

/// The base of the class that programs see, for its `submit`.
// py: concurrent.futures.ProcessPoolExecutor
#[pyclass(frozen, subclass, module = "manyhands._native.concurrent")]
pub(crate) struct ProcessPoolExecutor {
    made: Made,
    complete: Cell<Option<Complete>>,
}

/// The workers of an executor that has as many as it may.
struct Complete {
    pool: Py<PyAny>,
    scheduler: Py<Scheduler>,
}

#[pymethods]
impl ProcessPoolExecutor {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> ProcessPoolExecutor {
        ProcessPoolExecutor { made: Made::new(), complete: Cell::new(None) }
    }

    fn __init__(&self) {}

    /// That pool has as many workers as it may, and takes calls without options; None if `_submit` is to look
    /// after all.
    #[pyo3(signature = (pool=None))]
    fn _set_complete(&self, pool: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let complete = match pool {
            Some(pool) => {
                let scheduler = pool.getattr(intern!(pool.py(), "_scheduler"))?;
                let scheduler = scheduler.cast_into::<Scheduler>()?.unbind();
                Some(Complete { pool: pool.unbind(), scheduler })
            }
            None => None,
        };
        let before = self.complete.with(|known| std::mem::replace(known, complete));
        drop(before);
        Ok(())
    }

    /// Have `fn(*args, **kwargs)` called by a worker; return its `Future`.
    // py: concurrent.futures.ProcessPoolExecutor.submit
    #[pyo3(signature = (r#fn, /, *args, **kwargs))]
    fn submit<'py>(
        slf: &Bound<'py, Self>,
        r#fn: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::submit_with(slf, r#fn, args, kwargs, None)
    }

    /// The same for a call of a map, with what the calls before had.
    fn _submit_of_map<'py>(
        slf: &Bound<'py, Self>,
        r#fn: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        repeats: &Bound<'py, Repeats>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::submit_with(slf, r#fn, args, None, Some(repeats))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        self.complete.with(|complete| {
            let Some(Complete { pool, scheduler }) = complete else { return Ok(()) };
            visit.call(&*pool)?;
            visit.call(&*scheduler)
        })
    }

    fn __clear__(&self) {
        drop(self.complete.with(Option::take));
    }
}

impl ProcessPoolExecutor {
    fn submit_with<'py>(
        slf: &Bound<'py, Self>,
        function: Bound<'py, PyAny>,
        args: Bound<'py, PyTuple>,
        kwargs: Option<Bound<'py, PyDict>>,
        repeats: Option<&Bound<'py, Repeats>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let complete = slf.get().complete.with(|complete| {
            let Complete { pool, scheduler } = complete.as_ref()?;
            Some((pool.clone_ref(py), scheduler.clone_ref(py)))
        });
        if let Some((pool, scheduler)) = complete
            && scheduler.get().is_running()
        {
            let (scheduler, pool) = (scheduler.bind(py), pool.into_bound(py));
            let (args, repeats) = (args.into_any(), repeats.map(Bound::get));
            return Scheduler::submit_future(
                scheduler, pool, function, args, kwargs, None, repeats,
            )
            .map(Bound::into_any);
        }
        slf.call_method1(intern!(py, "_submit"), (function, args, kwargs, repeats))
    }
}

// py: concurrent.futures.ThreadPoolExecutor.submit
short_cut!(SubmitToThread, ThreadPoolExecutor, c"submit", |call| {
    let submitted = call.first_and_others()?.and_then(|(function, args)| {
        ThreadPoolExecutor::submit_to_workers(&call.this, function, args, None)
    });
    submitted.transpose()
});

// py: concurrent.futures.ProcessPoolExecutor.submit
short_cut!(SubmitToProcess, ProcessPoolExecutor, c"submit", |call| {
    match call.first_and_others()? {
        // For what is dropped on the way.
        Ok((function, args)) => Python::try_attach(|_| {
            ProcessPoolExecutor::submit_with(&call.this, function, args, None, None)
        }),
        Err(why) => Some(Err(why)),
    }
});

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ProcessPoolExecutor>()?;
    module.add_class::<ThreadPoolExecutor>()?;
    fast::install::<SubmitToProcess>(module.py())?;
    fast::install::<SubmitToThread>(module.py())
}
