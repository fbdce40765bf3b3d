//! A counter that threads take from and give to.

use std::fmt;

use manyhands_watch::Kind;
use thiserror::Error;

use crate::gate::certain;
use crate::{Exclusion, Gate, Limit, Locked, Patient, Protected, Waitable, Waits, Wakes, block};

/// A semaphore: a counter that [`acquire`](Semaphore::acquire) takes one from, waiting while there
/// is none, and [`release`](Semaphore::release) adds to; with a bound or without.
///
/// ```
/// use manyhands_sync::Semaphore;
///
/// let doors: Semaphore = Semaphore::bounded(1);
/// doors.acquire();
/// doors.release(1).unwrap();
/// assert!(doors.release(1).is_err());
/// ```
///
/// # References
/// `threading.Semaphore`, `threading.BoundedSemaphore` in the Python library reference.
#[doc(alias = "threading.Semaphore")]
#[doc(alias = "threading.BoundedSemaphore")]
pub struct Semaphore<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

struct State {
    /// How many can be taken.
    value: usize,
    /// What `value` may not exceed.
    bound: Option<usize>,
    waits: Waits<1>,
}

/// The semaphore would exceed its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Semaphore released too many times")]
pub struct TooManyReleases;

impl<X: Exclusion> Semaphore<X> {
    /// A semaphore without a bound.
    pub fn new(value: usize) -> Self {
        Semaphore { cell: X::Cell::new(State { value, bound: None, waits: Waits::default() }) }
    }

    /// A semaphore that cannot be released more often than acquired.
    pub fn bounded(value: usize) -> Self {
        let state = State { value, bound: Some(value), waits: Waits::default() };
        Semaphore { cell: X::Cell::new(state) }
    }

    /// Takes one, waiting as long as it takes.
    #[doc(alias = "threading.Semaphore.acquire")]
    pub fn acquire(&self) {
        certain(self.acquire_with(&Patient, Limit::Forever));
    }

    /// Takes one within a limit; false if that was reached.
    ///
    /// # Errors
    /// Those of the gate.
    #[inline]
    pub fn acquire_with<G: Gate>(&self, gate: &G, limit: Limit) -> Result<bool, G::Error> {
        if self.try_acquire() {
            return Ok(true);
        }
        if limit == Limit::Never {
            return Ok(false);
        }
        self.acquire_slow(gate, limit)
    }

    /// Takes one if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.cell.with(|state| {
            let some = state.value > 0;
            if some {
                state.value -= 1;
            }
            some
        })
    }

    #[cold]
    fn acquire_slow<G: Gate>(&self, gate: &G, limit: Limit) -> Result<bool, G::Error> {
        let got = block(&self.cell, 0, "acquire", gate, limit, |state: &mut State, wakes| {
            state.value = state.value.checked_sub(1)?;
            if state.value > 0 {
                state.waits.wake_one(0, wakes);
            }
            Some(())
        })?;
        Ok(got.is_some())
    }

    /// Adds `count`.
    ///
    /// # Errors
    /// [`TooManyReleases`] beyond the bound; nothing is added then.
    #[doc(alias = "threading.Semaphore.release")]
    #[inline]
    pub fn release(&self, count: usize) -> Result<(), TooManyReleases> {
        let mut wakes = Wakes::default();
        let result = self.cell.with(|state| {
            let value = state.value.checked_add(count).ok_or(TooManyReleases)?;
            if state.bound.is_some_and(|bound| value > bound) {
                return Err(TooManyReleases);
            }
            state.value = value;
            state.waits.wake_one(0, &mut wakes);
            Ok(())
        });
        wakes.send();
        result
    }

    /// How many can be taken at this moment.
    #[inline]
    pub fn value(&self) -> usize {
        self.cell.with(|state| state.value)
    }

    /// What the value may not exceed, if there is a bound.
    pub fn bound(&self) -> Option<usize> {
        self.cell.with(|state| state.bound)
    }

    /// Starts anew with `value`, as the bound too if there is to be one.
    pub fn reset(&self, value: usize, bounded: bool) {
        let bound = bounded.then_some(value);
        let fresh = State { value, bound, waits: Waits::default() };
        let old = self.cell.with(|state| std::mem::replace(state, fresh));
        drop(old);
    }
}

impl Waitable<1> for State {
    fn kind(&self) -> Kind {
        if self.bound.is_some() { Kind::BoundedSemaphore } else { Kind::Semaphore }
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }
}

impl<X: Exclusion> fmt::Debug for Semaphore<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Semaphore").field("value", &self.value()).finish()
    }
}
