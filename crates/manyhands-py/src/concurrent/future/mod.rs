//! `concurrent.futures.Future`

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use manyhands_sync::{Limit, Protected, Wakes};
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::type_object::PyTypeInfo;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

use self::state::{Inner, State};
use crate::crew::{Awaited, Blocked};
use crate::exclusion::Interpreter;
use crate::fast::{self, short_cut};
use crate::multiprocessing::Task;
use crate::news::News;
use crate::timeout;

mod collected;
mod methods;
mod state;

type Cell<S> = <Interpreter as manyhands_sync::Exclusion>::Cell<S>;

/// What a call comes to; the base of the class that programs see.
// py: concurrent.futures.Future
#[pyclass(frozen, subclass, module = "manyhands._native.concurrent")]
pub(crate) struct Future {
    done: AtomicBool,
    /// That it is done.
    news: News,
    /// The number of the pool of threads whose call it is of; 0 for none.
    pool: AtomicU64,
    /// By workers of that pool.
    pub(super) awaited: Awaited,
    inner: Cell<Inner>,
}

/// What becomes of a future.
pub(crate) enum Outcome<'py> {
    Result(Bound<'py, PyAny>),
    Exception(Bound<'py, PyAny>),
    Cancelled,
}

/// What a [`Future::settle`] has led to.
pub(crate) enum Settled {
    /// It was done already.
    Before,
    Now,
    /// And [`Future::call_back`] has to be called, with that.
    WithCallbacks(Option<Task>),
}

impl Future {
    /// A new one, of the class that programs get.
    pub(crate) fn create(py: Python<'_>) -> PyResult<Bound<'_, Future>> {
        let class = class(py)?;
        #[expect(unsafe_code, reason = "the interpreter's way without what is not needed")]
        // SAFETY: both are classes, and this thread has the interpreter. What makes an object gets a class
        // that is below its own, and no arguments; it gives a new object of that class, or an error.
        let made = unsafe {
            let (of, native) = (class.as_type_ptr(), Future::type_object_raw(py));
            let address = |init: Option<ffi::initproc>| init.map(|init| init as usize);
            match (*of).tp_new {
                // Our own `__init__` has nothing to do; the program may have put another in its place.
                Some(new) if address((*of).tp_init) == address((*native).tp_init) => {
                    let none = PyTuple::empty(py);
                    Bound::from_owned_ptr_or_err(py, new(of, none.as_ptr(), std::ptr::null_mut()))?
                }
                _ => class.call0()?,
            }
        };
        let made = made.cast_into::<Future>()?;
        Self::begin_out_of_cycles(&made);
        Ok(made)
    }

    /// Looks at what is known of the call, or changes it: nothing that could run Python code, so what is
    /// taken out is to be returned and dropped afterwards.
    #[inline]
    fn with<R>(&self, body: impl FnOnce(&mut Inner) -> R) -> R {
        self.inner.with(body)
    }

    fn known_state(&self) -> State {
        self.with(|inner| inner.state)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// The number of the pool of threads whose call it is of.
    pub(super) fn pool(&self) -> u64 {
        self.pool.load(Ordering::Relaxed)
    }

    /// It is of a call of that pool.
    pub(super) fn belong_to(&self, pool: u64) {
        self.pool.store(pool, Ordering::Relaxed);
    }

    /// Whether nobody has begun the call.
    pub(super) fn is_pending(&self) -> bool {
        self.known_state() == State::Pending
    }

    /// Whether somebody is to be called when it is done.
    pub(crate) fn has_callbacks(&self) -> bool {
        self.with(|inner| inner.callbacks.is_some())
    }

    /// A task that was submitted will bring it about, or has.
    pub(crate) fn expect(&self, task: Task) {
        let not_needed =
            self.with(
                |inner| {
                    if inner.state.is_done() { Some(task) } else { inner.task.replace(task) }
                },
            );
        drop(not_needed);
    }

    /// The task that will bring it about, if it is one of another process.
    pub(crate) fn task(&self, py: Python<'_>) -> Option<Task> {
        self.with(|inner| inner.task.as_ref().map(|task| task.clone_ref(py)))
    }

    /// It is being done now; false if it was cancelled, of which all are told who wait.
    pub(crate) fn begin(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let before = slf.get().with(|inner| {
            let before = inner.state;
            if before == State::Pending {
                inner.state = State::Running;
            }
            before
        });
        match before {
            State::Pending => Ok(true),
            State::Cancelled => {
                Self::change(slf, |inner| {
                    inner.state = State::CancelledAndNotified;
                    true
                })?;
                Ok(false)
            }
            state => {
                let id = slf.as_ptr() as usize;
                let text = format!("Future {id} in unexpected state: {}", state.name());
                logger(slf.py())?.call_method1(intern!(slf.py(), "critical"), (text,))?;
                Err(PyRuntimeError::new_err("Future in unexpected state"))
            }
        }
    }

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
    fn change(slf: &Bound<'_, Self>, change: impl FnMut(&mut Inner) -> bool) -> PyResult<bool> {
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

    fn call(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
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

    /// Waits until it is done, at most until the limit.
    fn wait(slf: &Bound<'_, Self>, limit: Limit) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.is_done() {
            return Ok(());
        }
        let scheduler = this.with(|inner| inner.task.as_ref().map(|task| task.scheduler(py)));
        if let Some(scheduler) = scheduler {
            return Task::wait(scheduler.bind(py), limit, &|| this.is_done());
        }
        let awaited = (slf.as_any(), Some(&this.awaited));
        let _blocked = Blocked::begin(py, this.pool(), limit, || this.is_pending(), Some(awaited))?;
        this.news.wait(py, "result", limit, || this.is_done()).map(drop)
    }

    /// Whether this thread holds its condition: who does may rely on that nothing changes.
    pub(crate) fn is_held_here(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let condition = slf.get().with(|inner| inner.condition.as_ref().map(|it| it.clone_ref(py)));
        let Some(condition) = condition else { return Ok(false) };
        condition.call_method0(py, intern!(py, "_is_owned"))?.is_truthy(py)
    }

    /// Takes what has come for it, if that is not done by somebody who waits.
    fn look(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::wait(slf, Limit::Never)
    }

    /// Its state, and whether its task is being done.
    fn state(slf: &Bound<'_, Self>) -> PyResult<State> {
        let (py, this) = (slf.py(), slf.get());
        let state = this.known_state();
        if state != State::Pending {
            return Ok(state);
        }
        let Some(task) = this.task(py) else { return Ok(state) };
        if task.has_begun(py)? {
            this.with(|inner| {
                if inner.state == State::Pending {
                    inner.state = State::Running;
                }
            });
        }
        Ok(this.known_state())
    }

    /// Whether it was cancelled, or what it came to: a result or an exception.
    fn outcome(
        slf: &Bound<'_, Self>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Result<Py<PyAny>, Py<PyAny>>> {
        let (py, this) = (slf.py(), slf.get());
        if !this.is_done() {
            Self::wait(slf, timeout::optional(timeout)?)?;
        }
        let known = this.with(|inner| match (inner.state, &inner.exception, &inner.result) {
            (State::Finished, Some(exception), _) => Ok(Err(exception.clone_ref(py))),
            (State::Finished, None, Some(result)) => Ok(Ok(result.clone_ref(py))),
            (State::Finished, None, None) => Ok(Ok(py.None())),
            (state, ..) => Err(state),
        });
        known.or_else(|state| {
            let name = if state.is_cancelled() { "CancelledError" } else { "TimeoutError" };
            Err(PyErr::from_value(base(py, name)?.call0()?))
        })
    }

    /// Has somebody look after it who tells others when it is done.
    fn attend(inner: &mut Inner) {
        if let Some(task) = &mut inner.task {
            task.attend();
        }
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
    pub(super) fn settle_and(
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
    fn call_back_by_name(
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

// py: concurrent.futures.Future.result
short_cut!(ResultNow, Future, c"result", |call| {
    if call.count() > 0 || !call.this.get().is_done() {
        return None;
    }
    let py = call.py();
    call.this.get().with(|inner| match (inner.state, &inner.exception, &inner.result) {
        (State::Finished, None, Some(result)) => Some(result.clone_ref(py).into_bound(py)),
        _ => None,
    })
});

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Future>()?;
    fast::install::<ResultNow>(module.py())
}

/// The class of the futures that programs get.
fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "manyhands.concurrent.futures._base", "Future")
}

/// Whether it is of no class of the program's own.
fn is_plain(future: &Bound<'_, Future>) -> bool {
    class(future.py()).is_ok_and(|class| future.get_type().is(class))
}

/// What the standard library has under that name for all its executors.
fn base<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module =
        MODULE.get_or_try_init(py, || py.import("concurrent.futures._base").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}

fn logger(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    base(py, "LOGGER")
}
