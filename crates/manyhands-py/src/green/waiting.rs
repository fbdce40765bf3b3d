//! How a greenlet, or a thread that has no hub, waits in the line of a primitive.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use manyhands_green::Wakeable;
use manyhands_sync::{Deadline, Gate, Waits, Wakes};
use manyhands_watch::Kind;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt, PyType};

use super::park::{self, Thrown, Ticket, Woken};
use super::seconds;
use crate::gate::Outside;

/// As good as for ever.
const AGES: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Who waits.
#[derive(Clone)]
pub(super) enum Waiter {
    /// A greenlet; its hub goes on meanwhile.
    Greenlet(Ticket),
    /// A thread without a hub.
    Thread(Arc<Sleeper>),
}

/// A thread that sleeps until it is woken, or the process is another, forked one, where nobody sleeps.
pub(super) struct Sleeper {
    waits: Mutex<Waits<1>>,
    waiter: Arc<manyhands_sync::Waiter>,
}

impl PartialEq for Waiter {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Waiter::Greenlet(one), Waiter::Greenlet(other)) => one == other,
            (Waiter::Thread(one), Waiter::Thread(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Wakeable for Waiter {
    #[inline]
    fn wake(&self) -> bool {
        match self {
            Waiter::Greenlet(ticket) => ticket.wake(),
            Waiter::Thread(sleeper) => sleeper.wake(),
        }
    }
}

impl Sleeper {
    fn with<R>(&self, body: impl FnOnce(&mut Waits<1>) -> R) -> R {
        body(&mut self.waits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wake(&self) -> bool {
        let mut wakes = Wakes::default();
        self.with(|waits| waits.wake_all(0, &mut wakes));
        let waited = !wakes.is_empty();
        wakes.send();
        waited
    }

    fn sleep(&self, py: Python<'_>, deadline: Option<Instant>) -> Result<Woken, Box<Thrown>> {
        let deadline =
            deadline.map(|it| Deadline::after(it.saturating_duration_since(Instant::now())));
        let waited = Outside(py).wait(&self.waiter, deadline);
        let notified = !self.with(|waits| waits.withdraw(0, &self.waiter));
        match waited {
            Ok(_) if notified => Ok(Woken::Notified),
            Ok(_) => Ok(Woken::TimedOut),
            Err(error) => Err(Box::new(Thrown { error, notified })),
        }
    }
}

impl Waiter {
    /// The greenlet that runs. It has to [`wait`](Waiter::wait) next.
    #[inline]
    pub(super) fn greenlet(py: Python<'_>) -> PyResult<Waiter> {
        park::ticket(py).map(Waiter::Greenlet)
    }

    /// The thread that runs, which has no hub.
    pub(super) fn thread() -> Waiter {
        let mut waits = Waits::default();
        let waiter = waits.enlist(Kind::Semaphore, 0, false);
        Waiter::Thread(Arc::new(Sleeper { waits: Mutex::new(waits), waiter }))
    }

    /// Waits until this is woken, or the time is up.
    #[inline]
    pub(super) fn wait(
        &self,
        py: Python<'_>,
        patience: &Patience<'_>,
    ) -> Result<Woken, Box<Thrown>> {
        match self {
            Waiter::Greenlet(ticket) => park::park(py, *ticket, patience.deadline()),
            Waiter::Thread(sleeper) => sleeper.sleep(py, patience.deadline()),
        }
    }
}

/// Whether it is a `Timeout`, which stands for its seconds where a limit is wanted.
pub(super) fn is_timeout(timeout: Borrowed<'_, '_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if timeout.is_exact_instance_of::<PyFloat>() || timeout.is_exact_instance_of::<PyInt>() {
        return Ok(false);
    }
    let class = CLASS.import(timeout.py(), "manyhands.gevent.timeout", "Timeout")?;
    timeout.is_instance(class)
}

/// How long somebody waits.
pub(super) enum Patience<'py> {
    /// As long as it takes.
    Forever,
    /// Until that moment.
    Until(Instant),
    /// Until this `Timeout` of the caller's is raised.
    Timeout(Bound<'py, PyAny>),
}

impl<'py> Patience<'py> {
    /// What an argument says; `None` and what is too far to matter are for ever. A `Timeout` begins to run, and has to be
    /// [stopped](Self::stop).
    #[inline]
    pub(super) fn new(timeout: Option<Borrowed<'_, 'py, PyAny>>) -> PyResult<Patience<'py>> {
        timeout.map_or(Ok(Patience::Forever), Self::limited)
    }

    fn limited(timeout: Borrowed<'_, 'py, PyAny>) -> PyResult<Patience<'py>> {
        let py = timeout.py();
        if is_timeout(timeout)? {
            if !timeout.getattr(intern!(py, "pending"))?.is_truthy()? {
                timeout.call_method0(intern!(py, "start"))?;
            }
            return Ok(Patience::Timeout(timeout.to_owned()));
        }
        Ok(seconds::deadline(Some(&timeout))?.map_or(Patience::Forever, Patience::Until))
    }

    /// The same, for who waits for other threads, of which a hub knows nothing: one that has a timer does not say that
    /// nothing can wake its greenlets.
    pub(super) fn with_threads(self) -> Self {
        match self {
            Patience::Forever => {
                Instant::now().checked_add(AGES).map_or(Patience::Forever, Patience::Until)
            }
            limited => limited,
        }
    }

    /// When the time is up, if that is a moment.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Patience::Until(deadline) => Some(*deadline),
            Patience::Forever | Patience::Timeout(_) => None,
        }
    }

    /// Whether what was raised is the caller's `Timeout`.
    pub(super) fn is_over(&self, py: Python<'_>, error: &PyErr) -> bool {
        matches!(self, Patience::Timeout(timeout) if timeout.is(error.value(py)))
    }

    /// Stops the caller's `Timeout`.
    #[inline]
    pub(super) fn stop(&self, py: Python<'_>) -> PyResult<()> {
        if let Patience::Timeout(timeout) = self {
            timeout.call_method0(intern!(py, "cancel"))?;
        }
        Ok(())
    }
}
