//! `manyhands.threading.Condition`

use std::sync::OnceLock;

use manyhands_sync as sync;
use manyhands_sync::{Gate, Limit, Saved, Ticket};
use pyo3::exceptions::{PyDeprecationWarning, PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};

use crate::exclusion::Interpreter;
use crate::fast::short_cut;
use crate::gate::Outside;
use crate::made::Made;
use crate::threading::rlock::saved_from;
use crate::threading::{Lock, RLock};
use crate::timeout;

/// A line of threads that wait for notices, with a lock that guards what they wait for.
///
/// `lock` is a Lock, an RLock or whatever has acquire() and release(); a new RLock if it is None.
// py: threading.Condition
#[pyclass(frozen, weakref, subclass, dict, module = "manyhands.threading")]
pub(crate) struct Condition {
    made: Made,
    core: sync::Condition<Interpreter>,
    lock: OnceLock<AnyLock>,
}

/// The lock of a condition. Ours are called directly.
enum AnyLock {
    Lock(Py<Lock>),
    RLock(Py<RLock>),
    Other(Py<PyAny>),
}

/// What has to be restored when the lock is acquired again.
enum Released {
    Nothing,
    Counted(Saved),
    Other(Py<PyAny>),
}

impl AnyLock {
    fn from_object(lock: &Bound<'_, PyAny>) -> AnyLock {
        if let Ok(lock) = lock.cast_exact::<RLock>() {
            AnyLock::RLock(lock.clone().unbind())
        } else if let Ok(lock) = lock.cast_exact::<Lock>() {
            AnyLock::Lock(lock.clone().unbind())
        } else {
            AnyLock::Other(lock.clone().unbind())
        }
    }

    fn as_object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        match self {
            AnyLock::Lock(lock) => lock.bind(py).as_any(),
            AnyLock::RLock(lock) => lock.bind(py).as_any(),
            AnyLock::Other(lock) => lock.bind(py),
        }
    }

    fn is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            AnyLock::Lock(lock) => Ok(lock.get().core().is_locked()),
            AnyLock::RLock(lock) => Ok(lock.get().core().is_owned()),
            AnyLock::Other(lock) => {
                let lock = lock.bind(py);
                if let Some(is_owned) = lock.getattr_opt(intern!(py, "_is_owned"))? {
                    return is_owned.call0()?.is_truthy();
                }
                // Whoever holds a lock that does not say so cannot acquire it.
                if lock.call_method1(intern!(py, "acquire"), (false,))?.is_truthy()? {
                    lock.call_method0(intern!(py, "release"))?;
                    return Ok(false);
                }
                Ok(true)
            }
        }
    }

    fn release_for_wait(&self, py: Python<'_>) -> PyResult<Released> {
        match self {
            AnyLock::Lock(lock) => lock.get().free().map(|()| Released::Nothing),
            AnyLock::RLock(lock) => lock.get().free_all().map(Released::Counted),
            AnyLock::Other(lock) => {
                let lock = lock.bind(py);
                if let Some(save) = lock.getattr_opt(intern!(py, "_release_save"))? {
                    return Ok(Released::Other(save.call0()?.unbind()));
                }
                lock.call_method0(intern!(py, "release"))?;
                Ok(Released::Nothing)
            }
        }
    }

    fn reacquire(&self, py: Python<'_>, released: Released) -> PyResult<()> {
        match (self, released) {
            (AnyLock::Lock(lock), _) => lock.get().reacquire(py),
            (AnyLock::RLock(lock), Released::Counted(saved)) => lock.get().reacquire(py, saved),
            (AnyLock::RLock(lock), _) => lock.get().acquire_within(py, Limit::Forever).map(drop),
            (AnyLock::Other(lock), Released::Other(state)) => {
                lock.bind(py).call_method1(intern!(py, "_acquire_restore"), (state,)).map(drop)
            }
            (AnyLock::Other(lock), _) => {
                lock.bind(py).call_method0(intern!(py, "acquire")).map(drop)
            }
        }
    }

    fn owner(&self) -> Option<sync::ThreadId> {
        match self {
            AnyLock::Lock(lock) => lock.get().core().owner(),
            AnyLock::RLock(lock) => lock.get().core().holder().map(|holder| holder.owner),
            AnyLock::Other(_) => None,
        }
    }
}

impl Condition {
    /// The number under which observers know it.
    pub(crate) fn subject(&self) -> Option<u64> {
        self.core.subject()
    }

    /// A condition with that lock.
    pub(crate) fn with_lock(lock: Py<Lock>) -> Condition {
        Condition {
            made: Made::new(),
            core: sync::Condition::new(),
            lock: OnceLock::from(AnyLock::Lock(lock)),
        }
    }

    fn lock(&self, py: Python<'_>) -> PyResult<&AnyLock> {
        match self.lock.get() {
            Some(lock) => Ok(lock),
            None => {
                let lock = AnyLock::RLock(Py::new(py, RLock::new())?);
                Ok(self.lock.get_or_init(|| lock))
            }
        }
    }

