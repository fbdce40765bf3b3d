//! How items pass from who puts to who gets: the waits of queues.

use manyhands_sync::Protected;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::items::advance;
use super::park::{Thrown, Woken};
use super::simple_queue::SimpleQueue;
use super::waiting::{self, Patience, Waiter};
use super::{api, home};
use crate::queue::Failure;

/// How long who finds a queue empty or full waits.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a, 'py> {
    pub(super) block: bool,
    pub(super) timeout: Option<Borrowed<'a, 'py, PyAny>>,
}

impl<'py> Wait<'_, 'py> {
    /// ValueError if it is less than no time.
    #[inline]
    fn check(self) -> PyResult<()> {
        match self.timeout {
            Some(timeout) if self.block => not_negative(timeout),
            _ => Ok(()),
        }
    }

    /// What is raised in the hub, and if there is to be no wait.
    fn patience(self, py: Python<'py>, otherwise: Failure) -> PyResult<Patience<'py>> {
        self.check()?;
        if !self.block || home::is_hub(&api::current(py)?) {
            return Err(otherwise.raise(py));
        }
        Patience::new(self.timeout)
    }
}

#[cold]
fn not_negative(timeout: Borrowed<'_, '_, PyAny>) -> PyResult<()> {
    if !waiting::is_timeout(timeout)? && timeout.lt(0)? {
        return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
    }
    Ok(())
}

/// Puts an item in, when there is room.
#[inline(always)]
pub(super) fn put<'py>(
    this: &Bound<'py, SimpleQueue>,
    item: &Bound<'py, PyAny>,
    wait: Wait<'_, 'py>,
) -> PyResult<()> {
    if wait.timeout.is_some() && !this.get().cell.with(|state| state.is_shut) {
        wait.check()?;
    }
    if SimpleQueue::try_put(this, item)? { Ok(()) } else { put_later(this, item, wait) }
}

fn put_later<'py>(
    this: &Bound<'py, SimpleQueue>,
    item: &Bound<'py, PyAny>,
    wait: Wait<'_, 'py>,
) -> PyResult<()> {
    let patience = wait.patience(this.py(), Failure::Full)?;
    let put = put_in_line(this, item, &patience);
    patience.stop(this.py())?;
    put
}

/// Offers the item, and waits in line until it was taken, or there is room for it.
fn put_in_line<'py>(
    this: &Bound<'py, SimpleQueue>,
    item: &Bound<'py, PyAny>,
    patience: &Patience<'_>,
) -> PyResult<()> {
    let (py, queue) = (this.py(), this.get());
    let mut came_before = false;
    loop {
        let waiter = Waiter::greenlet(py)?;
        let offer = (waiter.clone(), item.clone().unbind());
        queue.cell.with(|state| {
            if came_before {
                state.putters.come_back(waiter.clone());
                state.offers.push_front(offer);
            } else {
                state.putters.enter(waiter.clone());
                state.offers.push_back(offer);
            }
        });
        // Where several threads run at once there may be room meanwhile.
        let advanced =
            if cfg!(Py_GIL_DISABLED) { SimpleQueue::advance_putters(this) } else { Ok(()) };
        let waited = waiter.wait(py, patience);
        let left = queue.cell.with(|state| {
            match &waited {
                Ok(Woken::Notified) => state.putters.arrive(),
                Err(thrown) if thrown.notified => state.putters.arrive(),
                _ => drop(state.putters.leave(&waiter)),
            }
            state.take_back(&waiter)
        });
        let is_left = left.map(|offer| drop(offer.into_bound(py))).is_some();
        let put = match waited {
            // The room that it may have been woken for is the next one's.
            Ok(_) if !is_left => return SimpleQueue::advance_putters(this),
            Ok(Woken::Notified) => advanced.and_then(|()| SimpleQueue::try_put(this, item)),
            Ok(Woken::TimedOut) => Err(Failure::Full.raise(py)),
            Err(thrown) => Err(thrown.error),
        };
        match put {
            Ok(true) => return Ok(()),
            Ok(false) => came_before = true,
            Err(error) => {
                // What it was woken for is for the next.
                SimpleQueue::advance_putters(this)?;
                return Err(error);
            }
        }
    }
}

