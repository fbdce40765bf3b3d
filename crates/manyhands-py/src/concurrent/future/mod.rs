//! `concurrent.futures.Future`

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use manyhands_sync::{Limit, Protected};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::type_object::PyTypeInfo;
use pyo3::types::{PyTuple, PyType};

use self::state::{Inner, State};
use crate::crew::{Awaited, Blocked};
use crate::exclusion::Interpreter;
use crate::fast::{self, short_cut};
use crate::multiprocessing::Task;
use crate::news::News;
use crate::timeout;

mod collected;
mod methods;
mod settle;
mod state;

pub(crate) use settle::Settled;

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

impl Future {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.news.subject()
    }

    /// A new one, of the class that programs get.
    pub(crate) fn create(py: Python<'_>) -> PyResult<Bound<'_, Future>> {
        let class = class(py)?;
        #[expect(unsafe_code, reason = "the interpreter's way without what is not needed")]
        // SAFETY: both are classes, and this thread has the interpreter. What makes an object gets a class
        // that is below its own, and no arguments; it gives a new object of that class, or an error.
        let made = unsafe {
            let (of, native) = (class.as_type_ptr(), Future::type_object_raw(py));
            let address = |init: Option<ffi::initproc>| init.map(|init| init as usize);
            let address_of_new = |new: Option<ffi::newfunc>| new.map(|new| new as usize);
            // Our own `__init__` has nothing to do; the program may have put others in their places.
            let is_ours = address((*of).tp_init) == address((*native).tp_init)
                && address_of_new((*of).tp_new) == address_of_new((*native).tp_new);
            match (*of).tp_new {
                Some(new) if is_ours => {
                    let none = PyTuple::empty(py);
                    let made = new(of, none.as_ptr(), std::ptr::null_mut());
                    Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked::<Future>()
                }
                _ => return Ok(class.call0()?.cast_into::<Future>()?),
            }
        };
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
