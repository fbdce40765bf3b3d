//! The counter that threads take from.
//!
//! States of `word`, each change a single compare-exchange:
//! * value n: acquire makes it n-1; release n+1, and WAITERS, if set, goes and one sleeper is woken;
//! * value 0 without WAITERS: who wants to sleep sets it. Nobody sleeps on any other value than
//!   0 with WAITERS, so that any change of the word ends a sleep that is just beginning.
//!
//! A woken one takes with WAITERS set, since others may sleep, and wakes the next if something is left:
//! releases after the first found no WAITERS. If he comes too late or gives up he sets WAITERS again,
//! or wakes another if there is something to take. So a sleeper can be forgotten only if somebody was
//! killed, between his release and his wake or woken and before he looked; RECHECK ends that sleep.
//!
//! What a dead process has taken is not given back: a semaphore does not know who has what, and any
//! process may release it.

use std::fmt;

use crate::shim::{self, AtomicU32, Ordering};
use crate::wait::{Nap, Vigil, is_over, look, sign};
use crate::{Limit, Patient, Pause};

/// Somebody sleeps until there is something to take.
const WAITERS: u32 = 1 << 31;
const VALUE: u32 = WAITERS - 1;

/// The semaphore has its maximum already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("semaphore or lock released too many times")]
pub struct TooManyReleases;

/// A counter between processes that acquire takes one from, waiting while there is none, and release
/// adds one to.
///
/// ```
/// use manyhands_shm::{Handle, Kind, Semaphore};
///
/// let semaphore = Handle::<Semaphore>::new(Kind::Semaphore)?;
/// semaphore.set_up(1, 1);
/// semaphore.acquire();
/// assert_eq!(semaphore.value(), 0);
/// semaphore.release().unwrap();
/// assert!(semaphore.release().is_err());
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # References
/// `multiprocessing.Semaphore` in the Python library reference.
#[doc(alias = "multiprocessing.synchronize.Semaphore")]
#[derive(Default)]
#[repr(C)]
pub struct Semaphore {
    /// The value, and WAITERS.
    word: AtomicU32,
    /// What the value never exceeds. Written before anybody else knows of it.
    maximum: AtomicU32,
    /// The processor of the last one who woke another.
    processor: AtomicU32,
    reserved: AtomicU32,
}

// SAFETY: atomics only, and zero is one that must be set up.
#[cfg(not(loom))]
unsafe impl crate::Shared for Semaphore {}

impl Semaphore {
    /// The largest possible value.
    pub const MAX: u32 = VALUE;

    /// Gives a new one its value, and the maximum of it; both are at most [`Semaphore::MAX`].
    pub fn set_up(&self, value: u32, maximum: u32) {
        self.maximum.store(maximum.min(VALUE), Ordering::Relaxed);
        self.word.store(value.min(VALUE), Ordering::Release);
    }

    /// Takes one if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.try_take(0).is_some()
    }

    /// Takes one and sets the flag; what is left.
    #[inline]
    fn try_take(&self, flag: u32) -> Option<u32> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & VALUE != 0 {
            let taken = (word - 1) | flag;
            match self.word.compare_exchange(word, taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(taken & VALUE),
                Err(other) => word = other,
            }
        }
        None
    }

    /// Takes one, waiting as long as it takes.
    pub fn acquire(&self) {
        let Ok(_) = self.acquire_with(&Patient, Limit::Forever);
    }

    /// Takes one within the limit, pausing in the caller's way; false if there was none.
    ///
    /// # Errors
    /// Those of the pause; then nothing is taken.
    #[inline]
    pub fn acquire_with<P: Pause>(&self, pause: &P, limit: Limit) -> Result<bool, P::Error> {
        if self.try_acquire() {
            return Ok(true);
        }
        if limit == Limit::Never { Ok(false) } else { self.wait(pause, limit) }
    }

    #[cold]
    fn wait<P: Pause>(&self, pause: &P, limit: Limit) -> Result<bool, P::Error> {
        let mut flag = 0;
        let vigil = Vigil::new(self, "acquire", limit);
        loop {
            if let Some(left) = self.try_take(flag) {
                if flag != 0 && left != 0 {
                    self.wake_one();
                }
                return Ok(true);
            }
            if look(pause, || self.value() != 0) || !self.flag() {
                continue;
            }
            if is_over(limit) {
                return Ok(false);
            }
            let nap = Nap::begin();
            if let Err(error) = pause.pause(&self.word, WAITERS, vigil.next_look()) {
                if !self.flag() {
                    self.wake_one();
                }
                return Err(error);
            }
            flag = WAITERS;
            if self.value() != 0 {
                nap.ended_from(&self.processor);
            }
        }
    }

    #[cold]
    fn wake_one(&self) {
        sign(&self.processor);
        shim::wake(&self.word, 1);
    }

    /// Sees to it that the word is 0 with WAITERS; false if there is something to take.
    fn flag(&self) -> bool {
        match self.word.compare_exchange(0, WAITERS, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(word) => word == WAITERS,
        }
    }

    /// Adds one.
    ///
    /// # Errors
    /// It has its maximum already.
    #[inline]
    pub fn release(&self) -> Result<(), TooManyReleases> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let value = word & VALUE;
            if value >= self.maximum.load(Ordering::Relaxed) {
                return Err(TooManyReleases);
            }
            match self.word.compare_exchange(word, value + 1, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(other) => word = other,
            }
        }
        if word & WAITERS != 0 {
            self.wake_one();
        }
        Ok(())
    }

    /// How many can be taken at present.
    #[inline]
    pub fn value(&self) -> u32 {
        self.word.load(Ordering::Relaxed) & VALUE
    }

    /// What the value never exceeds.
    pub fn maximum(&self) -> u32 {
        self.maximum.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Semaphore").field("value", &self.value()).finish_non_exhaustive()
    }
}