/// The next item, when there is one.
#[inline(always)]
pub(super) fn get<'py>(
    this: &Bound<'py, SimpleQueue>,
    takes: bool,
    wait: Wait<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    match SimpleQueue::try_get(this, takes)? {
        Some(item) => Ok(item),
        None => get_later(this, takes, wait),
    }
}

fn get_later<'py>(
    this: &Bound<'py, SimpleQueue>,
    takes: bool,
    wait: Wait<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let is_shut = || this.get().cell.with(|state| state.is_shut);
    if is_shut() {
        return Err(Failure::ShutDown.raise(py));
    }
    let patience = wait.patience(py, Failure::Empty)?;
    let got = get_in_line(this, takes, &patience);
    patience.stop(py)?;
    if !takes && got.is_ok() {
        // It has left the item for the next.
        SimpleQueue::advance_getters(this)?;
    }
    Ok(got?)
}

/// Waits in line until there is an item. Who is woken for one and does not take it, as it is killed or a hook raises, hands it on.
fn get_in_line<'py>(
    this: &Bound<'py, SimpleQueue>,
    takes: bool,
    patience: &Patience<'_>,
) -> Result<Bound<'py, PyAny>, Box<Thrown>> {
    let (py, queue) = (this.py(), this.get());
    let mut came_before = false;
    loop {
        let waiter = Waiter::greenlet(py).map_err(Thrown::new)?;
        queue.cell.with(|state| {
            if came_before {
                state.getters.come_back(waiter.clone());
            } else {
                state.getters.enter(waiter.clone());
            }
        });
        // Where several threads run at once there may be an item meanwhile.
        let advanced = if cfg!(Py_GIL_DISABLED) {
            SimpleQueue::advance_getters(this).map_err(Thrown::new)
        } else {
            Ok(())
        };
        let waited = waiter.wait(py, patience);
        queue.cell.with(|state| match &waited {
            Ok(Woken::Notified) => state.getters.arrive(),
            Err(thrown) if thrown.notified => state.getters.arrive(),
            _ => drop(state.getters.leave(&waiter)),
        });
        match take_what_came(this, takes, advanced.and(waited))? {
            Some(item) => return Ok(item),
            None => came_before = true,
        }
    }
}

/// After a wait: the item, or none if another was faster. Not inlined, as the wait is over.
#[inline(never)]
fn take_what_came<'py>(
    this: &Bound<'py, SimpleQueue>,
    takes: bool,
    waited: Result<Woken, Box<Thrown>>,
) -> Result<Option<Bound<'py, PyAny>>, Box<Thrown>> {
    let py = this.py();
    let got = match waited {
        Ok(Woken::Notified) => SimpleQueue::try_get(this, takes),
        Ok(Woken::TimedOut) => Err(Failure::Empty.raise(py)),
        Err(thrown) => Err(thrown.error),
    };
    match got {
        Ok(None) if this.get().cell.with(|state| state.is_shut) => {
            Err(Thrown::new(Failure::ShutDown.raise(py)))
        }
        Ok(got) => Ok(got),
        Err(error) => {
            SimpleQueue::advance_getters(this).map_err(Thrown::new)?;
            Err(Thrown::new(error))
        }
    }
}

/// Waits until nothing that was put is unfinished. Whether it was in time.
pub(super) fn join(
    this: &Bound<'_, SimpleQueue>,
    timeout: Option<Borrowed<'_, '_, PyAny>>,
) -> PyResult<bool> {
    let (py, queue) = (this.py(), this.get());
    if queue.cell.with(|state| state.unfinished == 0) {
        return Ok(true);
    }
    let patience = Patience::new(timeout)?;
    let waiter = Waiter::greenlet(py)?;
    queue.cell.with(|state| {
        state.joiners.enter(waiter.clone());
        if state.unfinished == 0 {
            advance(&mut state.joiners, usize::MAX);
        }
    });
    let waited = waiter.wait(py, &patience);
    queue.cell.with(|state| match &waited {
        Ok(Woken::Notified) => state.joiners.arrive(),
        Err(thrown) if thrown.notified => state.joiners.arrive(),
        _ => drop(state.joiners.leave(&waiter)),
    });
    patience.stop(py)?;
    match waited {
        Ok(woken) => Ok(woken == Woken::Notified),
        Err(thrown) if patience.is_over(py, &thrown.error) => Ok(false),
        Err(thrown) => Err(thrown.error),
    }
}
