//! `multiprocessing.pool.ApplyResult` and `MapResult`

use std::sync::atomic::{AtomicBool, Ordering};

use manyhands_sync::{Limit, Protected};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType};

use super::source::Source;
use crate::crew::Awaited;
use crate::exclusion::Interpreter;
use crate::news::News;
use crate::tally::Tally;
use crate::timeout;

type Cell<S> = <Interpreter as manyhands_sync::Exclusion>::Cell<S>;

/// What a call that was submitted to a pool comes to.
// py: multiprocessing.pool.ApplyResult
#[pyclass(frozen, subclass, weakref, generic, module = "manyhands.multiprocessing.pool")]
pub(crate) struct ApplyResult {
    source: Source,
    ready: AtomicBool,
    /// Whether a worker has begun it; of threads, and of single calls.
    begun: AtomicBool,
    /// By workers of its pool of threads.
    pub(super) awaited: Awaited,
    /// That it is ready, where threads bring it about.
    news: News,
    /// How many calls there are.
    items: usize,
    /// Who shows how far it is counts by that, too.
    tally: Option<Py<Tally>>,
    state: Cell<State>,
}

/// What the calls of a map come to.
// py: multiprocessing.pool.MapResult
#[pyclass(frozen, extends = ApplyResult, module = "manyhands.multiprocessing.pool")]
pub(crate) struct MapResult;

struct State {
    succeeded: bool,
    /// The result, or the exception; for a map the list that results are put into.
    value: Option<Py<PyAny>>,
    /// How many tasks have no outcome yet.
    left: usize,
    /// How many items a task has; 0 if it is a single call.
    chunk: usize,
    /// Until it is ready, so that the pool lives on.
    pool: Option<Py<PyAny>>,
    function: Option<Py<PyAny>>,
    callback: Option<Py<PyAny>>,
    error_callback: Option<Py<PyAny>>,
}

/// What a result is for.
pub(super) struct Purpose<'py> {
    pool: Bound<'py, PyAny>,
    function: Bound<'py, PyAny>,
    callback: Option<Bound<'py, PyAny>>,
    error_callback: Option<Bound<'py, PyAny>>,
}

impl<'py> Purpose<'py> {
    /// A callback that is false is none.
    pub(super) fn new(
        pool: Bound<'py, PyAny>,
        function: Bound<'py, PyAny>,
        callback: Option<Bound<'py, PyAny>>,
        error_callback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Purpose<'py>> {
        let given = |callback: Option<Bound<'py, PyAny>>| match callback {
            Some(callback) if callback.is_truthy()? => Ok::<_, PyErr>(Some(callback)),
            _ => Ok(None),
        };
        let (callback, error_callback) = (given(callback)?, given(error_callback)?);
        Ok(Purpose { pool, function, callback, error_callback })
    }
}

impl ApplyResult {
    pub(super) fn of_call(source: Source, purpose: Purpose<'_>) -> ApplyResult {
        ApplyResult::new(source, purpose, None, (1, 1, 0), None)
    }

    /// That of so many tasks with so many items each.
    pub(super) fn of_map(
        source: Source,
        purpose: Purpose<'_>,
        results: &Bound<'_, PyList>,
        tasks: usize,
        chunk: usize,
        tally: Option<Py<Tally>>,
    ) -> ApplyResult {
        let items = results.len();
        let results = Some(results.clone().into_any().unbind());
        ApplyResult::new(source, purpose, results, (items, tasks, chunk), tally)
    }