    fn check_owned(&self, py: Python<'_>, to: &str) -> PyResult<&AnyLock> {
        let lock = self.lock(py)?;
        if lock.is_owned(py)? {
            return Ok(lock);
        }
        Err(PyRuntimeError::new_err(format!("cannot {to} on un-acquired lock")))
    }

    /// Gives up the lock, waits for a notice within the limit, acquires the lock again.
    pub(crate) fn wait_within(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        let lock = self.check_owned(py, "wait")?;
        let ticket = self.core.enroll(lock.owner(), limit != Limit::Forever);
        let released = match lock.release_for_wait(py) {
            Ok(released) => released,
            Err(error) => {
                self.core.withdraw(ticket);
                return Err(error);
            }
        };
        let notified = self.sleep(ticket, &Outside(py), limit);
        match (notified, lock.reacquire(py, released)) {
            (Ok(notified), Ok(())) => Ok(notified),
            (Err(error), Ok(())) | (Ok(_), Err(error)) => Err(error),
            (Err(first), Err(second)) => {
                second.set_context(py, Some(first));
                Err(second)
            }
        }
    }

    fn is_exact(slf: &Bound<'_, Self>) -> bool {
        slf.get_type().is(slf.py().get_type::<Condition>())
    }

    /// Waits once, in the way of a subclass if there is one.
    fn wait_overridden(slf: &Bound<'_, Self>, limit: Limit) -> PyResult<()> {
        let py = slf.py();
        if Condition::is_exact(slf) {
            return slf.get().wait_within(py, limit).map(drop);
        }
        let timeout = match limit {
            Limit::Until(deadline) => Some(deadline.remaining().as_secs_f64()),
            Limit::Never => Some(0.0),
            Limit::Forever => None,
        };
        slf.call_method1(intern!(py, "wait"), (timeout,)).map(drop)
    }

    fn sleep<G: Gate>(&self, ticket: Ticket, gate: &G, limit: Limit) -> Result<bool, G::Error> {
        match limit {
            Limit::Never => {
                self.core.withdraw(ticket);
                Ok(false)
            }
            Limit::Until(deadline) => self.core.wait_with(ticket, gate, Some(deadline)),
            Limit::Forever => self.core.wait_with(ticket, gate, None),
        }
    }

