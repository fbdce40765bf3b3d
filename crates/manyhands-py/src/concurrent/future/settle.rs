//! How a future gets what its call comes to, and who is told.

use std::sync::atomic::Ordering;

use manyhands_sync::Wakes;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::state::{Inner, State};
use super::{Future, Outcome, base, is_plain, logger};
use crate::multiprocessing::Task;

/// What a [`Future::settle`] has led to.
pub(crate) enum Settled {
    /// It was done already.
    Before,
    Now,
    /// And [`Future::call_back`] has to be called, with that.
    WithCallbacks(Option<Task>),
}

impl Future {
    /// It is done, by that.
    pub(crate) fn settle(slf: &Bound<'_, Self>, outcome: Outcome<'_>) -> PyResult<Settled> {
        let mut wakes = Wakes::default();
        let settled = Self::settle_quietly(slf, outcome, &mut wakes);
        wakes.send();
        settled
    }

    /// The same; those who wait for it look when `wakes` are sent.
    fn settle_quietly(
        slf: &Bound<'_, Self>,
        outcome: Outcome<'_>,
        wakes: &mut Wakes,
    ) -> PyResult<Settled> {
        if let Outcome::Result(object) | Outcome::Exception(object) = &outcome {
            Self::holds(slf, object);
        }
        let (result, exception, state) = match outcome {
            Outcome::Result(result) => (Some(result.unbind()), None, State::Finished),
            Outcome::Exception(why) => (None, Some(why.unbind()), State::Finished),
            Outcome::Cancelled => (None, None, State::CancelledAndNotified),
        };
        let mut new = (result, exception);
        let mut has_callbacks = false;
        let mut task = None;
        let settled = Self::change_quietly(slf, wakes, |inner| {
            if inner.state.is_done() {
                return false;
            }
            inner.state = state;
            // What was there, if anything, comes to its end with these.
            std::mem::swap(&mut inner.result, &mut new.0);
            std::mem::swap(&mut inner.exception, &mut new.1);
            task = inner.task.take();
            has_callbacks = inner.callbacks.is_some();
            true
        })?;
        drop(new);
        if !settled {
            return Ok(Settled::Before);
        }
        if has_callbacks {
            return Ok(Settled::WithCallbacks(task));
        }
        if let Some(task) = task {
            task.settled();
        }
        Ok(Settled::Now)
    }

    /// Changes its state, with the condition held that others look at it under, if there is one; tells all
    /// who wait if it is done by that. `change` says whether it did.
    ///
    /// Who makes the condition later sees what was changed before.
    pub(super) fn change(
        slf: &Bound<'_, Self>,
        change: impl FnMut(&mut Inner) -> bool,
    ) -> PyResult<bool> {
        let mut wakes = Wakes::default();
        let changed = Self::change_quietly(slf, &mut wakes, change);
        wakes.send();
        changed
    }

