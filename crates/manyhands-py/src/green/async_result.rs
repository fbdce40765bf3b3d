//! `manyhands.gevent.event.AsyncResult`

use std::sync::atomic::{AtomicBool, Ordering};

use manyhands_sync::{Exclusion, Protected};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyTuple, PyType};

use super::event::{notify, wait_for};
use super::links::{self, Linkable, Waits};
use super::method::{self, function, this};
use super::waiting::Waiter;
use crate::exclusion::Interpreter;

/// A value or an exception that greenlets wait for.
///
/// `set()` and `set_exception()` say what it is; `get()` waits for that, and returns it or raises it. Linked to a greenlet
/// (`greenlet.link(result)`) it becomes what that comes to.
// py: gevent.event.AsyncResult
#[pyclass(frozen, weakref, subclass, module = "manyhands.gevent.event")]
pub(crate) struct AsyncResult {
    ready: AtomicBool,
    waits: <Interpreter as Exclusion>::Cell<Waits>,
    outcome: <Interpreter as Exclusion>::Cell<Outcome>,
}

#[derive(Default)]
struct Outcome {
    value: Option<Py<PyAny>>,
    /// Class, instance, traceback.
    raised: Option<[Py<PyAny>; 3]>,
    /// For who keeps results in order.
    index: Option<Py<PyAny>>,
}

impl Linkable for AsyncResult {
    #[inline(always)]
    fn with<R>(&self, body: impl FnOnce(&mut Waits) -> R) -> R {
        self.waits.with(body)
    }

    #[inline(always)]
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

impl AsyncResult {
    fn value_of<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let value = self.outcome.with(|it| it.value.as_ref().map(|value| value.clone_ref(py)));
        value.map(|value| value.into_bound(py))
    }

    fn raised_of<'py>(&self, py: Python<'py>) -> Option<[Bound<'py, PyAny>; 3]> {
        let raised = self.outcome.with(|it| {
            it.raised.as_ref().map(|[class, value, traceback]| {
                [class.clone_ref(py), value.clone_ref(py), traceback.clone_ref(py)]
            })
        });
        raised.map(|raised| raised.map(|it| it.into_bound(py)))
    }

    /// The value, or the exception raised; `None` if there is neither.
    fn outcome<'py>(&self, py: Python<'py>) -> Option<PyResult<Bound<'py, PyAny>>> {
        if let Some(value) = self.value_of(py) {
            return Some(Ok(value));
        }
        let [class, value, traceback] = self.raised_of(py)?;
        Some(Err(raise(&class, value, &traceback).unwrap_or_else(|error| error)))
    }

    /// Gives the exception as it was when it was set, however often it has been raised since.
    fn end<'py>(this: &Bound<'py, Self>, outcome: Outcome) -> PyResult<()> {
        let py = this.py();
        let Outcome { value, raised, .. } = outcome;
        let before = this.get().outcome.with(|it| match (value, raised) {
            (Some(value), _) => (it.value.replace(value), None),
            (None, raised) => (None, std::mem::replace(&mut it.raised, raised)),
        });
        this.get().ready.store(true, Ordering::Release);
        drop(before.0.map(|it| it.into_bound(py)));
        drop(before.1.map(|it| it.map(|it| it.into_bound(py))));
        notify(this)
    }
}

fn raise(
    class: &Bound<'_, PyAny>,
    value: Bound<'_, PyAny>,
    traceback: &Bound<'_, PyAny>,
) -> PyResult<PyErr> {
    let value = if value.is_none() { class.call0()? } else { value };
    value.setattr(intern!(value.py(), "__traceback__"), traceback)?;
    Ok(PyErr::from_value(value))
}

/// The exception that says that so many seconds are over.
fn timed_out(seconds: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.import(py, "manyhands.gevent.timeout", "Timeout");
    let timeout = class.and_then(|class| match seconds {
        Some(seconds) => class.call1((seconds,)),
        None => class.call0(),
    });
    timeout.map_or_else(|error| error, PyErr::from_value)
}

fn get<'py>(
    this: &Bound<'py, AsyncResult>,
    block: bool,
    timeout: Option<Borrowed<'_, 'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    if let Some(outcome) = this.get().outcome(py) {
        return outcome;
    }
    if !block || !wait_for(this, timeout, true)? {
        return Err(timed_out(timeout.filter(|_| block).as_deref(), py));
    }
    this.get().outcome(py).unwrap_or_else(|| Err(timed_out(None, py)))
}

