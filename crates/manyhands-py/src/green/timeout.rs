//! What `manyhands.gevent.Timeout` stands on.

use manyhands_green::Key;
use manyhands_sync::{Exclusion, Protected};
use pyo3::exceptions::{PyAssertionError, PyBaseException};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyTuple, PyType};

use super::home::{self, Home, Work};
use super::{api, park, seconds};
use crate::exclusion::Interpreter;

/// Where it is started.
struct Running {
    home: &'static Home,
    key: Key,
    greenlet: Py<PyAny>,
}

#[derive(Default)]
struct State {
    seconds: Option<Py<PyAny>>,
    exception: Option<Py<PyAny>>,
    keeps: bool,
    running: Option<Running>,
}

/// An exception that has itself raised in the greenlet that starts it, when the time is up.
#[pyclass(frozen, subclass, dict, weakref, extends = PyBaseException, module = "manyhands._native")]
pub(super) struct RawTimeout {
    state: <Interpreter as Exclusion>::Cell<State>,
}

/// The class that programs see: of its objects nothing has to be asked that a subclass might do otherwise.
static USUAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();

impl RawTimeout {
    fn part(&self, py: Python<'_>, part: fn(&State) -> &Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        self.state.with(|state| part(state).as_ref().map(|it| it.clone_ref(py)))
    }

    fn is_pending(&self) -> bool {
        self.state.with(|state| state.running.is_some())
    }

    fn stop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let running = self.state.with(|state| state.running.take())?;
        running.home.end(py, running.key);
        Some(running.greenlet)
    }
}

fn start(this: &Bound<'_, RawTimeout>) -> PyResult<()> {
    let py = this.py();
    let timeout = this.get();
    if timeout.is_pending() {
        let why = format!("{this:?} is already started; to restart it, cancel it first");
        return Err(PyAssertionError::new_err(why));
    }
    let Some(limit) = timeout.part(py, |state| &state.seconds) else { return Ok(()) };
    let deadline = seconds::deadline(Some(limit.bind(py)))?;
    let home = match home::home() {
        Some(home) => home,
        None => park::hub(py)?.home,
    };
    let greenlet = api::current(py)?.unbind();
    let keeps = timeout.state.with(|state| state.keeps);
    let work = Work::Watcher(this.clone().into_any().unbind());
    let key = home.with(|hub| {
        let key = hub.wait(work, keeps);
        if let Some(deadline) = deadline {
            hub.wake_at(key, deadline);
        }
        key
    });
    timeout.state.with(|state| state.running = Some(Running { home, key, greenlet }));
    Ok(())
}

fn is_usual(this: &Bound<'_, RawTimeout>) -> bool {
    USUAL.get(this.py()).is_some_and(|class| this.get_type().is(class))
}

#[pymethods]
impl RawTimeout {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        RawTimeout { state: Protected::new(State { keeps: true, ..State::default() }) }
    }

    #[pyo3(signature = (seconds=None, exception=None, r#ref=true, priority=-1))]
    fn __init__(
        &self,
        seconds: Option<Py<PyAny>>,
        exception: Option<Py<PyAny>>,
        r#ref: bool,
        priority: i32,
    ) {
        let _ = priority; // all are equal
        let before = self.state.with(|state| {
            state.keeps = r#ref;
            (
                std::mem::replace(&mut state.seconds, seconds),
                std::mem::replace(&mut state.exception, exception),
            )
        });
        drop(before);
    }

    /// After how many seconds; None: never.
    #[getter]
    fn seconds(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.part(py, |state| &state.seconds)
    }

    #[setter]
    fn set_seconds(&self, seconds: Option<Py<PyAny>>) {
        drop(self.state.with(|state| std::mem::replace(&mut state.seconds, seconds)));
    }

    /// What is raised instead of it; None: itself; False: itself, which ends a `with` block silently.
    #[getter]
    fn exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.part(py, |state| &state.exception)
    }

    #[setter]
    fn set_exception(&self, exception: Option<Py<PyAny>>) {
        drop(self.state.with(|state| std::mem::replace(&mut state.exception, exception)));
    }

    /// Whether it is started and its time is not up.
    #[getter]
    fn pending(&self) -> bool {
        self.is_pending()
    }

    /// Have it raised after `seconds` in the greenlet that calls this; never if those are None.
    // py: gevent.Timeout.start
    fn start(this: &Bound<'_, Self>) -> PyResult<()> {
        start(this)
    }

    /// Have nothing raised. It can be started again.
    // py: gevent.Timeout.cancel
    fn cancel(&self, py: Python<'_>) {
        drop(self.stop(py));
    }

    /// As cancel().
    // py: gevent.Timeout.close
    fn close(&self, py: Python<'_>) {
        drop(self.stop(py));
    }

    fn __enter__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        if !this.get().is_pending() {
            if is_usual(this) {
                start(this)?;
            } else {
                this.call_method0(intern!(this.py(), "start"))?;
            }
        }
        Ok(this.clone())
    }

    fn __exit__(
        this: &Bound<'_, Self>,
        _type: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let py = this.py();
        if is_usual(this) {
            drop(this.get().stop(py));
        } else {
            this.call_method0(intern!(py, "close"))?;
        }
        let silent = this.get().part(py, |state| &state.exception);
        Ok(value.is(this) && silent.is_some_and(|it| it.is(PyBool::new(py, false))))
    }

    /// The loop calls this when the time is up.
    fn _fire(this: &Bound<'_, Self>, _reason: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = this.py();
        let timeout = this.get();
        let Some(greenlet) = timeout.stop(py) else { return Ok(()) };
        let exception = timeout.part(py, |state| &state.exception).map(|it| it.into_bound(py));
        let exception = exception.filter(|it| {
            !it.is_none()
                && !it.is(PyBool::new(py, false))
                && !it.is_instance_of::<pyo3::types::PyString>()
        });
        let exception = exception.unwrap_or_else(|| this.clone().into_any());
        greenlet.into_bound(py).call_method1(intern!(py, "throw"), (exception,)).map(drop)
    }

    #[classmethod]
    fn _set_usual(class: &Bound<'_, PyType>) {
        let _ = USUAL.set(class.py(), class.clone().unbind());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state.with(|state| {
            visit.call(&state.seconds)?;
            visit.call(&state.exception)?;
            match &state.running {
                Some(running) => visit.call(&running.greenlet),
                None => Ok(()),
            }
        })
    }

    fn __clear__(&self) {
        let state = self.state.with(|state| (state.seconds.take(), state.exception.take()));
        drop(state);
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RawTimeout>()
}
