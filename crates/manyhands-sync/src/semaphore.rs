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
/// # Fork safety
/// In a forked child it is as it was; threads of the parent no longer wait for it.
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
///
/// ```
/// use manyhands_sync::{Semaphore, TooManyReleases};
///
/// let semaphore: Semaphore = Semaphore::bounded(1);
/// assert_eq!(semaphore.release(1), Err(TooManyReleases));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Semaphore released too many times")]
pub struct TooManyReleases;

impl<X: Exclusion> Semaphore<X> {
    /// A semaphore without a bound.
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let semaphore: Semaphore = Semaphore::new(0);
    /// semaphore.release(3).unwrap();
    /// assert_eq!(semaphore.value(), 3);
    /// ```
    pub fn new(value: usize) -> Self {
        Semaphore { cell: X::Cell::new(State { value, bound: None, waits: Waits::default() }) }
    }

    /// A semaphore that cannot be released more often than acquired.
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let semaphore: Semaphore = Semaphore::bounded(2);
    /// assert!(semaphore.release(1).is_err());
    /// ```
    pub fn bounded(value: usize) -> Self {
        let state = State { value, bound: Some(value), waits: Waits::default() };
        Semaphore { cell: X::Cell::new(state) }
    }

    /// Takes one, waiting as long as it takes.
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let bread: Semaphore = Semaphore::new(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| bread.release(1).unwrap());
    ///     bread.acquire();
    /// });
    /// ```
    #[doc(alias = "threading.Semaphore.acquire")]
    pub fn acquire(&self) {
        certain(self.acquire_with(&Patient, Limit::Forever));
    }

    /// Takes one within a limit; false if that was reached.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::{Limit, Patient, Semaphore};
    ///
    /// let semaphore: Semaphore = Semaphore::new(1);
    /// let soon = Limit::after(Duration::from_millis(1));
    /// assert_eq!(semaphore.acquire_with(&Patient, soon), Ok(true));
    /// assert_eq!(semaphore.acquire_with(&Patient, soon), Ok(false));
    /// ```
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
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let semaphore: Semaphore = Semaphore::new(1);
    /// assert!(semaphore.try_acquire());
    /// assert!(!semaphore.try_acquire());
    /// ```
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
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let semaphore: Semaphore = Semaphore::new(0);
    /// semaphore.release(2).unwrap();
    /// assert_eq!(semaphore.value(), 2);
    /// ```
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
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let semaphore: Semaphore = Semaphore::new(7);
    /// assert_eq!(semaphore.value(), 7);
    /// ```
    #[inline]
    pub fn value(&self) -> usize {
        self.cell.with(|state| state.value)
    }

    /// What the value may not exceed, if there is a bound.
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::<manyhands_sync::Locked>::bounded(3).bound(), Some(3));
    /// assert_eq!(Semaphore::<manyhands_sync::Locked>::new(3).bound(), None);
    /// ```
    pub fn bound(&self) -> Option<usize> {
        self.cell.with(|state| state.bound)
    }

    /// Starts anew with `value`, as the bound too if there is to be one.
    ///
    /// ```
    /// use manyhands_sync::Semaphore;
    ///
    /// let semaphore: Semaphore = Semaphore::new(7);
    /// semaphore.reset(2, true);
    /// assert_eq!((semaphore.value(), semaphore.bound()), (2, Some(2)));
    /// ```
    pub fn reset(&self, value: usize, bounded: bool) {
        let bound = bounded.then_some(value);
        let fresh = State { value, bound, waits: Waits::default() };
        let old = self.cell.with(|state| std::mem::replace(state, fresh));
        drop(old);
    }

    /// The number under which observers know it, see [`manyhands_watch::Subject::id`]; `None` if
    /// nobody has ever waited for it.
    pub fn subject(&self) -> Option<u64> {
        self.cell.with(|state| state.waits.subject())
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
