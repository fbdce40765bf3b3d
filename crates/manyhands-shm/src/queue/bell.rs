//! Waking who waits for the other side of a queue.
//!
//! Who is going to sleep arms the bell, looks again, sleeps. Who changes something rings it if it is
//! armed: that disarms it and wakes one. The one who wakes arms it again if others sleep, and when
//! he has got what he waited for and there is more, rings for the next. So at most one wake is under
//! way at a time, and a change that nobody waits for costs one look.
//!
//! The word counts how often the bell has rung. Who arms it sleeps only while it has not rung since: another one
//! may have armed it again meanwhile and gone away with what was there, and nobody would ring for the rest.
//!
//! A wake that dies with who was woken, or was to wake, is made up for when the next sleep ends by
//! itself. `sleepers` then stays too high by one, which costs needless wakes and nothing else.

use crate::shim::{self, AtomicU32, Ordering, fence};
use crate::wait::{Nap, sign};
use crate::{Deadline, Pause};

const ARMED: u32 = 1;

/// The word of a bell as it was when it was armed.
#[must_use]
pub(super) struct Armed(u32);

/// Somebody sleeps until the other side moves.
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
pub(super) struct Bell {
    /// Odd while somebody sleeps who has to be woken; half of it is how often the bell has rung.
    word: AtomicU32,
    /// How many sleep, or more.
    sleepers: AtomicU32,
    /// On which processor who rang last ran.
    processor: AtomicU32,
}

impl Bell {
    /// After what the sleepers wait for has come to be, and the lock was released.
    #[inline]
    pub(super) fn ring(&self) {
        // The change is seen by who arms the bell, or the bell is seen here. On x86-64 releasing the
        // lock was a full barrier already, and another would cost a tenth of the whole.
        if cfg!(loom) || !cfg!(target_arch = "x86_64") {
            fence(Ordering::SeqCst);
        }
        if self.word.load(Ordering::Relaxed) & ARMED != 0 {
            self.ring_now();
        }
    }

    #[cold]
    fn ring_now(&self) {
        sign(&self.processor);
        if self.disarm() {
            shim::wake(&self.word, 1);
        }
    }

    /// False if it is not armed.
    fn disarm(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & ARMED != 0 {
            let rung = word.wrapping_add(1);
            match self.word.compare_exchange(word, rung, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    #[cfg(not(loom))]
    pub(super) fn ring_all(&self) {
        self.disarm();
        shim::wake(&self.word, u32::MAX);
    }

    /// Says that somebody is going to sleep; afterwards it looks again whether it has to.
    pub(super) fn arm(&self) -> Armed {
        let word = self.word.fetch_or(ARMED, Ordering::SeqCst) | ARMED;
        fence(Ordering::SeqCst);
        Armed(word)
    }

    /// Sleeps until the bell rings, or the time comes to look again; not if it has rung since it was armed.
    pub(super) fn sleep<P: Pause>(
        &self,
        armed: Armed,
        pause: &P,
        until: Deadline,
    ) -> Result<(), P::Error> {
        let nap = Nap::begin();
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        let slept = pause.pause(&self.word, armed.0, until);
        let has_rung = self.word.load(Ordering::Relaxed) != armed.0;
        if self.sleepers.fetch_sub(1, Ordering::Relaxed) > 1 {
            // The bell has rung for one; others may sleep still.
            let _ = self.arm();
        }
        if has_rung {
            nap.ended_from(&self.processor);
        }
        slept
    }
}