#[pymethods]
impl AsyncResult {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> AsyncResult {
        AsyncResult {
            ready: AtomicBool::new(false),
            waits: Protected::new(Waits::new(0, usize::MAX)),
            outcome: Protected::new(Outcome::default()),
        }
    }

    fn __init__(&self) {}

    /// How many wait or are linked.
    // py: gevent.event.AsyncResult.linkcount
    fn linkcount(&self) -> usize {
        self.with(|waits| waits.line.len())
    }

    /// Have `callback(result)` called in the hub when there is a value or exception, or soon if there is.
    // py: gevent.event.AsyncResult.rawlink
    fn rawlink(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        links::add(slf, callback)
    }

    /// Take back what `rawlink()` did.
    // py: gevent.event.AsyncResult.unlink
    fn unlink(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        links::remove(slf, callback)
    }

    /// The hub that calls links.
    #[getter]
    fn hub(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(|waits| waits.hub.as_ref().map(|hub| hub.clone_ref(py)))
    }

    /// Whether there is a value or an exception.
    // py: gevent.event.AsyncResult.ready
    fn ready(&self) -> bool {
        self.is_ready()
    }

    /// The same as `ready()`.
    // py: gevent.event.AsyncResult.done
    fn done(&self) -> bool {
        self.is_ready()
    }

    /// Whether there is a value.
    // py: gevent.event.AsyncResult.successful
    fn successful(&self) -> bool {
        self.outcome.with(|it| it.value.is_some())
    }

    /// False: there is nothing to cancel.
    // py: gevent.event.AsyncResult.cancel
    fn cancel(&self) -> bool {
        false
    }

    /// False.
    // py: gevent.event.AsyncResult.cancelled
    fn cancelled(&self) -> bool {
        false
    }

    /// The value, None if there is none.
    // py: gevent.event.AsyncResult.value
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value_of(py)
    }

    /// The exception, None if there is none.
    // py: gevent.event.AsyncResult.exception
    #[getter]
    fn exception<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.raised_of(py).map(|[_, value, _]| value)
    }

    /// Class, instance and traceback of the exception, an empty tuple if there is none.
    // py: gevent.event.AsyncResult.exc_info
    #[getter]
    fn exc_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.raised_of(py).map_or_else(|| Ok(PyTuple::empty(py)), |it| PyTuple::new(py, it))
    }

    #[getter]
    fn _imap_task_index(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.outcome.with(|it| it.index.as_ref().map(|index| index.clone_ref(py)))
    }

    #[setter(_imap_task_index)]
    fn set_index(&self, index: Bound<'_, PyAny>) {
        let index = index.unbind();
        let before = self.outcome.with(|it| it.index.replace(index));
        drop(before);
    }

    /// Store the exception, and let all go on who wait. `exc_info` as `sys.exc_info()` gives it says which traceback it has
    /// when it is raised.
    // py: gevent.event.AsyncResult.set_exception
    #[pyo3(signature = (exception, exc_info=None))]
    fn set_exception(
        slf: &Bound<'_, Self>,
        exception: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let raised = match exc_info {
            Some(given) if given.is_truthy()? => {
                let (class, value, traceback) = given.extract()?;
                [class, value, traceback]
            }
            _ => {
                let class = exception.get_type().into_any().unbind();
                [class, exception.clone().unbind(), py.None()]
            }
        };
        AsyncResult::end(slf, Outcome { raised: Some(raised), ..Outcome::default() })
    }

    /// As a link: become what the greenlet has come to.
    fn __call__(slf: &Bound<'_, Self>, source: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if source.call_method0(intern!(py, "successful"))?.is_truthy()? {
            let value = source.getattr(intern!(py, "value"))?.unbind();
            return AsyncResult::end(slf, Outcome { value: Some(value), ..Outcome::default() });
        }
        let exception = source.getattr(intern!(py, "exception"))?;
        let exc_info = source.getattr_opt(intern!(py, "exc_info"))?;
        AsyncResult::set_exception(slf, &exception, exc_info.as_ref())
    }

    fn _at_fork_reinit(&self) {
        let hub = self.with(|waits| {
            waits.line.forked(|waiter| matches!(waiter, Waiter::Greenlet(_)));
            waits.hub.take()
        });
        drop(hub);
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let mut text = format!("<{} ", slf.get_type().name()?);
        let raised = slf.get().raised_of(py);
        let value = slf.get().value_of(py).filter(|value| !value.is_none());
        if value.is_some() || raised.is_some() {
            let value = value.unwrap_or_else(|| py.None().into_bound(py));
            text.push_str(&format!("value={} ", value.repr()?));
        }
        match &raised {
            Some([_, value, _]) => text.push_str(&format!("exception={} ", value.repr()?)),
            None => text.push_str("unset "),
        }
        Ok(format!("{text} _links[{}]>", slf.get().linkcount()))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Self::__str__(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.with(|waits| waits.traverse(&visit))?;
        self.outcome.with(|it| {
            visit.call(&it.value)?;
            visit.call(&it.index)?;
            it.raised.iter().flatten().try_for_each(|object| visit.call(object))
        })
    }

    fn __clear__(&self) {
        let links = self.with(|waits| (waits.line.take_links(), waits.hub.take()));
        let outcome = self.outcome.with(std::mem::take);
        drop((links, outcome));
    }
}

