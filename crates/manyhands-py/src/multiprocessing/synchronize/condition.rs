//! `manyhands.multiprocessing.synchronize.Condition`

use std::sync::OnceLock;

use manyhands_shm as shm;
use manyhands_shm::{Kind, Limit};
use pyo3::exceptions::{PyAssertionError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit, intern};

use super::lock::Lock;
use super::rlock::RLock;
use super::{Late, Outside, limit};
use crate::fast::short_cut;
use crate::made::Made;

/// A condition variable between processes.
// py: multiprocessing.synchronize.Condition
#[pyclass(frozen, subclass, module = "manyhands._native.multiprocessing")]
pub(crate) struct Condition {
    made: Made,
    shared: Late<shm::Condition>,
    lock: OnceLock<AnyLock>,
}

/// The lock of a condition.
enum AnyLock {
    /// A plain one of ours, so that its methods are known.
    Lock(Py<Lock>),
    /// As above.
    RLock(Py<RLock>),
    /// Anything else that has a `_semlock`, as the stdlib's locks and subclasses of ours.
    Other(Py<PyAny>),
}

impl AnyLock {
    fn is_mine(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            AnyLock::Lock(lock) => lock.get().core().map(shm::Lock::is_mine),
            AnyLock::RLock(lock) => lock.get().core().map(shm::RLock::is_mine),
            AnyLock::Other(lock) => {
                let semlock = lock.bind(py).getattr(intern!(py, "_semlock"))?;
                semlock.call_method0(intern!(py, "_is_mine"))?.is_truthy()
            }
        }
    }

    /// Releases it as often as it was acquired, and says how often that was.
    fn release_for_wait(&self, py: Python<'_>) -> PyResult<u32> {
        match self {
            AnyLock::Lock(lock) => lock.get().free().map(|()| 1),
            AnyLock::RLock(lock) => lock.get().free_all(),
            AnyLock::Other(lock) => {
                let lock = lock.bind(py);
                let semlock = lock.getattr(intern!(py, "_semlock"))?;
                let count: u32 = semlock.call_method0(intern!(py, "_count"))?.extract()?;
                for _ in 0..count {
                    lock.call_method0(intern!(py, "release"))?;
                }
                Ok(count)
            }
        }
    }

    /// Acquires it again, so often, for somebody who must have it before he may raise: that error, if
    /// there is one already.
    fn reacquire(&self, py: Python<'_>, count: u32, error: Option<PyErr>) -> PyResult<()> {
        match self {
            AnyLock::Lock(lock) => lock.get().reacquire(py, error),
            AnyLock::RLock(lock) => lock.get().reacquire(py, count, error),
            AnyLock::Other(lock) => {
                for _ in 0..count {
                    if let Err(second) = lock.call_method0(py, intern!(py, "acquire")) {
                        if error.is_some() {
                            second.set_context(py, error);
                        }
                        return Err(second);
                    }
                }
                error.map_or(Ok(()), Err)
            }
        }
    }
}

impl Condition {
    fn lock(&self) -> PyResult<&AnyLock> {
        self.lock.get().ok_or_else(super::not_initialized)
    }

    /// With all who wait in reach.
    fn reached(&self) -> PyResult<&shm::Condition> {
        let shared = self.shared.get()?;
        shared.reach().map_err(super::arena::error)?;
        Ok(shared)
    }

    fn check_mine(&self, py: Python<'_>, complaint: &'static str) -> PyResult<&AnyLock> {
        let lock = self.lock()?;
        if lock.is_mine(py)? { Ok(lock) } else { Err(PyAssertionError::new_err(complaint)) }
    }

