//! The lock that its owner may acquire again.

use std::fmt;

use manyhands_watch::Kind;
use thiserror::Error;

use crate::gate::certain;
use crate::shim::current_thread;
use crate::{
    Exclusion, Gate, Limit, Locked, Patient, Protected, ThreadId, Waitable, Waits, Wakes, block,
};

/// A reentrant lock: its owner may acquire it again, and releases it as often.
///
/// ```
/// use manyhands_sync::RLock;
///
/// let lock: RLock = RLock::new();
/// lock.acquire();
/// lock.acquire();
/// lock.release().unwrap();
/// assert!(lock.is_owned());
/// lock.release().unwrap();
/// assert!(lock.release().is_err());
/// ```
///
/// # Fork safety
/// As [`Lock`](crate::Lock): what another thread of the parent held stays held.
///
/// # References
/// `threading.RLock` in the Python library reference.
#[doc(alias = "threading.RLock")]
pub struct RLock<X: Exclusion = Locked> {
    cell: X::Cell<State>,
}

struct State {
    /// Who holds it; `None` exactly if `count` is 0.
    owner: Option<ThreadId>,
    /// How often the owner has acquired it.
    count: usize,
    waits: Waits<1>,
}

/// The lock was released by a thread that does not hold it.
///
/// ```
/// use manyhands_sync::{NotOwner, RLock};
///
/// let lock: RLock = RLock::new();
/// assert_eq!(lock.release(), Err(NotOwner));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot release un-acquired lock")]
pub struct NotOwner;

/// What [`RLock::release_all`] gave up, for [`RLock::acquire_saved`].
///
/// ```
/// use manyhands_sync::{RLock, Saved, ThreadId};
///
/// let lock: RLock = RLock::new();
/// lock.acquire();
/// lock.acquire();
/// assert_eq!(lock.release_all(), Ok(Saved { owner: ThreadId::current(), count: 2 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Who held the lock.
    pub owner: ThreadId,
    /// How often; never 0.
    pub count: usize,
}

impl<X: Exclusion> RLock<X> {
    /// A lock that is free.
    ///
    /// ```
    /// let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// assert_eq!(lock.holder(), None);
    /// ```
    pub fn new() -> Self {
        RLock { cell: X::Cell::new(State { owner: None, count: 0, waits: Waits::default() }) }
    }

    /// Acquires the lock once more, waiting as long as it takes if another thread holds it.
    ///
    /// ```
    /// # let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// lock.acquire();
    /// lock.acquire();
    /// assert_eq!(lock.holder().unwrap().count, 2);
    /// ```
    #[doc(alias = "threading.RLock.acquire")]
    pub fn acquire(&self) {
        certain(self.acquire_with(&Patient, Limit::Forever));
    }