    /// Notifies without asking who holds the lock.
    pub(crate) fn notify_some(&self, count: usize) {
        self.core.notify(count);
    }
}

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(lock=None)")]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Condition {
        Condition { made: Made::new(), core: sync::Condition::new(), lock: OnceLock::new() }
    }

    #[pyo3(signature = (lock=None))]
    fn __init__(&self, lock: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        match lock {
            None => Ok(()),
            Some(lock) => {
                // What is no lock raises AttributeError here, not at first use.
                lock.getattr(intern!(lock.py(), "acquire"))?;
                lock.getattr(intern!(lock.py(), "release"))?;
                self.lock.set(AnyLock::from_object(lock)).map_err(|_| {
                    PyValueError::new_err("a Condition can be given its lock only once")
                })
            }
        }
    }

    /// Acquire the lock; arguments and result are those of the lock's method.
    // py: threading.Condition.acquire
    #[pyo3(signature = (*args, **kwargs))]
    fn acquire<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.lock(py)?.as_object(py).call_method(intern!(py, "acquire"), args, kwargs)
    }

    /// Release the lock.
    // py: threading.Condition.release
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        match self.lock(py)? {
            AnyLock::Lock(lock) => lock.get().free(),
            AnyLock::RLock(lock) => lock.get().free(),
            AnyLock::Other(lock) => lock.call_method0(py, intern!(py, "release")).map(drop),
        }
    }

    /// Whether the lock is locked, if it says so.
    // py: threading.Condition.locked
    fn locked<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock(py)?.as_object(py).call_method0(intern!(py, "locked"))
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let entered = match self.lock(py)? {
            AnyLock::Lock(lock) => lock.get().acquire_within(py, Limit::Forever)?,
            AnyLock::RLock(lock) => lock.get().acquire_within(py, Limit::Forever)?,
            AnyLock::Other(lock) => {
                return lock.bind(py).call_method0(intern!(py, "__enter__"));
            }
        };
        Ok(PyBool::new(py, entered).to_owned().into_any())
    }

    #[pyo3(signature = (exc_type=None, exc_value=None, traceback=None))]
    fn __exit__<'py>(
        &self,
        py: Python<'py>,
        exc_type: Option<&Bound<'py, PyAny>>,
        exc_value: Option<&Bound<'py, PyAny>>,
        traceback: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.lock(py)? {
            AnyLock::Lock(lock) => lock.get().free()?,
            AnyLock::RLock(lock) => lock.get().free()?,
            AnyLock::Other(lock) => {
                let arguments = (exc_type, exc_value, traceback);
                return lock.bind(py).call_method1(intern!(py, "__exit__"), arguments).map(Some);
            }
        }
        Ok(None)
    }

    /// Give up the lock, wait for a notice (as long as it takes, or `timeout` seconds), and acquire
    /// the lock again. Returns whether a notice came. RuntimeError if the lock is not held.
    // py: threading.Condition.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.wait_within(py, timeout::optional(timeout)?)
    }

    /// Wait until predicate() is true, as long as it takes or `timeout` seconds. Returns what it
    /// returned last.
    // py: threading.Condition.wait_for
    #[pyo3(signature = (predicate, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        predicate: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut limit = None;
        let mut result = predicate.call0()?;
        while !result.is_truthy()? {
            let limit = match limit {
                Some(limit) => limit,
                None => *limit.insert(timeout::optional(timeout)?),
            };
            if limit == Limit::Never {
                break;
            }
            if let Limit::Until(deadline) = limit
                && deadline.has_passed()
            {
                break;
            }
            Condition::wait_overridden(slf, limit)?;
            result = predicate.call0()?;
        }
        Ok(result)
    }

    /// Let up to `n` of those who wait go on, longest first. RuntimeError if the lock is not held.
    // py: threading.Condition.notify
    #[pyo3(signature = (n=1))]
    fn notify(&self, py: Python<'_>, n: isize) -> PyResult<()> {
        self.check_owned(py, "notify")?;
        self.core.notify(usize::try_from(n).unwrap_or(0));
        Ok(())
    }

    /// Let all who wait go on. RuntimeError if the lock is not held.
    // py: threading.Condition.notify_all
    fn notify_all(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if Condition::is_exact(slf) {
            this.check_owned(py, "notify")?;
            this.core.notify_all();
            return Ok(());
        }
        slf.call_method1(intern!(py, "notify"), (this.core.waiters(),)).map(drop)
    }

    /// A deprecated synonym of notify_all().
    #[pyo3(name = "notifyAll")]
    fn notify_all_old(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let message = c"notifyAll() is deprecated, use notify_all() instead";
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), message, 1)?;
        slf.call_method0(intern!(py, "notify_all")).map(drop)
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.lock(py)?.as_object(py).clone())
    }

    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        self.lock(py)?.is_owned(py)
    }

    fn _release_save<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.lock(py)?.release_for_wait(py)? {
            Released::Nothing => Ok(None),
            Released::Counted(saved) => {
                (saved.count, saved.owner.get()).into_pyobject(py).map(|it| Some(it.into_any()))
            }
            Released::Other(state) => Ok(Some(state.into_bound(py))),
        }
    }

    fn _acquire_restore(&self, py: Python<'_>, state: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let lock = self.lock(py)?;
        let released = match (lock, state) {
            (_, None) => Released::Nothing,
            (AnyLock::Other(_), Some(state)) => Released::Other(state.clone().unbind()),
            (_, Some(state)) => Released::Counted(saved_from(state.extract()?)),
        };
        lock.reacquire(py, released)
    }

    fn _at_fork_reinit(&self, py: Python<'_>) -> PyResult<()> {
        self.lock(py)?.as_object(py).call_method0(intern!(py, "_at_fork_reinit"))?;
        self.core.reset();
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let lock = self.lock(py)?.as_object(py).repr()?;
        Ok(format!("<Condition({lock}, {})>", self.core.waiters()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.made.is() {
            return Ok(());
        }
        match self.lock.get() {
            Some(AnyLock::Lock(lock)) => visit.call(lock),
            Some(AnyLock::RLock(lock)) => visit.call(lock),
            Some(AnyLock::Other(lock)) => visit.call(lock),
            None => Ok(()),
        }
    }
}

// py: threading.Condition.notify
short_cut!(Notify, Condition, c"notify", |call| {
    let this = call.this.get();
    let done = call.count() == 0
        && match this.lock.get()? {
            AnyLock::Lock(lock) => lock.get().core().is_locked(),
            AnyLock::RLock(lock) => lock.get().core().is_owned(),
            AnyLock::Other(_) => false,
        };
    done.then(|| {
        this.core.notify(1);
        call.py().None().into_bound(call.py())
    })
});

// py: threading.Condition.__exit__
short_cut!(Exit, Condition, c"__exit__", |call| {
    let done = call.count() == 3
        && match call.this.get().lock.get()? {
            AnyLock::Lock(lock) => lock.get().core().release().is_ok(),
            AnyLock::RLock(lock) => lock.get().core().release().is_ok(),
            AnyLock::Other(_) => false,
        };
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: threading.Condition.__enter__
short_cut!(Enter, Condition, c"__enter__", |call| {
    let done = match call.this.get().lock.get()? {
        AnyLock::Lock(lock) => lock.get().core().try_acquire(),
        AnyLock::RLock(lock) => lock.get().core().try_acquire(),
        AnyLock::Other(_) => false,
    };
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});
