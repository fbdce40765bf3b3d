//! `manyhands.gevent.event.Event`

use std::sync::atomic::{AtomicBool, Ordering};

use manyhands_sync::{Exclusion, Protected};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::links::{self, Linkable, Waits};
use super::method::{self, function, this};
use super::park::{self, Woken};
use super::waiting::{Patience, Waiter};
use super::{api, home};
use crate::exclusion::Interpreter;

/// A flag that greenlets wait for.
///
/// It is set and cleared; `wait()` lasts until it is set. All who wait when it is set go on, in the order in which they came,
/// also if it is cleared before their turn comes.
// py: gevent.event.Event
#[pyclass(frozen, weakref, subclass, module = "manyhands.gevent.event")]
pub(crate) struct Event {
    flag: AtomicBool,
    waits: <Interpreter as Exclusion>::Cell<Waits>,
}

impl Linkable for Event {
    #[inline(always)]
    fn with<R>(&self, body: impl FnOnce(&mut Waits) -> R) -> R {
        self.waits.with(body)
    }

    #[inline(always)]
    fn is_ready(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }
}

/// Waits until the object is ready: those who come when it is, and others were woken by that, have their turn after these.
/// Whether it was in time.
#[inline]
pub(super) fn wait_for<T: Linkable>(
    this: &Bound<'_, T>,
    timeout: Option<Borrowed<'_, '_, PyAny>>,
    raises: bool,
) -> PyResult<bool> {
    let py = this.py();
    if this.get().is_ready() {
        if this.get().with(|waits| waits.line.is_moving()) && !home::is_hub(&api::current(py)?) {
            park::give_way(py)?;
        }
        return Ok(true);
    }
    let patience = Patience::new(timeout)?;
    let waiter = Waiter::greenlet(py)?;
    links::note_hub(this);
    let has_to_post = this.get().with(|waits| {
        waits.line.enter(waiter.clone());
        // It may have become ready where several threads run at once.
        if this.get().is_ready() {
            waits.until = waits.line.number();
            waits.advance()
        } else {
            false
        }
    });
    let posted = if has_to_post { links::post(this) } else { Ok(()) };
    let waited = waiter.wait(py, &patience);
    this.get().with(|waits| match &waited {
        Ok(Woken::Notified) => waits.line.arrive(),
        Err(thrown) if thrown.notified => waits.line.arrive(),
        _ => drop(waits.line.leave(&waiter)),
    });
    patience.stop(py)?;
    posted?;
    match waited {
        Ok(woken) => Ok(woken == Woken::Notified),
        Err(thrown) if !raises && patience.is_over(py, &thrown.error) => Ok(false),
        Err(thrown) => Err(thrown.error),
    }
}

/// Lets all go on who wait now.
#[inline]
pub(super) fn notify<T: Linkable>(this: &Bound<'_, T>) -> PyResult<()> {
    let has_to_post = this.get().with(|waits| {
        waits.until = waits.line.number();
        !waits.line.is_empty() && waits.advance()
    });
    if has_to_post { links::post(this) } else { Ok(()) }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Event {
        Event { flag: AtomicBool::new(false), waits: Protected::new(Waits::new(0, usize::MAX)) }
    }

    fn __init__(&self) {}

    /// How many wait or are linked.
    // py: gevent.event.Event.linkcount
    fn linkcount(&self) -> usize {
        self.with(|waits| waits.line.len())
    }

    /// Have `callback(event)` called in the hub when the flag is set, or soon if it is. Once.
    // py: gevent.event.Event.rawlink
    fn rawlink(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        links::add(slf, callback)
    }

    /// Take back what `rawlink()` did.
    // py: gevent.event.Event.unlink
    fn unlink(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        links::remove(slf, callback)
    }

    /// The hub that calls links.
    #[getter]
    fn hub(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(|waits| waits.hub.as_ref().map(|hub| hub.clone_ref(py)))
    }

    fn _at_fork_reinit(&self) {
        let hub = self.with(|waits| {
            waits.line.forked(|waiter| matches!(waiter, Waiter::Greenlet(_)));
            waits.hub.take()
        });
        drop(hub);
    }

    /// What `threading` asks of its own events after a fork; there is nothing to do.
    fn _reset_internal_locks(&self) {}

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type();
        let (name, module) = (class.name()?, class.module()?);
        let (event, address) = (slf.get(), slf.as_ptr() as usize);
        let state = if event.is_ready() { "set" } else { "clear" };
        Ok(format!("<{module}.{name} at {address:#x} {state} _links[{}]>", event.linkcount()))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Self::__str__(slf)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.with(|waits| waits.traverse(&visit))
    }

    fn __clear__(&self) {
        let cleared = self.with(|waits| (waits.line.take_links(), waits.hub.take()));
        drop(cleared);
    }
}

// py: gevent.event.Event.is_set
function!(
    IsSet,
    c"is_set",
    c"is_set($self, /)\n--\n\nWhether the flag is set.",
    [],
    0,
    |object, _arguments| {
        let set = this::<Event>(object).get().is_ready();
        Ok(PyBool::new(object.py(), set).to_owned().into_any())
    }
);

// py: gevent.event.Event.set
function!(
    Set,
    c"set",
    c"set($self, /)\n--\n\nSet the flag, and let all who wait for it go on.",
    [],
    0,
    |object, _arguments| {
        let event = this::<Event>(object);
        event.get().flag.store(true, Ordering::Release);
        notify(&event)?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

// py: gevent.event.Event.clear
function!(
    Clear,
    c"clear",
    c"clear($self, /)\n--\n\nClear the flag.",
    [],
    0,
    |object, _arguments| {
        this::<Event>(object).get().flag.store(false, Ordering::Release);
        Ok(object.py().None().into_bound(object.py()))
    }
);

// py: gevent.event.Event.wait
function!(
    Wait,
    c"wait",
    c"wait($self, timeout=None)\n--\n\nWait until the flag is set, as long as it takes (timeout None) or so many seconds. Returns whether it was set\nmeanwhile.",
    ["timeout"],
    0,
    |object, arguments| {
        let waited = wait_for(&this::<Event>(object), arguments.some(0), false)?;
        Ok(PyBool::new(object.py(), waited).to_owned().into_any())
    }
);

// py: gevent.event.Event._notify_links
function!(
    NotifyLinks,
    c"_notify_links",
    c"_notify_links($self, /)\n--\n\nCall the links. The hub does.",
    [],
    0,
    |object, _arguments| {
        links::call(&this::<Event>(object))?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Event>()?;
    let class = module.py().get_type::<Event>();
    method::add_method::<IsSet>(&class)?;
    class.setattr("isSet", class.getattr("is_set")?)?;
    class.setattr("ready", class.getattr("is_set")?)?;
    method::add_method::<Set>(&class)?;
    method::add_method::<Clear>(&class)?;
    method::add_method::<Wait>(&class)?;
    method::add_method::<NotifyLinks>(&class)
}
