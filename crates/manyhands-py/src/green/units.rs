//! What semaphores count, and how greenlets and threads wait for it.

use std::sync::atomic::AtomicUsize;

use manyhands_sync::{Exclusion, Protected, ThreadId};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::home;
use super::links::{self, Linkable, Waits};
use super::park::{Thrown, Woken};
use super::waiting::{Patience, Waiter};
use crate::exclusion::Interpreter;

/// A counter of what may be used at the same time; greenlets wait while it is 0.
///
/// `acquire()` takes one, `release()` gives one back, whoever had it. Those who wait have their turn in the order in
/// which they came; but a greenlet that runs and finds one free has it at once. It may be used by several threads, with
/// and without hubs of their own.
// py: gevent.lock.Semaphore
#[pyclass(frozen, weakref, subclass, module = "manyhands.gevent.lock")]
pub(crate) struct Semaphore {
    pub(super) cell: <Interpreter as Exclusion>::Cell<Units>,
    /// What a bounded one may not go beyond.
    pub(super) bound: AtomicUsize,
}

pub(super) struct Units {
    /// The counter is `waits.most`.
    pub(super) waits: Waits,
    pub(super) users: Users,
}

/// Which threads have acquired it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Users {
    Nobody,
    One(ThreadId),
    Several,
}

impl Users {
    #[inline]
    fn note(&mut self) {
        let thread = ThreadId::current();
        match *self {
            Users::One(other) if other == thread => {}
            Users::Nobody => *self = Users::One(thread),
            Users::One(_) => *self = Users::Several,
            Users::Several => {}
        }
    }
}

impl Linkable for Semaphore {
    #[inline(always)]
    fn with<R>(&self, body: impl FnOnce(&mut Waits) -> R) -> R {
        self.cell.with(|units| body(&mut units.waits))
    }

    #[inline(always)]
    fn is_ready(&self) -> bool {
        self.with(|waits| waits.most > 0)
    }
}

impl Semaphore {
    pub(super) fn new() -> Self {
        let units = Units { waits: Waits::new(u64::MAX, 1), users: Users::Nobody };
        Semaphore { cell: Protected::new(units), bound: AtomicUsize::new(usize::MAX) }
    }

    /// Takes one if there is one.
    #[inline(always)]
    pub(super) fn try_acquire(&self) -> bool {
        self.cell.with(|units| {
            units.users.note();
            let free = units.waits.most > 0;
            units.waits.most -= usize::from(free);
            free
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.with(|waits| waits.most)
    }

    /// Gives one back; how many there are then.
    #[inline(always)]
    pub(super) fn release(this: &Bound<'_, Self>) -> PyResult<usize> {
        let (count, has_to_post) = this.get().with(|waits| {
            waits.most += 1;
            (waits.most, !waits.line.is_empty() && waits.advance())
        });
        if has_to_post {
            links::post(this)?;
        }
        Ok(count)
    }

    /// Waits for one, and takes it if that is said. Whether it was in time.
    #[cold]
    pub(super) fn wait_for(
        this: &Bound<'_, Self>,
        timeout: Option<Borrowed<'_, '_, PyAny>>,
        takes: bool,
    ) -> PyResult<bool> {
        let py = this.py();
        let is_shared = this.get().cell.with(|units| units.users == Users::Several);
        let mut patience = Patience::new(timeout)?;
        if is_shared {
            patience = patience.with_threads();
        }
        let waited = Semaphore::wait_in_line(this, &patience, is_shared, takes);
        patience.stop(py)?;
        match waited {
            Err(thrown) if patience.is_over(py, &thrown.error) => Ok(false),
            waited => Ok(waited?),
        }
    }

    fn wait_in_line(
        this: &Bound<'_, Self>,
        patience: &Patience<'_>,
        is_shared: bool,
        takes: bool,
    ) -> Result<bool, Box<Thrown>> {
        let py = this.py();
        let mut came_before = false;
        loop {
            // A hub of its own would do a thread that has none no good: its other greenlets are none.
            let waiter = if is_shared && home::home().is_none() {
                Waiter::thread()
            } else {
                Waiter::greenlet(py).map_err(Thrown::new)?
            };
            let has_to_post = this.get().with(|waits| {
                if came_before {
                    waits.line.come_back(waiter.clone());
                } else {
                    waits.line.enter(waiter.clone());
                }
                waits.advance()
            });
            let posted = if has_to_post { post(this) } else { Ok(()) };
            let waited = waiter.wait(py, patience);
            let (taken, has_to_post) = this.get().with(|waits| {
                let mut taken = false;
                match &waited {
                    Ok(Woken::Notified) => {
                        waits.line.arrive();
                        taken = waits.most > 0;
                        waits.most -= usize::from(taken && takes);
                    }
                    Err(thrown) if thrown.notified => waits.line.arrive(),
                    _ => drop(waits.line.leave(&waiter)),
                }
                // If it was woken for one that it does not take, somebody else may have that; not those behind it if
                // it comes back.
                let comes_back = !taken && matches!(waited, Ok(Woken::Notified));
                (taken, !comes_back && waits.advance())
            });
            if has_to_post {
                post(this)?;
            }
            posted?;
            match waited {
                Ok(Woken::Notified) if taken || !takes => return Ok(true),
                Ok(Woken::Notified) => came_before = true,
                Ok(Woken::TimedOut) => return Ok(false),
                Err(thrown) => return Err(thrown),
            }
        }
    }

    pub(super) fn set(&self, value: isize) -> PyResult<usize> {
        let value = usize::try_from(value)
            .map_err(|_| PyValueError::new_err("semaphore initial value must be >= 0"))?;
        self.with(|waits| waits.most = value);
        Ok(value)
    }

    pub(super) fn set_hub(&self, hub: Option<Bound<'_, PyAny>>) {
        let hub = hub.map(Bound::unbind);
        let before = self.with(|waits| std::mem::replace(&mut waits.hub, hub));
        drop(before);
    }
}

#[inline(never)]
fn post(this: &Bound<'_, Semaphore>) -> Result<(), Box<Thrown>> {
    links::post(this).map_err(Thrown::new)
}