    /// Acquires the lock once more within a limit; false if that was reached.
    ///
    /// ```
    /// use manyhands_sync::{Limit, Patient, RLock};
    ///
    /// let lock: RLock = RLock::new();
    /// lock.acquire();
    /// assert_eq!(lock.acquire_with(&Patient, Limit::Never), Ok(true));
    /// let elsewhere = std::thread::scope(|scope| {
    ///     scope.spawn(|| lock.acquire_with(&Patient, Limit::Never)).join().unwrap()
    /// });
    /// assert_eq!(elsewhere, Ok(false));
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
        self.acquire_slow(gate, limit, Saved { owner: current_thread(), count: 1 })
    }

    /// Acquires the lock once more if no other thread holds it.
    ///
    /// ```
    /// # let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// assert!(lock.try_acquire() && lock.try_acquire());
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> bool {
        let me = current_thread();
        self.cell.with(|state| state.take(me, 1))
    }

    #[cold]
    fn acquire_slow<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
        wanted: Saved,
    ) -> Result<bool, G::Error> {
        let got = block(&self.cell, 0, "acquire", gate, limit, |state: &mut State, _| {
            state.take(wanted.owner, wanted.count).then_some(())
        })?;
        Ok(got.is_some())
    }

    /// Releases the lock once.
    ///
    /// ```
    /// # let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// lock.acquire();
    /// assert!(lock.release().is_ok());
    /// assert!(lock.release().is_err());
    /// ```
    ///
    /// # Errors
    /// [`NotOwner`] if the calling thread does not hold it.
    #[doc(alias = "threading.RLock.release")]
    #[inline]
    pub fn release(&self) -> Result<(), NotOwner> {
        let me = current_thread();
        let mut wakes = Wakes::default();
        let owned = self.cell.with(|state| {
            if state.owner != Some(me) {
                return false;
            }
            state.count -= 1;
            if state.count == 0 {
                state.free(&mut wakes);
            }
            true
        });
        wakes.send();
        if owned { Ok(()) } else { Err(NotOwner) }
    }

    /// Releases the lock wholly, however often the calling thread has acquired it.
    ///
    /// ```
    /// use manyhands_sync::{Limit, Patient, RLock};
    ///
    /// let lock: RLock = RLock::new();
    /// lock.acquire();
    /// lock.acquire();
    /// let saved = lock.release_all().unwrap();
    /// assert_eq!(lock.holder(), None);
    /// assert_eq!(lock.acquire_saved(&Patient, Limit::Forever, saved), Ok(true));
    /// assert_eq!(lock.holder(), Some(saved));
    /// ```
    ///
    /// # Errors
    /// [`NotOwner`] if the calling thread does not hold it.
    pub fn release_all(&self) -> Result<Saved, NotOwner> {
        let me = current_thread();
        let mut wakes = Wakes::default();
        let saved = self.cell.with(|state| {
            let owner = state.owner.filter(|&owner| owner == me)?;
            let saved = Saved { owner, count: state.count };
            state.count = 0;
            state.free(&mut wakes);
            Some(saved)
        });
        wakes.send();
        saved.ok_or(NotOwner)
    }

    /// Takes back what [`RLock::release_all`] gave up; false if the limit was reached.
    ///
    /// ```
    /// use manyhands_sync::{Limit, Patient, RLock};
    ///
    /// let lock: RLock = RLock::new();
    /// lock.acquire();
    /// let saved = lock.release_all().unwrap();
    /// assert_eq!(lock.acquire_saved(&Patient, Limit::Forever, saved), Ok(true));
    /// ```
    ///
    /// # Errors
    /// Those of the gate.
    pub fn acquire_saved<G: Gate>(
        &self,
        gate: &G,
        limit: Limit,
        saved: Saved,
    ) -> Result<bool, G::Error> {
        self.acquire_slow(gate, limit, saved)
    }

    /// Who holds the lock and how often, if anybody does.
    ///
    /// ```
    /// # let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// lock.acquire();
    /// let holder = lock.holder().unwrap();
    /// assert_eq!((holder.owner, holder.count), (manyhands_sync::ThreadId::current(), 1));
    /// ```
    pub fn holder(&self) -> Option<Saved> {
        self.cell.with(|state| state.owner.map(|owner| Saved { owner, count: state.count }))
    }

    /// Whether the calling thread holds the lock.
    ///
    /// ```
    /// # let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// lock.acquire();
    /// assert!(lock.is_owned());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(!lock.is_owned()));
    /// });
    /// ```
    #[inline]
    pub fn is_owned(&self) -> bool {
        let me = current_thread();
        self.cell.with(|state| state.owner == Some(me))
    }

    /// Makes the lock free, and forgets who waits: for a forked child, about the threads of its
    /// parent.
    ///
    /// ```
    /// # let lock: manyhands_sync::RLock = manyhands_sync::RLock::new();
    /// lock.acquire();
    /// lock.reset();
    /// assert_eq!(lock.holder(), None);
    /// ```
    pub fn reset(&self) {
        let fresh = State { owner: None, count: 0, waits: Waits::default() };
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
        Kind::RLock
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
    fn take(&mut self, me: ThreadId, count: usize) -> bool {
        match self.owner {
            None => {
                self.owner = Some(me);
                self.count = count;
                self.waits.set_owner(self.owner);
                true
            }
            Some(owner) if owner == me => {
                self.count += count;
                true
            }
            Some(_) => false,
        }
    }

    #[inline]
    fn free(&mut self, wakes: &mut Wakes) {
        self.owner = None;
        self.waits.set_owner(None);
        self.waits.wake_one(0, wakes);
    }
}

impl<X: Exclusion> Default for RLock<X> {
    fn default() -> Self {
        RLock::new()
    }
}

impl<X: Exclusion> fmt::Debug for RLock<X> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RLock").field("holder", &self.holder()).finish()
    }
}
