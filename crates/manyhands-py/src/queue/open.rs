//! A queue whose insides are in use: the stdlib's way, with a mutex, three conditions and a
//! container that Python code can reach.
//!
//! A queue of ours becomes open when somebody asks for one of these, or from the start if its class
//! overrides one of the hooks `_init`, `_qsize`, `_put`, `_get`. From then on every operation takes
//! the mutex and calls the hooks, as subclasses and callers expect of the stdlib's.

use manyhands_sync::{Limit, Protected};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::exclusion::Interpreter;
use crate::queue::Failure;
use crate::threading::{Condition, Lock};

type Cell<S> = <Interpreter as manyhands_sync::Exclusion>::Cell<S>;

/// The insides.
pub(super) struct Open {
    pub(super) mutex: Py<Lock>,
    pub(super) not_empty: Py<Condition>,
    pub(super) not_full: Py<Condition>,
    pub(super) all_tasks_done: Py<Condition>,
    state: Cell<State>,
}

struct State {
    /// The attribute `queue`; none until `_init` or somebody else sets it.
    container: Option<Py<PyAny>>,
    unfinished: isize,
    shut_down: bool,
}

/// The mutex, held.
struct Held<'a>(&'a Lock);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A hook may have released it already; that is the hook's affair.
        let _ = self.0.core().release();
    }
}

impl Open {
    pub(super) fn new(
        py: Python<'_>,
        container: Option<Py<PyAny>>,
        unfinished: usize,
        shut_down: bool,
    ) -> PyResult<Open> {
        let mutex = Py::new(py, Lock::new())?;
        let condition = || Py::new(py, Condition::with_lock(mutex.clone_ref(py)));
        let unfinished = isize::try_from(unfinished).unwrap_or(isize::MAX);
        Ok(Open {
            not_empty: condition()?,
            not_full: condition()?,
            all_tasks_done: condition()?,
            mutex,
            state: Cell::new(State { container, unfinished, shut_down }),
        })
    }

    pub(super) fn container(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(|state| state.container.as_ref().map(|container| container.clone_ref(py)))
    }

    pub(super) fn set_container(&self, container: Option<Py<PyAny>>) {
        let old = self.state.with(|state| std::mem::replace(&mut state.container, container));
        drop(old);
    }

    pub(super) fn unfinished(&self) -> isize {
        self.state.with(|state| state.unfinished)
    }

    pub(super) fn set_unfinished(&self, unfinished: isize) {
        self.state.with(|state| state.unfinished = unfinished);
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.state.with(|state| state.shut_down)
    }

    pub(super) fn set_shut_down(&self, shut_down: bool) {
        self.state.with(|state| state.shut_down = shut_down);
    }

    fn hold(&self, py: Python<'_>) -> PyResult<Held<'_>> {
        let mutex = self.mutex.get();
        mutex.acquire_within(py, Limit::Forever)?;
        Ok(Held(mutex))
    }

    /// Waits for a notice of `condition`; false if the limit was reached before that.
    fn wait(py: Python<'_>, condition: &Py<Condition>, limit: Limit) -> PyResult<bool> {
        match limit {
            Limit::Never => return Ok(false),
            Limit::Until(deadline) if deadline.has_passed() => return Ok(false),
            _ => {}
        }
        condition.get().wait_within(py, limit)?;
        Ok(true)
    }

    fn size(queue: &Bound<'_, PyAny>) -> PyResult<isize> {
        queue.call_method0(intern!(queue.py(), "_qsize"))?.extract()
    }

    pub(super) fn qsize(&self, queue: &Bound<'_, PyAny>) -> PyResult<isize> {
        let _held = self.hold(queue.py())?;
        Open::size(queue)
    }

    pub(super) fn put(
        &self,
        queue: &Bound<'_, PyAny>,
        item: Py<PyAny>,
        maxsize: impl Fn() -> usize,
        limit: Limit,
    ) -> PyResult<()> {
        let py = queue.py();
        let held = self.hold(py)?;
        loop {
            if self.is_shut_down() {
                return Err(Failure::ShutDown.raise(py));
            }
            let maxsize = maxsize();
            if maxsize == 0 || Open::size(queue)?.cast_unsigned() < maxsize {
                break;
            }
            if !Open::wait(py, &self.not_full, limit)? {
                return Err(Failure::Full.raise(py));
            }
        }
        queue.call_method1(intern!(py, "_put"), (item,))?;
        self.state.with(|state| state.unfinished += 1);
        self.not_empty.get().notify_some(1);
        drop(held);
        Ok(())
    }

    pub(super) fn get<'py>(
        &self,
        queue: &Bound<'py, PyAny>,
        limit: Limit,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = queue.py();
        let _held = self.hold(py)?;
        while Open::size(queue)? <= 0 {
            if self.is_shut_down() {
                return Err(Failure::ShutDown.raise(py));
            }
            if !Open::wait(py, &self.not_empty, limit)? {
                return Err(Failure::Empty.raise(py));
            }
        }
        let item = queue.call_method0(intern!(py, "_get"))?;
        self.not_full.get().notify_some(1);
        Ok(item)
    }

    pub(super) fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        let _held = self.hold(py)?;
        let unfinished = self.unfinished() - 1;
        if unfinished < 0 {
            return Err(PyValueError::new_err("task_done() called too many times"));
        }
        if unfinished == 0 {
            self.all_tasks_done.get().notify_some(usize::MAX);
        }
        self.set_unfinished(unfinished);
        Ok(())
    }

    pub(super) fn join(&self, py: Python<'_>) -> PyResult<()> {
        let _held = self.hold(py)?;
        while self.unfinished() != 0 {
            Open::wait(py, &self.all_tasks_done, Limit::Forever)?;
        }
        Ok(())
    }

    pub(super) fn shut_down(&self, queue: &Bound<'_, PyAny>, immediate: bool) -> PyResult<()> {
        let py = queue.py();
        let _held = self.hold(py)?;
        self.set_shut_down(true);
        if immediate {
            while Open::size(queue)? > 0 {
                queue.call_method0(intern!(py, "_get"))?;
                let unfinished = self.unfinished();
                self.set_unfinished((unfinished - 1).max(0));
            }
            self.all_tasks_done.get().notify_some(usize::MAX);
        }
        self.not_empty.get().notify_some(usize::MAX);
        self.not_full.get().notify_some(usize::MAX);
        Ok(())
    }

    pub(super) fn traverse(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.mutex)?;
        visit.call(&self.not_empty)?;
        visit.call(&self.not_full)?;
        visit.call(&self.all_tasks_done)?;
        self.state.with(|state| visit.call(&state.container))
    }
}
