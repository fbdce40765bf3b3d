//! Waking who waits for the other side of a queue.
//!
//! Who is going to sleep arms the bell, looks again, sleeps. Who changes something rings it if it is
//! armed: that disarms it and wakes one. The one who wakes arms it again if others sleep, and when
//! he has got what he waited for and there is more, rings for the next. So at most one wake is under
//! way at a time, and a change that nobody waits for costs one look.
//!
//! A wake that dies with who was woken, or was to wake, is made up for when the next sleep ends by
//! itself. `sleepers` then stays too high by one, which costs needless wakes and nothing else.

use crate::shim::{self, AtomicU32, Ordering, fence};
use crate::wait::{Nap, next_look, sign};
use crate::{Limit, Pause};

/// Somebody sleeps until the other side moves.
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
pub(super) struct Bell {
    /// 1 while somebody sleeps who has to be woken.
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
        if self.word.load(Ordering::Relaxed) != 0 {
            self.ring_now();
        }
    }

    #[cold]
    fn ring_now(&self) {
        sign(&self.processor);
        if self.word.swap(0, Ordering::SeqCst) != 0 {
            shim::wake(&self.word, 1);
        }
    }

    #[cfg(not(loom))]
    pub(super) fn ring_all(&self) {
        self.word.swap(0, Ordering::SeqCst);
        shim::wake(&self.word, u32::MAX);
    }

    /// Says that somebody is going to sleep; afterwards it looks again whether it has to.
    pub(super) fn arm(&self) {
        self.word.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub(super) fn sleep<P: Pause>(&self, pause: &P, limit: Limit) -> Result<(), P::Error> {
        let nap = Nap::begin();
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        let slept = pause.pause(&self.word, 1, next_look(limit));
        if self.sleepers.fetch_sub(1, Ordering::Relaxed) > 1 {
            // The bell has rung for one; others may sleep still.
            self.arm();
        }
        if self.word.load(Ordering::Relaxed) == 0 {
            nap.ended_from(&self.processor);
        }
        slept
    }
}