// py: gevent.event.AsyncResult.set
function!(
    Set,
    c"set",
    c"set($self, value=None)\n--\n\nStore the value, and let all go on who wait.",
    ["value"],
    0,
    |object, arguments| {
        let py = object.py();
        let value = arguments.get(0).map_or_else(|| py.None(), |value| value.to_owned().unbind());
        let outcome = Outcome { value: Some(value), ..Outcome::default() };
        AsyncResult::end(&this::<AsyncResult>(object), outcome)?;
        Ok(py.None().into_bound(py))
    }
);

// py: gevent.event.AsyncResult.get
function!(
    Get,
    c"get",
    c"get($self, block=True, timeout=None)\n--\n\nWait for the value and return it, or raise the exception. Timeout if there is neither after so many seconds; or\nnow, if `block` is false.",
    ["block", "timeout"],
    0,
    |object, arguments| {
        get(&this::<AsyncResult>(object), arguments.flag(0, true)?, arguments.some(1))
    }
);

// py: gevent.event.AsyncResult.get_nowait
function!(
    GetNowait,
    c"get_nowait",
    c"get_nowait($self, /)\n--\n\nThe value, or raise the exception, or Timeout if there is neither yet.",
    [],
    0,
    |object, _arguments| get(&this::<AsyncResult>(object), false, None)
);

// py: gevent.event.AsyncResult.result
function!(
    GetResult,
    c"result",
    c"result($self, timeout=None)\n--\n\nThe same as get(timeout=timeout).",
    ["timeout"],
    0,
    |object, arguments| get(&this::<AsyncResult>(object), true, arguments.some(0))
);

// py: gevent.event.AsyncResult.wait
function!(
    Wait,
    c"wait",
    c"wait($self, timeout=None)\n--\n\nWait until there is a value or an exception, or the seconds are over. Returns the value, None if there is none.",
    ["timeout"],
    0,
    |object, arguments| {
        let py = object.py();
        let this = this::<AsyncResult>(object);
        wait_for(&this, arguments.some(0), false)?;
        Ok(this.get().value_of(py).unwrap_or_else(|| py.None().into_bound(py)))
    }
);

// py: gevent.event.AsyncResult._notify_links
function!(
    NotifyLinks,
    c"_notify_links",
    c"_notify_links($self, /)\n--\n\nCall the links. The hub does.",
    [],
    0,
    |object, _arguments| {
        links::call(&this::<AsyncResult>(object))?;
        Ok(PyBool::new(object.py(), true).to_owned().into_any())
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AsyncResult>()?;
    let class = module.py().get_type::<AsyncResult>();
    method::add_method::<Set>(&class)?;
    class.setattr("set_result", class.getattr("set")?)?;
    method::add_method::<Get>(&class)?;
    method::add_method::<GetNowait>(&class)?;
    method::add_method::<GetResult>(&class)?;
    method::add_method::<Wait>(&class)?;
    method::add_method::<NotifyLinks>(&class)
}
