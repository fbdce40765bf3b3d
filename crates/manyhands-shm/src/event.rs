//! The flag that threads wait for.
//!
//! States of `word`, each change a single atomic step: SET or not; if not, WAITERS once somebody
//! wants to sleep. Setting it clears WAITERS, adds 1 to the number of times that it was set, and
//! wakes all: who finds another number than when he came has seen it set, even if it was cleared
//! since. Killed between setting and waking: the sleeps end with RECHECK.

use std::fmt;

use crate::shim::{self, AtomicU32, Ordering};
use crate::wait::{Nap, Vigil, is_over, look, sign};
use crate::{Limit, Patient, Pause};

const SET: u32 = 1;
const WAITERS: u32 = 2;
/// The number of times that it was set counts in these steps.
const TIMES: u32 = 4;

/// A flag between processes that can be set, cleared and waited for.
///
/// ```
/// use manyhands_shm::{Event, Handle, Kind};
///
/// let event = Handle::<Event>::new(Kind::Event)?;
/// event.set();
/// event.wait();
/// event.clear();
/// assert!(!event.is_set());
/// # Ok::<(), manyhands_shm::ArenaError>(())
/// ```
///
/// # References
/// `multiprocessing.Event` in the Python library reference.
#[doc(alias = "multiprocessing.synchronize.Event")]
#[derive(Default)]
#[repr(C)]
pub struct Event {
    word: AtomicU32,
    /// The processor of the last one who woke others.
    processor: AtomicU32,
}

// SAFETY: atomics only, and zero is one that is not set.
#[cfg(not(loom))]
unsafe impl crate::Shared for Event {}

impl Event {
    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) & SET != 0
    }

    /// Sets it, and lets all who wait go on. Safe in signal handlers.
    #[inline]
    pub fn set(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // Also if it is set: what was written before is to be seen by who waits.
            let set = if word & SET != 0 {
                word
            } else {
                (word & !(TIMES - 1)).wrapping_add(TIMES) | SET
            };
            match self.word.compare_exchange(word, set, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => word = other,
            }
        }
        if word & WAITERS != 0 {
            sign(&self.processor);
            shim::wake(&self.word, u32::MAX);
        }
    }

    /// Clears it.
    #[inline]
    pub fn clear(&self) {
        self.word.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        let Ok(_) = self.wait_with(&Patient, Limit::Forever);
    }

    /// Waits within the limit until it is set, pausing in the caller's way; false if it was not.
    ///
    /// # Errors
    /// Those of the pause.
    #[inline]
    pub fn wait_with<P: Pause>(&self, pause: &P, limit: Limit) -> Result<bool, P::Error> {
        if self.is_set() { Ok(true) } else { self.wait_longer(pause, limit) }
    }

    #[cold]
    fn wait_longer<P: Pause>(&self, pause: &P, limit: Limit) -> Result<bool, P::Error> {
        let first = self.word.load(Ordering::Acquire);
        let was_set = || {
            let word = self.word.load(Ordering::Acquire);
            word & SET != 0 || word / TIMES != first / TIMES
        };
        let vigil = Vigil::new(self, "wait", limit);
        loop {
            if was_set() || look(pause, was_set) {
                return Ok(true);
            }
            if is_over(limit) {
                return Ok(false);
            }
            let word = self.word.load(Ordering::Acquire);
            let waited = word | WAITERS;
            // Set meanwhile, or another one was faster in saying that somebody waits.
            if word & SET != 0
                || word != waited
                    && self
                        .word
                        .compare_exchange(word, waited, Ordering::AcqRel, Ordering::Relaxed)
                        .is_err()
            {
                continue;
            }
            let nap = Nap::begin();
            pause.pause(&self.word, waited, vigil.next_look())?;
            if was_set() {
                nap.ended_from(&self.processor);
            }
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}
