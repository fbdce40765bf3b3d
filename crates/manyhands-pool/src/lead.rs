//! Who takes results: one thread at a time.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use manyhands_shm::{Deadline, Limit, Pause, RECHECK, wake};

/// The place of the one thread that leads, and of those that follow: they wait for something that the
/// leader will bring about, or for the lead.
#[derive(Debug, Default)]
pub struct Leadership {
    taken: AtomicBool,
    /// Counts what those who follow have to look at; they sleep on it.
    news: AtomicU32,
    followers: AtomicU32,
}

/// The right to take results; given back when it is dropped.
#[derive(Debug)]
pub struct Lead<'a> {
    leadership: &'a Leadership,
    /// Whether its thread had it before, and will still have it afterwards.
    again: bool,
}

impl Leadership {
    /// The lead, if nobody has it.
    pub fn try_take(&self) -> Option<Lead<'_>> {
        let exchanged =
            self.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed);
        // The other half of that in `is_taken`.
        fence(Ordering::SeqCst);
        exchanged.is_ok().then(|| Lead { leadership: self, again: false })
    }

    /// The lead for a thread that has it already.
    pub fn take_again(&self) -> Lead<'_> {
        Lead { leadership: self, again: true }
    }

    /// Whether somebody leads. Who begins to afterwards sees what was changed before.
    pub fn is_taken(&self) -> bool {
        fence(Ordering::SeqCst);
        self.taken.load(Ordering::Relaxed)
    }

    /// Sleeps until there is news, unless `is_over` or somebody gave up the lead meanwhile. May come
    /// back for no reason.
    ///
    /// # Errors
    /// The wait was given up.
    pub fn follow<P: Pause>(
        &self,
        pause: &P,
        limit: Limit,
        is_over: impl Fn() -> bool,
    ) -> Result<(), P::Error> {
        self.followers.fetch_add(1, Ordering::Relaxed);
        // What is told from now on changes this.
        let seen = self.news.load(Ordering::Acquire);
        // The other half of that in `tell`.
        fence(Ordering::SeqCst);
        let slept = if is_over() || !self.taken.load(Ordering::Acquire) {
            Ok(())
        } else {
            let look = Deadline::after(RECHECK);
            let until = match limit {
                Limit::Until(deadline) => deadline.min(look),
                _ => look,
            };
            pause.pause(&self.news, seen, until)
        };
        self.followers.fetch_sub(1, Ordering::Relaxed);
        slept
    }

    /// Has those who follow look again.
    pub fn tell(&self) {
        // What has changed is seen by who is about to follow, or that one is seen here.
        fence(Ordering::SeqCst);
        if self.followers.load(Ordering::Relaxed) > 0 {
            self.news.fetch_add(1, Ordering::Release);
            wake(&self.news, u32::MAX);
        }
    }
}

impl Lead<'_> {
    /// Whether its thread had it before already.
    pub fn is_again(&self) -> bool {
        self.again
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.again {
            self.leadership.taken.store(false, Ordering::Release);
            self.leadership.tell();
        }
    }
}
