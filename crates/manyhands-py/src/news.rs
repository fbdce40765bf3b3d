//! How threads of this process wait for something that a thread brings about which does not hold them
//! up: by a word that they sleep on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use manyhands_shm::{Deadline, Pause, RECHECK, wake};
use manyhands_sync::Limit;
use pyo3::prelude::*;

use crate::multiprocessing::Outside;

/// Those who wait for something.
pub(crate) struct News {
    /// Changes when there is something new for those who sleep on it.
    word: AtomicU32,
    /// Whether somebody may sleep whom nobody has woken since.
    asleep: AtomicBool,
}

impl News {
    pub(crate) const fn new() -> News {
        News { word: AtomicU32::new(0), asleep: AtomicBool::new(false) }
    }

    /// Has all who wait look again. Who was woken may have to wait for the interpreter: until it sleeps
    /// again, telling it more costs nothing.
    pub(crate) fn tell(&self) {
        // Who is about to sleep sees what has changed, or is seen here.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.word.fetch_add(1, Ordering::Release);
            wake(&self.word, u32::MAX);
        }
    }

    /// Waits until `is_over`, at most until the limit; returns whether it is.
    pub(crate) fn wait(
        &self,
        py: Python<'_>,
        limit: Limit,
        is_over: impl Fn() -> bool,
    ) -> PyResult<bool> {
        while !is_over() {
            let look = Deadline::after(RECHECK);
            let until = match limit {
                Limit::Never => return Ok(false),
                Limit::Until(deadline) if deadline.has_passed() => return Ok(false),
                Limit::Until(deadline) => deadline.min(look),
                Limit::Forever => look,
            };
            let seen = self.word.load(Ordering::Acquire);
            // What was new to who has reset it is seen below.
            self.asleep.swap(true, Ordering::AcqRel);
            // The other half of that in `tell`.
            fence(Ordering::SeqCst);
            if !is_over() {
                Outside(py).pause(&self.word, seen, until)?;
            }
        }
        Ok(true)
    }
}