    fn new(
        source: Source,
        purpose: Purpose<'_>,
        value: Option<Py<PyAny>>,
        (items, left, chunk): (usize, usize, usize),
        tally: Option<Py<Tally>>,
    ) -> ApplyResult {
        if left > 0 {
            source.tally().submit(items);
        }
        ApplyResult {
            source,
            ready: AtomicBool::new(left == 0),
            begun: AtomicBool::new(false),
            awaited: Awaited::default(),
            news: News::new(),
            items,
            tally,
            state: Cell::new(State {
                succeeded: true,
                value,
                left,
                chunk,
                pool: (left > 0).then(|| purpose.pool.unbind()),
                function: Some(purpose.function.unbind()),
                callback: purpose.callback.map(Bound::unbind),
                error_callback: purpose.error_callback.map(Bound::unbind),
            }),
        }
    }

    /// Looks at how far it is, or changes that: nothing that could run Python code, so what is taken out is
    /// to be returned and dropped afterwards.
    #[inline]
    fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(body)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(super) fn function(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(|state| state.function.as_ref().map(|function| function.clone_ref(py)))
    }

    /// Whether somebody is to be called when it is ready.
    pub(super) fn has_callbacks(&self) -> bool {
        self.with(|state| state.callback.is_some() || state.error_callback.is_some())
    }

    /// The outcome of one of its tasks; true if it was the last, and no callback has to be called
    /// before it is ready.
    pub(super) fn deliver(
        &self,
        py: Python<'_>,
        index: usize,
        outcome: Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
    ) -> Delivered {
        let chunk = self.with(|state| state.chunk);
        self.count(index, chunk, outcome.is_ok());
        let succeeded = outcome.is_ok();
        let value = match outcome {
            Ok(items) if chunk > 0 => {
                let list = self.with(|state| {
                    let list = state.value.as_ref().filter(|_| state.succeeded);
                    list.map(|list| list.clone_ref(py))
                });
                if let Some(list) = list {
                    put_slice(list.bind(py), index * chunk, &items);
                }
                None
            }
            Ok(value) | Err(value) => Some(value.unbind()),
        };
        let (delivered, dropped) = self.with(|state| {
            // The first that goes wrong is what it comes to.
            let dropped = match value {
                Some(value) if state.succeeded => {
                    state.succeeded = succeeded;
                    state.value.replace(value)
                }
                not_needed => not_needed,
            };
            state.left = state.left.saturating_sub(1);
            let callback = if state.succeeded { &state.callback } else { &state.error_callback };
            let delivered = if state.left > 0 {
                Delivered::More
            } else if callback.is_some() {
                Delivered::CallBack
            } else {
                let awaited = state.callback.is_some() || state.error_callback.is_some();
                Delivered::Ready { awaited }
            };
            (delivered, dropped)
        });
        drop(dropped);
        if matches!(delivered, Delivered::Ready { .. }) {
            self.set_ready();
        }
        delivered
    }

    /// A task of so many items has ended.
    fn count(&self, index: usize, chunk: usize, well: bool) {
        let items =
            if chunk == 0 { 1 } else { chunk.min(self.items.saturating_sub(index * chunk)) };
        self.source.tally().settle(items, well);
        if let Some(tally) = &self.tally {
            tally.get().settle(items, well);
        }
    }

    /// The callback that is to be called, and with what.
    pub(super) fn callback(&self, py: Python<'_>) -> Option<(Py<PyAny>, Py<PyAny>)> {
        self.with(|state| {
            let callback = if state.succeeded { &state.callback } else { &state.error_callback };
            Some((callback.as_ref()?.clone_ref(py), state.value.as_ref()?.clone_ref(py)))
        })
    }

    pub(super) fn set_ready(&self) {
        let dropped = self.with(|state| {
            self.ready.store(true, Ordering::Release);
            (
                state.pool.take(),
                state.function.take(),
                state.callback.take(),
                state.error_callback.take(),
            )
        });
        drop(dropped);
        self.news.tell();
    }

    /// Waits until it is ready, at most until the limit.
    fn advance(slf: &Bound<'_, Self>, limit: Limit) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let presses = !this.begun.load(Ordering::Relaxed);
        let awaited = (slf.as_any(), Some(&this.awaited), presses);
        this.source.advance(py, &this.news, limit, &|| this.is_ready(), awaited).map(drop)
    }

