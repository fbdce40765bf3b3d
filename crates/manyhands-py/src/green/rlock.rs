//! `manyhands.gevent.lock.RLock`

use manyhands_sync::{Exclusion, Protected};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use super::api;
use super::method::{self, function, this};
use super::units::Semaphore;
use crate::exclusion::Interpreter;

/// A lock that the greenlet which has it can acquire again; it is free after as many releases.
// py: gevent.lock.RLock
#[pyclass(frozen, weakref, subclass, module = "manyhands.gevent.lock")]
pub(crate) struct RLock {
    block: Py<Semaphore>,
    held: <Interpreter as Exclusion>::Cell<Held>,
}

#[derive(Default)]
struct Held {
    owner: Option<Py<PyAny>>,
    count: usize,
}

impl RLock {
    /// Acquires it once more if it is the greenlet's.
    #[inline(always)]
    fn again(&self, greenlet: &Bound<'_, PyAny>) -> bool {
        self.held.with(|held| {
            let is_owner = held.owner.as_ref().is_some_and(|owner| owner.is(greenlet));
            held.count += usize::from(is_owner);
            is_owner
        })
    }

    /// Notes whose it is.
    #[inline(always)]
    fn hold(&self, py: Python<'_>, owner: Option<Py<PyAny>>, count: usize) {
        let before = self.held.with(|held| std::mem::replace(held, Held { owner, count }));
        drop(before.owner.map(|owner| owner.into_bound(py)));
    }

    #[cold]
    fn not_owner(&self, greenlet: &Bound<'_, PyAny>) -> PyErr {
        let py = greenlet.py();
        let owner = self.held.with(|held| held.owner.as_ref().map(|owner| owner.clone_ref(py)));
        let owner = owner.unwrap_or_else(|| py.None()).into_bound(py);
        let why = "cannot release un-acquired lock";
        PyRuntimeError::new_err(format!("{why}. Owner: {owner:?} Current: {greenlet:?}"))
    }
}

#[inline(always)]
fn acquire<'py>(
    object: Borrowed<'_, 'py, PyAny>,
    arguments: &method::Arguments<'_, 'py>,
) -> PyResult<bool> {
    let py = object.py();
    let lock = this::<RLock>(object).get();
    let greenlet = api::current(py)?;
    if lock.again(&greenlet) {
        return Ok(true);
    }
    let block = lock.block.bind(py);
    let acquired = block.get().try_acquire()
        || arguments.flag(0, true)? && Semaphore::wait_for(block, arguments.some(1), true)?;
    if acquired {
        lock.hold(py, Some(greenlet.unbind()), 1);
    }
    Ok(acquired)
}

#[inline(always)]
fn release(object: Borrowed<'_, '_, PyAny>) -> PyResult<()> {
    let py = object.py();
    let lock = this::<RLock>(object).get();
    let greenlet = api::current(py)?;
    let released = lock.held.with(|held| {
        if !held.owner.as_ref().is_some_and(|owner| owner.is(&greenlet)) {
            return None;
        }
        held.count = held.count.saturating_sub(1);
        Some(if held.count == 0 { held.owner.take() } else { None })
    });
    match released {
        Some(Some(owner)) => {
            drop(owner.into_bound(py));
            Semaphore::release(lock.block.bind(py)).map(drop)
        }
        Some(None) => Ok(()),
        None => Err(lock.not_owner(&greenlet)),
    }
}