    /// The same; those who wait in `result()` and its like look when `wakes` are sent.
    fn change_quietly(
        slf: &Bound<'_, Self>,
        wakes: &mut Wakes,
        mut change: impl FnMut(&mut Inner) -> bool,
    ) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let mut held: Option<Py<PyAny>> = None;
        let (changed, state, waiters, counted) = loop {
            let step = this.with(|inner| {
                if held.is_none()
                    && let Some(condition) = &inner.condition
                {
                    return Err(condition.clone_ref(py));
                }
                let changed = change(inner);
                let mut counted = None;
                if inner.state.is_done() {
                    this.done.store(true, Ordering::Release);
                    counted = inner.count();
                }
                let waiters = inner.waiters.as_ref().map(|list| list.clone_ref(py));
                Ok((changed, inner.state, waiters, counted))
            });
            match step {
                Ok(done) => break done,
                Err(condition) => {
                    condition.call_method0(py, intern!(py, "acquire"))?;
                    held = Some(condition);
                }
            }
        };
        drop(counted);
        let mut told = Ok(());
        if changed && state.is_done() {
            if let Some(waiters) = waiters.filter(|_| state != State::Cancelled) {
                told = this.tell(slf, waiters.bind(py));
            }
            if let Some(condition) = &held {
                let notified = condition.call_method0(py, intern!(py, "notify_all"));
                told = told.and(notified.map(drop));
            }
            this.news.tell_later(wakes);
        }
        if let Some(condition) = held {
            condition.call_method0(py, intern!(py, "release"))?;
        }
        told.map(|()| changed)
    }

    /// Tells those of whom the functions know that wait for several futures.
    fn tell(&self, slf: &Bound<'_, Self>, waiters: &Bound<'_, PyList>) -> PyResult<()> {
        let py = slf.py();
        let name = match self.with(|inner| (inner.state, inner.exception.is_some())) {
            (State::Finished, false) => intern!(py, "add_result"),
            (State::Finished, true) => intern!(py, "add_exception"),
            _ => intern!(py, "add_cancelled"),
        };
        waiters.iter().try_for_each(|waiter| waiter.call_method1(name, (slf,)).map(drop))
    }

    /// Calls what was to be called when it is done.
    pub(crate) fn call_back(slf: &Bound<'_, Self>, task: Option<Task>) -> PyResult<()> {
        let py = slf.py();
        let callbacks =
            slf.get().with(|inner| inner.callbacks.as_ref().map(|list| list.clone_ref(py)));
        let called = callbacks.map_or(Ok(()), |callbacks| {
            callbacks.bind(py).iter().try_for_each(|callback| Self::call(slf, &callback))
        });
        if let Some(task) = task {
            task.settled();
        }
        called
    }

    pub(super) fn call(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let Err(why) = callback.call1((slf,)) else { return Ok(()) };
        if !why.is_instance_of::<PyException>(py) {
            return Err(why);
        }
        let options = PyDict::new(py);
        options.set_item("exc_info", why.into_value(py))?;
        let text = "exception calling callback for %r";
        logger(py)?.call_method("error", (text, slf), Some(&options)).map(drop)
    }

    /// As [`Future::settle`], and calls back; it is an error if it was done already.
    pub(crate) fn settle_by_hand(slf: &Bound<'_, Self>, outcome: Outcome<'_>) -> PyResult<()> {
        let mut wakes = Wakes::default();
        let settled = Self::settle_and(slf, outcome, &mut wakes, || {});
        wakes.send();
        settled
    }

    /// The same, with `before_callbacks` done before them, if there are any. Those who wait for it look when
    /// `wakes` are sent, which they are here before anything else is called.
    pub(in crate::concurrent) fn settle_and(
        slf: &Bound<'_, Self>,
        outcome: Outcome<'_>,
        wakes: &mut Wakes,
        before_callbacks: impl FnOnce(),
    ) -> PyResult<()> {
        let task = slf.get().task(slf.py());
        let settled = Self::settle_quietly(slf, outcome, wakes)?;
        if task.is_some() || matches!(settled, Settled::WithCallbacks(_)) {
            std::mem::take(wakes).send();
        }
        if let Some(task) = task {
            task.nudge(slf.py());
        }
        if !matches!(settled, Settled::Before) {
            if matches!(settled, Settled::WithCallbacks(_)) {
                before_callbacks();
            }
            return Self::call_back_by_name(slf, settled, wakes);
        }
        let name = slf.get().known_state().name();
        let text = format!("{name}: {}", slf.repr()?);
        Err(PyErr::from_value(base(slf.py(), "InvalidStateError")?.call1((text,))?))
    }

    /// Has the callbacks called by the method for that, which a subclass may have of its own.
    pub(super) fn call_back_by_name(
        slf: &Bound<'_, Self>,
        settled: Settled,
        wakes: &mut Wakes,
    ) -> PyResult<()> {
        let called = if slf.get().has_callbacks() || !is_plain(slf) {
            std::mem::take(wakes).send();
            slf.call_method0(intern!(slf.py(), "_invoke_callbacks")).map(drop)
        } else {
            Ok(())
        };
        if let Settled::WithCallbacks(Some(task)) = settled {
            task.settled();
        }
        called
    }
}
