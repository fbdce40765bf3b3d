//! The lock that its owner may acquire again.

use crate::owned::Owned;
use crate::shim::{AtomicU32, Ordering, Owner};
use crate::wait::look;
use crate::{Acquired, Limit, Patient, Pause};

/// A thread that does not own the lock wanted to release it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attempt to release recursive lock not owned by thread")]
pub struct NotOwner;

/// A lock between processes that its owner, a thread, may acquire again, and releases as often.
///
/// If its owner dies, a process or only the thread, who waits next gets it, and is told so.
///
/// `count` means something only while there is an owner, and only he writes it, once he is it;
/// whatever a dead one left there an heir replaces by 1.
///
/// ```
/// use manyhands_shm::{Handle, Kind, RLock};
///
/// let lock = Handle::<RLock>::new(Kind::RLock)?;
/// lock.acquire();
/// lock.acquire();
/// assert_eq!(lock.count(), 2);
/// lock.release().unwrap();
/// lock.release().unwrap();
/// assert!(lock.release().is_err());
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # References
/// `multiprocessing.RLock` in the Python library reference; the proof is in `owned.rs`.
#[doc(alias = "multiprocessing.synchronize.RLock")]
#[derive(Debug, Default)]
#[repr(C)]
pub struct RLock {
    owned: Owned,
    count: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: atomics only, and zero is an unlocked one.
#[cfg(not(loom))]
unsafe impl crate::Shared for RLock {}

impl RLock {
    /// Acquires the lock if it is free or the caller's.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        let me = Owner::current();
        if self.owned.try_take(me) {
            self.count.store(1, Ordering::Relaxed);
            return true;
        }
        let count = self.count.load(Ordering::Relaxed);
        if self.owned.owner() != Some(me) || count == u32::MAX {
            return false;
        }
        self.count.store(count + 1, Ordering::Relaxed);
        true
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
        let acquired = self.owned.take(pause, limit, |owner| !owner.is_thread_alive())?;
        if acquired.is_acquired() {
            self.count.store(1, Ordering::Relaxed);
        }
        Ok(acquired)
    }

    /// Acquires the lock for one who was notified just now, most likely by who owns it and is about to
    /// release it; and as if so often.
    ///
    /// # Errors
    /// Those of the pause; then the lock is not acquired.
    pub fn reacquire_with<P: Pause>(&self, pause: &P, count: u32) -> Result<Acquired, P::Error> {
        if self.owner().is_some_and(|owner| owner != Owner::current()) {
            look(pause, || self.owner().is_none());
        }
        let acquired = self.acquire_with(pause, Limit::Forever)?;
        let more = count.saturating_sub(1);
        let count = self.count.load(Ordering::Relaxed).saturating_add(more);
        self.count.store(count, Ordering::Relaxed);
        Ok(acquired)
    }

    /// Releases the lock once.
    ///
    /// # Errors
    /// The calling thread does not own it.
    #[inline]
    pub fn release(&self) -> Result<(), NotOwner> {
        if !self.is_mine() {
            return Err(NotOwner);
        }
        match self.count.load(Ordering::Relaxed) {
            0 | 1 => {
                self.owned.give();
            }
            count => self.count.store(count - 1, Ordering::Relaxed),
        }
        Ok(())
    }

    /// Releases the lock as often as it was acquired, and says how often that was.
    ///
    /// # Errors
    /// The calling thread does not own it.
    pub fn release_all(&self) -> Result<u32, NotOwner> {
        if !self.is_mine() {
            return Err(NotOwner);
        }
        let count = self.count.load(Ordering::Relaxed);
        self.owned.give();
        Ok(count)
    }

    /// How often its owner has acquired it; 0 if there is none.
    pub fn count(&self) -> u32 {
        self.owner().map_or(0, |_| self.count.load(Ordering::Relaxed))
    }

    /// The thread that owns it.
    #[inline]
    pub fn owner(&self) -> Option<Owner> {
        self.owned.owner()
    }

    /// Whether the calling thread owns it.
    #[inline]
    pub fn is_mine(&self) -> bool {
        self.owner() == Some(Owner::current())
    }

    /// Whether it was inherited from a dead owner since this was last set to false.
    pub fn is_abandoned(&self) -> bool {
        self.owned.is_abandoned()
    }

    /// Says whether what it protects may be half changed.
    pub fn set_abandoned(&self, abandoned: bool) {
        self.owned.set_abandoned(abandoned);
    }
}