    /// Gives up the lock, waits for a notice within the limit, acquires the lock again.
    fn wait_within(&self, py: Python<'_>, limit: Limit) -> PyResult<bool> {
        let lock = self.check_mine(py, "must acquire() condition before using wait()")?;
        let shared = self.shared.get()?;
        let mut waiting = shared.enlist().map_err(super::arena::error)?;
        let count = lock.release_for_wait(py)?;
        let (notified, error) = match waiting.wait_with(&Outside(py), limit) {
            Ok(notified) => (notified, None),
            Err(error) => (false, Some(error)),
        };
        let reacquired = lock.reacquire(py, count, error);
        // Whoever is killed up to here passes his notice on.
        drop(waiting);
        reacquired.map(|()| notified)
    }
}

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __new__(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Condition {
        Condition { made: Made::new(), shared: Late::new(), lock: OnceLock::new() }
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Makes it a new one for which nobody waits.
    fn _create(&self) -> PyResult<()> {
        self.shared.create(Kind::Condition).map(drop)
    }

    /// Makes it that of another process.
    fn _open(&self, arena: u64, block: u64) -> PyResult<()> {
        self.shared.open(Kind::Condition, arena, block)
    }

    /// What `_open` of another process takes.
    fn _reference(&self) -> PyResult<(u64, u64)> {
        self.shared.reference()
    }

    /// Gives it its lock; `plain` says that the methods of that one are those of its native class.
    fn _attach(&self, lock: &Bound<'_, PyAny>, plain: bool) -> PyResult<()> {
        let any = if let (true, Ok(lock)) = (plain, lock.cast::<RLock>()) {
            AnyLock::RLock(lock.clone().unbind())
        } else if let (true, Ok(lock)) = (plain, lock.cast::<Lock>()) {
            AnyLock::Lock(lock.clone().unbind())
        } else {
            AnyLock::Other(lock.clone().unbind())
        };
        self.lock
            .set(any)
            .map_err(|_| PyRuntimeError::new_err("the condition has its lock already"))
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.lock()? {
            AnyLock::Lock(lock) => lock.bind(py).as_any().clone(),
            AnyLock::RLock(lock) => lock.bind(py).as_any().clone(),
            AnyLock::Other(lock) => lock.bind(py).clone(),
        })
    }

    /// How many wait.
    fn _waiters(&self) -> PyResult<usize> {
        self.reached().map(shm::Condition::waiters)
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let entered = match self.lock()? {
            AnyLock::Lock(lock) => lock.get().acquire_within(py, Limit::Forever)?,
            AnyLock::RLock(lock) => lock.get().acquire_within(py, Limit::Forever)?,
            AnyLock::Other(lock) => return lock.bind(py).call_method0(intern!(py, "__enter__")),
        };
        Ok(PyBool::new(py, entered).to_owned().into_any())
    }

    #[pyo3(signature = (*args))]
    fn __exit__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.lock()? {
            AnyLock::Lock(lock) => lock.get().free()?,
            AnyLock::RLock(lock) => lock.get().free()?,
            AnyLock::Other(lock) => {
                return lock.bind(py).call_method1(intern!(py, "__exit__"), args).map(Some);
            }
        }
        Ok(None)
    }

    /// Give up the lock, wait for a notice (as long as it takes, or `timeout` seconds), and acquire
    /// the lock again. Returns whether a notice came. AssertionError if the lock is not held.
    // py: multiprocessing.synchronize.Condition.wait
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.wait_within(py, limit(true, timeout)?)
    }

    /// Let up to `n` of those who wait go on, longest first. AssertionError if the lock is not held.
    // py: multiprocessing.synchronize.Condition.notify
    #[pyo3(signature = (n=1))]
    fn notify(&self, py: Python<'_>, n: isize) -> PyResult<()> {
        self.check_mine(py, "lock is not owned")?;
        self.reached()?.notify(usize::try_from(n).unwrap_or(0));
        Ok(())
    }

    /// Let all who wait go on. AssertionError if the lock is not held.
    // py: multiprocessing.synchronize.Condition.notify_all
    fn notify_all(&self, py: Python<'_>) -> PyResult<()> {
        self.check_mine(py, "lock is not owned")?;
        self.reached()?.notify_all();
        Ok(())
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

// py: multiprocessing.synchronize.Condition.notify
short_cut!(Notify, Condition, c"notify", |call| {
    let this = call.this.get();
    let done = call.count() == 0
        && match this.lock.get()? {
            AnyLock::Lock(lock) => lock.get().known()?.is_mine(),
            AnyLock::RLock(lock) => lock.get().known()?.is_mine(),
            AnyLock::Other(_) => false,
        };
    if done {
        let shared = this.shared.known()?;
        shared.reach().ok()?;
        shared.notify(1);
    }
    done.then(|| call.py().None().into_bound(call.py()))
});

// py: multiprocessing.synchronize.Condition.__enter__
short_cut!(Enter, Condition, c"__enter__", |call| {
    let done = match call.this.get().lock.get()? {
        AnyLock::Lock(lock) => lock.get().known()?.try_acquire(),
        AnyLock::RLock(lock) => lock.get().known()?.try_acquire(),
        AnyLock::Other(_) => false,
    };
    done.then(|| PyBool::new(call.py(), true).to_owned().into_any())
});

// py: multiprocessing.synchronize.Condition.__exit__
short_cut!(Exit, Condition, c"__exit__", |call| {
    let done = match call.this.get().lock.get()? {
        AnyLock::Lock(lock) => lock.get().known()?.release().is_ok(),
        AnyLock::RLock(lock) => lock.get().known()?.release().is_ok(),
        AnyLock::Other(_) => false,
    };
    done.then(|| call.py().None().into_bound(call.py()))
});
