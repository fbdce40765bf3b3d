//! `manyhands.gevent.lock.Semaphore` and `BoundedSemaphore`

use std::sync::atomic::Ordering;

use manyhands_sync::Protected;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::links::{self, Linkable};
use super::method::{self, function, this};
use super::units::{Semaphore, Users};
use super::waiting::Waiter;

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1, hub=None)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Semaphore {
        Semaphore::new()
    }

    #[pyo3(signature = (value=1, hub=None))]
    fn __init__(&self, value: isize, hub: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        self.set(value)?;
        self.set_hub(hub);
        Ok(())
    }

    /// How often it can be acquired now.
    // py: gevent.lock.Semaphore.counter
    #[getter]
    fn counter(&self) -> usize {
        self.count()
    }

    #[setter]
    fn set_counter(&self, value: isize) {
        // What is less than nothing is nothing: who lends more than there is has to wait for that himself.
        self.with(|waits| waits.most = usize::try_from(value).unwrap_or(0));
    }

    /// Whether it cannot be acquired now.
    // py: gevent.lock.Semaphore.locked
    fn locked(&self) -> bool {
        !self.is_ready()
    }

    /// Whether it can be acquired now.
    // py: gevent.lock.Semaphore.ready
    fn ready(&self) -> bool {
        self.is_ready()
    }

    /// How many wait or are linked.
    // py: gevent.lock.Semaphore.linkcount
    fn linkcount(&self) -> usize {
        self.with(|waits| waits.line.len())
    }

    /// Have `callback(semaphore)` called in the hub when it can be acquired, or soon if it can. Once.
    // py: gevent.lock.Semaphore.rawlink
    fn rawlink(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        links::add(slf, callback)
    }

    /// Take back what `rawlink()` did.
    // py: gevent.lock.Semaphore.unlink
    fn unlink(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        links::remove(slf, callback)
    }

    /// The hub that calls links.
    #[getter]
    fn hub(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(|waits| waits.hub.as_ref().map(|hub| hub.clone_ref(py)))
    }

    #[setter(hub)]
    fn change_hub(&self, hub: Option<Bound<'_, PyAny>>) {
        self.set_hub(hub);
    }

    /// Let those go on for whom `counter` was changed.
    fn _start_notify(slf: &Bound<'_, Self>) -> PyResult<()> {
        links::advance(slf)
    }

    fn _at_fork_reinit(&self) {
        let bound = self.bound.load(Ordering::Relaxed);
        let hub = self.cell.with(|units| {
            units.users = Users::Nobody;
            units.waits.line.forked(|waiter| matches!(waiter, Waiter::Greenlet(_)));
            if bound != usize::MAX {
                units.waits.most = bound;
            }
            units.waits.hub.take()
        });
        drop(hub);
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (this, address) = (slf.get(), slf.as_ptr() as usize);
        let (name, count, links) = (slf.get_type().name()?, this.count(), this.linkcount());
        Ok(format!("<{name} at {address:#x} counter={count} _links[{links}]>"))
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

/// A semaphore that may not be released more often than it was acquired.
// py: gevent.lock.BoundedSemaphore
#[pyclass(frozen, extends = Semaphore, subclass, module = "manyhands.gevent.lock")]
pub(crate) struct BoundedSemaphore;

#[pymethods]
impl BoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1, hub=None)")]
    fn __new__(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<BoundedSemaphore> {
        let semaphore = Semaphore::new();
        semaphore.bound.store(1, Ordering::Relaxed);
        PyClassInitializer::from(semaphore).add_subclass(BoundedSemaphore)
    }

    #[pyo3(signature = (value=1, hub=None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        value: isize,
        hub: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let semaphore = slf.as_super().get();
        let bound = semaphore.set(value)?;
        semaphore.bound.store(bound, Ordering::Relaxed);
        semaphore.set_hub(hub);
        Ok(())
    }

    /// How often it could be acquired at first.
    #[getter]
    fn _initial_value(slf: &Bound<'_, Self>) -> usize {
        slf.as_super().get().bound.load(Ordering::Relaxed)
    }
}