#[pymethods]
impl RLock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(hub=None)")]
    fn __new__(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<RLock> {
        let block = py.get_type::<Semaphore>().call0()?.cast_into::<Semaphore>()?.unbind();
        Ok(RLock { block, held: Protected::new(Held::default()) })
    }

    #[pyo3(signature = (hub=None))]
    fn __init__(&self, py: Python<'_>, hub: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        match hub {
            Some(hub) => self.block.bind(py).as_any().setattr("hub", hub),
            None => Ok(()),
        }
    }

    /// The semaphore behind it.
    #[getter]
    fn _block(&self, py: Python<'_>) -> Py<Semaphore> {
        self.block.clone_ref(py)
    }

    /// The greenlet whose it is.
    #[getter]
    fn _owner(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.held.with(|held| held.owner.as_ref().map(|owner| owner.clone_ref(py)))
    }

    /// How often it was acquired.
    #[getter]
    fn _count(&self) -> usize {
        self.held.with(|held| held.count)
    }

    /// Whether anybody has it.
    // py: gevent.lock.RLock.locked
    fn locked(&self) -> bool {
        self._count() > 0
    }

    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        let greenlet = api::current(py)?;
        let owner = self._owner(py);
        Ok(owner.is_some_and(|owner| owner.into_bound(py).is(&greenlet)))
    }

    /// Make it free, whoever had it, and forget who did; for a forked child.
    fn _at_fork_reinit(&self, py: Python<'_>) -> PyResult<()> {
        self.hold(py, None, 0);
        let block = self.block.bind(py).as_any();
        block.call_method0("_at_fork_reinit")?;
        block.setattr("counter", 1)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, this, address) = (slf.py(), slf.get(), slf.as_ptr() as usize);
        let (name, block) = (slf.get_type().name()?, this.block.bind(py));
        let owner = this._owner(py).unwrap_or_else(|| py.None()).into_bound(py);
        let count = this._count();
        Ok(format!("<{name} at {address:#x} _block={block} _count={count} _owner={owner:?})>"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.block)?;
        self.held.with(|held| visit.call(&held.owner))
    }

    fn __clear__(&self) {
        let held = self.held.with(std::mem::take);
        drop(held);
    }
}

// py: gevent.lock.RLock.acquire
function!(
    Acquire,
    c"acquire",
    c"acquire($self, blocking=True, timeout=None)\n--\n\nAcquire it; wait while another greenlet has it, unless `blocking` is false, and at most so many seconds if that is\nsaid. Returns whether that was done.",
    ["blocking", "timeout"],
    0,
    |object, arguments| {
        let acquired = acquire(object, arguments)?;
        Ok(PyBool::new(object.py(), acquired).to_owned().into_any())
    }
);

// py: gevent.lock.RLock.__enter__
function!(
    Enter,
    c"__enter__",
    c"__enter__($self, /)\n--\n\nAcquire it.",
    [],
    0,
    |object, arguments| {
        let acquired = acquire(object, arguments)?;
        Ok(PyBool::new(object.py(), acquired).to_owned().into_any())
    }
);

// py: gevent.lock.RLock.release
function!(
    Release,
    c"release",
    c"release($self, /)\n--\n\nTake back one acquire(). RuntimeError if another greenlet has it, or none.",
    [],
    0,
    |object, _arguments| {
        release(object)?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

// py: gevent.lock.RLock.__exit__
function!(
    Exit,
    c"__exit__",
    c"__exit__($self, t, v, tb, /)\n--\n\nTake back one acquire().",
    ["t", "v", "tb"],
    0,
    |object, _arguments| {
        release(object)?;
        Ok(object.py().None().into_bound(object.py()))
    }
);

// py: gevent.lock.RLock._release_save
function!(
    ReleaseSave,
    c"_release_save",
    c"_release_save($self, /)\n--\n\nMake it free; returns what _acquire_restore() wants. For condition variables.",
    [],
    0,
    |object, _arguments| {
        let py = object.py();
        let lock = this::<RLock>(object).get();
        let held = lock.held.with(std::mem::take);
        let owner = held.owner.unwrap_or_else(|| py.None()).into_bound(py);
        Semaphore::release(lock.block.bind(py))?;
        Ok((held.count, owner).into_pyobject(py)?.into_any())
    }
);

// py: gevent.lock.RLock._acquire_restore
function!(
    AcquireRestore,
    c"_acquire_restore",
    c"_acquire_restore($self, state, /)\n--\n\nAcquire it as often as it was before _release_save(). For condition variables.",
    ["state"],
    1,
    |object, arguments| {
        let py = object.py();
        let lock = this::<RLock>(object).get();
        let Some(state) = arguments.get(0) else { return Err(lock.not_owner(&object)) };
        let (count, owner) = state.extract::<(usize, Option<Bound<'_, PyAny>>)>()?;
        let block = lock.block.bind(py);
        if !block.get().try_acquire() {
            Semaphore::wait_for(block, None, true)?;
        }
        lock.hold(py, owner.map(Bound::unbind), count);
        Ok(py.None().into_bound(py))
    }
);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RLock>()?;
    let class = module.py().get_type::<RLock>();
    method::add_method::<Acquire>(&class)?;
    method::add_method::<Enter>(&class)?;
    method::add_method::<Release>(&class)?;
    method::add_method::<Exit>(&class)?;
    method::add_method::<ReleaseSave>(&class)?;
    method::add_method::<AcquireRestore>(&class)
}
