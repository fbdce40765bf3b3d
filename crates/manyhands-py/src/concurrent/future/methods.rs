//! What Python sees of a `Future`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use manyhands_sync::{Protected, Wakes};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

use super::state::{Inner, State};
use super::{Future, Outcome, Settled};
use crate::crew::Awaited;
use crate::news::News;
use crate::tally::Tally;

/// The exception that is the value of `_exception`, or None.
fn or_none(py: Python<'_>, value: Option<&Py<PyAny>>) -> Py<PyAny> {
    value.map_or_else(|| py.None(), |value| value.clone_ref(py))
}

/// What is there, or else what was made for it; and that if it is not needed.
fn keep_first<T>(py: Python<'_>, kept: &mut Option<Py<T>>, made: Py<T>) -> (Py<T>, Option<Py<T>>) {
    match kept {
        Some(first) => (first.clone_ref(py), Some(made)),
        None => (kept.insert(made).clone_ref(py), None),
    }
}

/// While there is one, this thread holds a condition.
#[cfg(Py_GIL_DISABLED)]
struct Holding<'py>(Bound<'py, PyAny>);

#[cfg(Py_GIL_DISABLED)]
impl<'py> Holding<'py> {
    fn begin(condition: Bound<'py, PyAny>) -> PyResult<Holding<'py>> {
        condition.call_method0(pyo3::intern!(condition.py(), "acquire"))?;
        Ok(Holding(condition))
    }
}

#[cfg(Py_GIL_DISABLED)]
impl Drop for Holding<'_> {
    fn drop(&mut self) {
        if let Err(why) = self.0.call_method0(pyo3::intern!(self.0.py(), "release")) {
            why.write_unraisable(self.0.py(), Some(&self.0));
        }
    }
}

#[pymethods]
impl Future {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Future {
        Future {
            done: AtomicBool::new(false),
            news: News::new(),
            pool: AtomicU64::new(0),
            awaited: Awaited::default(),
            inner: Protected::new(Inner {
                state: State::Pending,
                result: None,
                exception: None,
                condition: None,
                waiters: None,
                callbacks: None,
                task: None,
                tally: None,
            }),
        }
    }

    fn __init__(&self) {}