#[inline(always)]
fn acquire<'py>(
    object: Borrowed<'_, 'py, PyAny>,
    arguments: &method::Arguments<'_, 'py>,
) -> PyResult<bool> {
    let semaphore = this::<Semaphore>(object);
    if semaphore.get().try_acquire() {
        return Ok(true);
    }
    acquire_later(object, arguments)
}

#[inline(never)]
fn acquire_later<'py>(
    object: Borrowed<'_, 'py, PyAny>,
    arguments: &method::Arguments<'_, 'py>,
) -> PyResult<bool> {
    if !arguments.flag(0, true)? {
        return Ok(false);
    }
    Semaphore::wait_for(&this::<Semaphore>(object), arguments.some(1), true)
}

/// Gives one back, unless a bounded one has them all.
#[inline(always)]
fn release(object: Borrowed<'_, '_, PyAny>) -> PyResult<usize> {
    let semaphore = this::<Semaphore>(object);
    if semaphore.get().count() >= semaphore.get().bound.load(Ordering::Relaxed) {
        let class = object.getattr(intern!(object.py(), "_OVER_RELEASE_ERROR"))?;
        let error = class.call1(("Semaphore released too many times",))?;
        return Err(PyErr::from_value(error));
    }
    Semaphore::release(&semaphore)
}

// py: gevent.lock.Semaphore.acquire
function!(
    Acquire,
    c"acquire",
    c"acquire($self, blocking=True, timeout=None)\n--\n\nTake one; wait for it if there is none, unless `blocking` is false, and at most so many seconds if that is said.\nReturns whether there was one.",
    ["blocking", "timeout"],
    0,
    |object, arguments| {
        let acquired = acquire(object, arguments)?;
        Ok(PyBool::new(object.py(), acquired).to_owned().into_any())
    }
);

// py: gevent.lock.Semaphore.release
function!(
    Release,
    c"release",
    c"release($self, /)\n--\n\nGive one back, and let the first go on who waits. Returns how many there are then.",
    [],
    0,
    |object, _arguments| Ok(release(object)?.into_pyobject(object.py())?.into_any())
);

// py: gevent.lock.Semaphore.wait
function!(
    Wait,
    c"wait",
    c"wait($self, timeout=None)\n--\n\nWait until it can be acquired, or the seconds are over. Returns how often it can be: 0 if others were faster.",
    ["timeout"],
    0,
    |object, arguments| {
        let semaphore = this::<Semaphore>(object);
        if !semaphore.get().is_ready() {
            Semaphore::wait_for(&semaphore, arguments.some(0), false)?;
        }
        Ok(semaphore.get().count().into_pyobject(object.py())?.into_any())
    }
);

// py: gevent.lock.Semaphore.__enter__
function!(
    Enter,
    c"__enter__",
    c"__enter__($self, /)\n--\n\nTake one, as acquire() does.",
    [],
    0,
    |object, arguments| {
        acquire(object, arguments)?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

// py: gevent.lock.Semaphore.__exit__
function!(
    Exit,
    c"__exit__",
    c"__exit__($self, t, v, tb, /)\n--\n\nGive one back, as release() does.",
    ["t", "v", "tb"],
    0,
    |object, _arguments| {
        release(object)?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

// py: gevent.lock.Semaphore._notify_links
function!(
    NotifyLinks,
    c"_notify_links",
    c"_notify_links($self, /)\n--\n\nCall the links. The hub does.",
    [],
    0,
    |object, _arguments| {
        links::call(&this::<Semaphore>(object))?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Semaphore>()?;
    module.add_class::<BoundedSemaphore>()?;
    let class = py.get_type::<Semaphore>();
    method::add_method::<Acquire>(&class)?;
    class.setattr("_py3k_acquire", class.getattr("acquire")?)?;
    method::add_method::<Release>(&class)?;
    method::add_method::<Wait>(&class)?;
    method::add_method::<Enter>(&class)?;
    method::add_method::<Exit>(&class)?;
    method::add_method::<NotifyLinks>(&class)?;
    py.get_type::<BoundedSemaphore>().setattr("_OVER_RELEASE_ERROR", py.get_type::<PyValueError>())
}