    /// A worker thread has begun its only task.
    pub(super) fn set_begun(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }
}

/// What a delivery has led to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Others are to come.
    More,
    /// A callback has to be called before it is ready.
    CallBack,
    /// It is ready, with a callback or without.
    Ready { awaited: bool },
}

/// Puts the items of a list into another one, from an index on.
fn put_slice(list: &Bound<'_, PyAny>, from: usize, items: &Bound<'_, PyAny>) {
    if let (Ok(list), Ok(items)) = (list.cast::<PyList>(), items.cast::<PyList>()) {
        // The list is as long as it has to be, unless the function's results are not one for each item.
        let _ = list.set_slice(from, from + items.len(), items);
    }
}

/// The exception of a wait that has lasted as long as it may.
pub(super) fn timed_out(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "multiprocessing.context", "TimeoutError") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

#[pymethods]
impl ApplyResult {
    /// Whether the call has ended.
    // py: multiprocessing.pool.AsyncResult.ready
    fn ready(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let this = slf.get();
        if !this.is_ready() {
            Self::advance(slf, Limit::Never)?;
        }
        Ok(this.is_ready())
    }

    /// Whether it has ended without an exception; ValueError if it has not ended.
    // py: multiprocessing.pool.AsyncResult.successful
    fn successful(slf: &Bound<'_, Self>) -> PyResult<bool> {
        if !Self::ready(slf)? {
            return Err(PyValueError::new_err(format!("{} not ready", slf.repr()?)));
        }
        Ok(slf.get().with(|state| state.succeeded))
    }

    /// Wait for the end of the call, at most `timeout` seconds.
    // py: multiprocessing.pool.AsyncResult.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let this = slf.get();
        let limit = timeout::optional(timeout)?;
        if !this.is_ready() {
            Self::advance(slf, limit)?;
        }
        Ok(())
    }

    /// Return the result of the call, or raise its exception; `multiprocessing.TimeoutError` if it has
    /// not ended after `timeout` seconds.
    // py: multiprocessing.pool.AsyncResult.get
    #[pyo3(signature = (timeout=None))]
    fn get(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        Self::wait(slf, timeout)?;
        if !this.is_ready() {
            return Err(timed_out(py));
        }
        let (value, succeeded) = this.with(|state| {
            let value = state.value.as_ref().map_or_else(|| py.None(), |value| value.clone_ref(py));
            (value, state.succeeded)
        });
        if succeeded {
            return Ok(value);
        }
        // Ctrl-C is for all processes: a worker may have told of it before this one has come to it.
        py.check_signals()?;
        Err(PyErr::from_value(value.into_bound(py)))
    }

    /// How many tasks have no outcome yet; programs show by it how far a map is.
    // py: multiprocessing.pool.MapResult._number_left
    #[getter]
    fn _number_left(slf: &Bound<'_, Self>) -> PyResult<usize> {
        Self::ready(slf)?;
        Ok(slf.get().with(|state| state.left))
    }

    /// How many items a task has.
    // py: multiprocessing.pool.MapResult._chunksize
    #[getter]
    fn _chunksize(&self) -> usize {
        self.with(|state| state.chunk)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.source.held())?;
        self.with(|state| {
            for held in [&state.value, &state.callback, &state.error_callback] {
                visit.call(held)?;
            }
            // What processes will bring about is known to the scheduler, where the collector does not look:
            // it can do nothing about what there is until then.
            if let Source::Threads(_) = self.source {
                visit.call(&state.pool)?;
                visit.call(&state.function)?;
            }
            Ok(())
        })
    }

    fn __clear__(&self) {
        let dropped = self.with(|state| {
            (
                state.value.take(),
                state.pool.take(),
                state.function.take(),
                state.callback.take(),
                state.error_callback.take(),
            )
        });
        drop(dropped);
    }
}
