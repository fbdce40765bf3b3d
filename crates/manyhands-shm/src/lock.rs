//! The lock that anybody may release.

use crate::owned::Owned;
use crate::shim::Owner;
use crate::wait::look;
use crate::{Limit, Patient, Pause};

/// What came of acquiring a lock.
///
/// ```
/// use manyhands_shm::{Acquired, Handle, Kind, Limit, Lock, Patient};
///
/// let lock = Handle::<Lock>::new(Kind::Lock)?;
/// assert_eq!(lock.acquire_with(&Patient, Limit::Never), Ok(Acquired::Yes));
/// assert_eq!(lock.acquire_with(&Patient, Limit::Never), Ok(Acquired::No));
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It was not: somebody had it until the limit was reached.
    No,
    /// It was.
    Yes,
    /// It was, from one who died holding it (the number of the process, if that is known still): what
    /// the lock protects may be half changed.
    Inherited(Option<u32>),
}

impl Acquired {
    /// Whether the lock is the caller's now.
    pub fn is_acquired(self) -> bool {
        self != Acquired::No
    }
}

/// The lock was not held when it was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("semaphore or lock released too many times")]
pub struct NotHeld;

/// A lock between processes: not reentrant, and any thread of any of them may release it.
///
/// If a process dies that holds it, who waits next gets it, and is told so.
///
/// ```
/// use manyhands_shm::{Handle, Kind, Lock};
///
/// let lock = Handle::<Lock>::new(Kind::Lock)?;
/// lock.acquire();
/// assert!(lock.is_locked());
/// lock.release().unwrap();
/// assert!(lock.release().is_err());
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # Fork safety
/// A forked child shares it, and does not hold what its parent holds.
///
/// # References
/// `multiprocessing.Lock` in the Python library reference; the proof is in `owned.rs`.
#[doc(alias = "multiprocessing.synchronize.Lock")]
#[derive(Debug, Default)]
#[repr(C)]
pub struct Lock(Owned);

// SAFETY: atomics only, and zero is an unlocked one.
#[cfg(not(loom))]
unsafe impl crate::Shared for Lock {}

impl Lock {
    /// Acquires the lock if it is free.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.0.try_take(Owner::current())
    }

    /// Acquires the lock, waiting as long as it takes.
    pub fn acquire(&self) -> Acquired {
        let Ok(acquired) = self.acquire_with(&Patient, Limit::Forever);
        acquired
    }

    /// Acquires the lock within the limit, pausing in the caller's way.
    ///
    /// # Errors
    /// Those of the pause; then the lock is not acquired.
    #[inline]
    pub fn acquire_with<P: Pause>(&self, pause: &P, limit: Limit) -> Result<Acquired, P::Error> {
        if self.try_acquire() {
            return Ok(Acquired::Yes);
        }
        self.0.take(pause, limit, |owner| !owner.is_alive())
    }

    /// Acquires the lock for one who was notified just now, most likely by who holds it and is about
    /// to release it.
    ///
    /// # Errors
    /// Those of the pause; then the lock is not acquired.
    pub fn reacquire_with<P: Pause>(&self, pause: &P) -> Result<Acquired, P::Error> {
        if self.is_locked() {
            look(pause, || !self.is_locked());
        }
        self.acquire_with(pause, Limit::Forever)
    }

    /// Releases the lock, whoever holds it.
    ///
    /// # Errors
    /// Nobody holds it.
    #[inline]
    pub fn release(&self) -> Result<(), NotHeld> {
        if self.0.give() { Ok(()) } else { Err(NotHeld) }
    }

    /// Whether anybody holds it.
    pub fn is_locked(&self) -> bool {
        self.owner().is_some()
    }

    /// The thread that acquired it.
    #[inline]
    pub fn owner(&self) -> Option<Owner> {
        self.0.owner()
    }

    /// Whether the calling thread acquired it.
    #[inline]
    pub fn is_mine(&self) -> bool {
        self.owner() == Some(Owner::current())
    }

    /// Whether it was inherited from a dead process since this was last set to false.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }

    /// Says whether what it protects may be half changed.
    pub fn set_abandoned(&self, abandoned: bool) {
        self.0.set_abandoned(abandoned);
    }
}