    /// Cancel the call if it is not being done and has not been; return whether it is cancelled.
    // py: concurrent.futures.Future.cancel
    fn cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        Self::look(slf)?;
        let state = Self::state(slf)?;
        if state.is_done() {
            return Ok(state.is_cancelled());
        }
        if let Some(task) = this.task(py) {
            if !task.retract(py)? && !task.break_off(py)? {
                Self::state(slf)?;
                return Ok(this.known_state().is_cancelled());
            }
            let settled = Self::settle(slf, Outcome::Cancelled)?;
            task.nudge(py);
            Self::call_back_by_name(slf, settled, &mut Wakes::default())?;
            return Ok(this.known_state().is_cancelled());
        }
        if state != State::Pending {
            return Ok(false);
        }
        let cancelled = Self::change(slf, |inner| {
            let is_pending = inner.state == State::Pending;
            if is_pending {
                inner.state = State::Cancelled;
            }
            is_pending
        })?;
        if cancelled {
            Self::call_back_by_name(slf, Settled::Now, &mut Wakes::default())?;
        }
        Ok(this.known_state().is_cancelled())
    }

    /// Whether the call was cancelled.
    // py: concurrent.futures.Future.cancelled
    fn cancelled(&self) -> bool {
        self.known_state().is_cancelled()
    }

    /// Whether the call is being done.
    // py: concurrent.futures.Future.running
    fn running(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::look(slf)?;
        Ok(Self::state(slf)? == State::Running)
    }

    /// Whether the call was cancelled or has ended.
    // py: concurrent.futures.Future.done
    fn done(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::look(slf)?;
        Ok(slf.get().is_done())
    }

    /// Return the result of the call, or raise its exception; `CancelledError` if it was cancelled,
    /// `TimeoutError` if it has not ended after `timeout` seconds.
    // py: concurrent.futures.Future.result
    #[pyo3(signature = (timeout=None))]
    fn result(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let why = match Self::outcome(slf, timeout)? {
            Ok(result) => return Ok(result),
            Err(why) => why.into_bound(slf.py()),
        };
        // Ctrl-C is for all processes: a worker may have told of it before this one has come to it.
        slf.py().check_signals()?;
        Err(PyErr::from_value(why))
    }

    /// Return the exception of the call, None if it has ended without one; raises what `result` does
    /// of its own.
    // py: concurrent.futures.Future.exception
    #[pyo3(signature = (timeout=None))]
    fn exception(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let outcome = Self::outcome(slf, timeout)?;
        Ok(outcome.map_or_else(|why| why, |_| slf.py().None()))
    }

    /// Have `fn(future)` called when the call has ended or was cancelled; at once if it has, or was.
    // py: concurrent.futures.Future.add_done_callback
    #[pyo3(signature = (r#fn))]
    fn add_done_callback(slf: &Bound<'_, Self>, r#fn: Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        Self::look(slf)?;
        {
            // Who settles it finds the callback in the list, or has done so before. With a global lock nobody
            // comes between the two steps; without one the condition keeps them out.
            #[cfg(Py_GIL_DISABLED)]
            let _held = Holding::begin(Self::condition(slf)?.into_bound(py))?;
            let made = PyList::empty(py).unbind();
            let (list, not_needed) = this.with(|inner| {
                if inner.state.is_done() {
                    return (None, Some(made));
                }
                Self::attend(inner);
                let (list, not_needed) = keep_first(py, &mut inner.callbacks, made);
                (Some(list), not_needed)
            });
            drop(not_needed);
            Self::may_be_in_a_cycle(slf);
            if let Some(list) = list {
                return list.bind(py).append(&r#fn);
            }
        }
        Self::call(slf, &r#fn)
    }

    /// The call is being done now; False if it was cancelled. For executors and tests.
    // py: concurrent.futures.Future.set_running_or_notify_cancel
    fn set_running_or_notify_cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::begin(slf)
    }

    /// The call has ended, with that result. For executors and tests.
    // py: concurrent.futures.Future.set_result
    fn set_result(slf: &Bound<'_, Self>, result: Bound<'_, PyAny>) -> PyResult<()> {
        Self::settle_by_hand(slf, Outcome::Result(result))
    }

    /// The call has ended, with that exception. For executors and tests.
    // py: concurrent.futures.Future.set_exception
    fn set_exception(slf: &Bound<'_, Self>, exception: Bound<'_, PyAny>) -> PyResult<()> {
        let outcome = if exception.is_none() {
            Outcome::Result(exception)
        } else {
            Outcome::Exception(exception)
        };
        Self::settle_by_hand(slf, outcome)
    }

    /// Counts as so many calls in a tally, also if it is done.
    fn _count_in(&self, tally: Py<Tally>, items: usize) {
        tally.get().submit(items);
        let counted = self.with(|inner| {
            let before = inner.tally.replace((tally, items));
            (before, if inner.state.is_done() { inner.count() } else { None })
        });
        drop(counted);
    }

    fn _invoke_callbacks(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::call_back(slf, None)
    }

    /// The name of the state. It takes no results: programs read it with the condition held.
    #[getter(_state)]
    fn state_name(slf: &Bound<'_, Self>) -> PyResult<&'static str> {
        Ok(Self::state(slf)?.name())
    }

    #[setter(_state)]
    fn set_state_name(slf: &Bound<'_, Self>, name: &str) -> PyResult<()> {
        let found = State::ALL.into_iter().find(|state| state.name() == name);
        let state = found
            .ok_or_else(|| PyValueError::new_err(format!("a future has no state {name:?}")))?;
        Self::change(slf, |inner| {
            inner.state = state;
            true
        })?;
        slf.get().done.store(state.is_done(), Ordering::Release);
        Ok(())
    }

    #[getter(_result)]
    fn result_now(&self, py: Python<'_>) -> Py<PyAny> {
        self.with(|inner| or_none(py, inner.result.as_ref()))
    }

    #[setter(_result)]
    fn set_result_now(slf: &Bound<'_, Self>, result: Option<Py<PyAny>>) {
        Self::may_be_in_a_cycle(slf);
        let before = slf.get().with(|inner| std::mem::replace(&mut inner.result, result));
        drop(before);
    }

    #[getter(_exception)]
    fn exception_now(&self, py: Python<'_>) -> Py<PyAny> {
        self.with(|inner| or_none(py, inner.exception.as_ref()))
    }

    #[setter(_exception)]
    fn set_exception_now(slf: &Bound<'_, Self>, exception: Option<Py<PyAny>>) {
        Self::may_be_in_a_cycle(slf);
        let before = slf.get().with(|inner| std::mem::replace(&mut inner.exception, exception));
        drop(before);
    }

    /// The condition under which it changes.
    #[getter(_condition)]
    fn condition(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let (py, this) = (slf.py(), slf.get());
        let known =
            this.with(|inner| inner.condition.as_ref().map(|condition| condition.clone_ref(py)));
        if let Some(condition) = known {
            return Ok(condition);
        }
        let made = CLASS.import(py, "manyhands.threading", "Condition")?.call0()?.unbind();
        Self::may_be_in_a_cycle(slf);
        // Who waits by it is to be told.
        let (condition, not_needed) = this.with(|inner| {
            Self::attend(inner);
            keep_first(py, &mut inner.condition, made)
        });
        drop(not_needed);
        Ok(condition)
    }

    /// Whom the functions that wait for several futures want told.
    #[getter(_waiters)]
    fn waiters<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyList> {
        let py = slf.py();
        let made = PyList::empty(py).unbind();
        let (list, not_needed) = slf.get().with(|inner| {
            Self::attend(inner);
            keep_first(py, &mut inner.waiters, made)
        });
        drop(not_needed);
        Self::may_be_in_a_cycle(slf);
        list.into_bound(py)
    }

    /// What is called when it is done.
    #[getter(_done_callbacks)]
    fn done_callbacks<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyList> {
        let py = slf.py();
        let made = PyList::empty(py).unbind();
        let (list, not_needed) = slf.get().with(|inner| {
            Self::attend(inner);
            keep_first(py, &mut inner.callbacks, made)
        });
        drop(not_needed);
        Self::may_be_in_a_cycle(slf);
        list.into_bound(py)
    }

    #[getter(__dict__)]
    fn dict<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::attributes(slf)
    }

    #[setter(__dict__)]
    fn set_dict(slf: &Bound<'_, Self>, dict: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::set_attributes(slf, dict)
    }

    fn __setattr__(
        slf: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Self::set_attribute(slf, name, Some(value))
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::set_attribute(slf, name, None)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, this) = (slf.py(), slf.get());
        Self::look(slf)?;
        let state = Self::state(slf)?;
        let (result, exception) = this.with(|inner| {
            let exception = inner.exception.as_ref().map(|it| it.clone_ref(py));
            (or_none(py, inner.result.as_ref()), exception)
        });
        let class = |object: &Bound<'_, PyAny>| object.get_type().name().map(|it| it.to_string());
        let how = match (state, exception) {
            (State::Finished, Some(why)) => format!("finished raised {}", class(why.bind(py))?),
            (State::Finished, None) => format!("finished returned {}", class(result.bind(py))?),
            (State::Pending, _) => "pending".to_owned(),
            (State::Running, _) => "running".to_owned(),
            (State::Cancelled | State::CancelledAndNotified, _) => "cancelled".to_owned(),
        };
        Ok(format!("<{} at {:#x} state={how}>", class(slf.as_any())?, slf.as_ptr() as usize))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.with(|inner| inner.held(|object| visit.call(object)))
    }

    fn __clear__(&self) {
        let dropped = self.with(|inner| {
            (
                inner.result.take(),
                inner.exception.take(),
                inner.condition.take(),
                inner.waiters.take(),
                inner.callbacks.take(),
                inner.task.take(),
            )
        });
        drop(dropped);
    }
}
