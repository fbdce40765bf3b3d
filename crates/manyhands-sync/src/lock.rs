//! The lock that anybody may release.

use std::fmt;

use manyhands_watch::Kind;
use thiserror::Error;

use crate::gate::certain;
use crate::shim::current_thread;
use crate::{
    Exclusion, Gate, Limit, Locked, Patient, Protected, ThreadId, Waitable, Waits, Wakes, block,
};

/// A lock that is not reentrant, and that any thread may release.
///
/// It knows who acquired it, see [`Lock::owner`].
///
/// ```
/// use manyhands_sync::Lock;
///
/// let lock: Lock = Lock::new();
/// {
///     let _held = lock.hold();
///     assert!(lock.is_locked());
/// }
/// assert!(!lock.is_locked());
/// ```
///
/// # Fork safety
/// In a forked child it is as it was; threads of the parent no longer wait for it.
///
/// # References
/// `threading.Lock` in the Python library reference.
#[doc(alias = "threading.Lock")]
pub struct Lock<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

struct State {
    /// Who acquired it; `None` while it is free. Written by who acquires and who releases.
    owner: Option<ThreadId>,
    waits: Waits<1>,
}

/// The lock was not held when it was released.
///
/// ```
/// use manyhands_sync::{Lock, NotHeld};
///
/// let lock: Lock = Lock::new();
/// assert_eq!(lock.release(), Err(NotHeld));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("release unlocked lock")]
pub struct NotHeld;

impl<X: Exclusion> Lock<X> {
    /// A lock that is free.
    ///
    /// ```
    /// let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// assert!(!lock.is_locked());
    /// ```
    pub fn new() -> Self {
        Lock { cell: X::Cell::new(State { owner: None, waits: Waits::default() }) }
    }

    /// Acquires the lock, waiting as long as it takes.
    ///
    /// ```
    /// # let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// lock.acquire();
    /// lock.release().expect("it is held");
    /// ```
    #[doc(alias = "threading.Lock.acquire")]
    pub fn acquire(&self) {
        certain(self.acquire_with(&Patient, Limit::Forever));
    }

    /// Acquires the lock; the guard releases it.
    ///
    /// ```
    /// # let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// {
    ///     let _held = lock.hold();
    ///     assert!(lock.is_locked());
    /// }
    /// assert!(!lock.is_locked());
    /// ```
    pub fn hold(&self) -> LockGuard<'_, X> {
        self.acquire();
        LockGuard(self)
    }

    /// Acquires the lock within a limit; false if that was reached.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::{Limit, Lock, Patient};
    ///
    /// let lock: Lock = Lock::new();
    /// let soon = Limit::after(Duration::from_millis(1));
    /// assert_eq!(lock.acquire_with(&Patient, soon), Ok(true));
    /// assert_eq!(lock.acquire_with(&Patient, soon), Ok(false));
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

    /// Acquires the lock if it is free.
    ///
    /// ```
    /// # let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// assert!(lock.try_acquire());
    /// assert!(!lock.try_acquire());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.cell.with(State::take)
    }

    #[cold]
    fn acquire_slow<G: Gate>(&self, gate: &G, limit: Limit) -> Result<bool, G::Error> {
        let got = block(&self.cell, 0, "acquire", gate, limit, |state: &mut State, _| {
            state.take().then_some(())
        })?;
        Ok(got.is_some())
    }

    /// Releases the lock, whoever acquired it.
    ///
    /// ```
    /// # let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// lock.acquire();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| lock.release().expect("any thread may release it"));
    /// });
    /// assert!(!lock.is_locked());
    /// ```
    ///
    /// # Errors
    /// [`NotHeld`] if it is free.
    #[doc(alias = "threading.Lock.release")]
    #[inline]
    pub fn release(&self) -> Result<(), NotHeld> {
        let mut wakes = Wakes::default();
        let held = self.cell.with(|state| {
            let held = state.owner.take().is_some();
            state.waits.set_owner(None);
            state.waits.wake_one(0, &mut wakes);
            held
        });
        wakes.send();
        if held { Ok(()) } else { Err(NotHeld) }
    }

    /// Whether somebody holds the lock.
    ///
    /// ```
    /// # let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// lock.acquire();
    /// assert!(lock.is_locked());
    /// ```
    #[doc(alias = "threading.Lock.locked")]
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.owner().is_some()
    }

    /// The thread that acquired the lock, if it is held.
    ///
    /// ```
    /// use manyhands_sync::{Lock, ThreadId};
    ///
    /// let lock: Lock = Lock::new();
    /// lock.acquire();
    /// assert_eq!(lock.owner(), Some(ThreadId::current()));
    /// ```
    #[inline]
    pub fn owner(&self) -> Option<ThreadId> {
        self.cell.with(|state| state.owner)
    }

    /// Makes the lock free, and forgets who waits: for a forked child, about the threads of its
    /// parent.
    ///
    /// ```
    /// # let lock: manyhands_sync::Lock = manyhands_sync::Lock::new();
    /// lock.acquire();
    /// lock.reset();
    /// assert!(!lock.is_locked());
    /// ```
    pub fn reset(&self) {
        let old = self
            .cell
            .with(|state| std::mem::replace(state, State { owner: None, waits: Waits::default() }));
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
        Kind::Lock
    }

    fn waits(&mut self) -> &mut Waits<1> {
        &mut self.waits
    }

    fn owner(&self) -> Option<ThreadId> {
        self.owner
    }
}

impl State {
    #[inline]
    fn take(&mut self) -> bool {
        if self.owner.is_some() {
            return false;
        }
        self.owner = Some(current_thread());
        self.waits.set_owner(self.owner);
        true
    }
}

impl<X: Exclusion> Default for Lock<X> {
    fn default() -> Self {
        Lock::new()
    }
}

impl<X: Exclusion> fmt::Debug for Lock<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lock").field("owner", &self.owner()).finish()
    }
}

/// Releases the lock when dropped.
///
/// ```
/// use manyhands_sync::{Lock, LockGuard};
///
/// let lock: Lock = Lock::new();
/// let held: LockGuard<'_> = lock.hold();
/// drop(held);
/// assert!(!lock.is_locked());
/// ```
#[derive(Debug)]
pub struct LockGuard<'a, X: Exclusion = Locked>(&'a Lock<X>);

impl<X: Exclusion> Drop for LockGuard<'_, X> {
    fn drop(&mut self) {
        // Somebody else may have released it: that is allowed, and not our affair.
        let _ = self.0.release();
    }
}
