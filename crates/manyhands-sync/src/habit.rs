//! Whether to spin before sleeping: what a thread has learned from its own waits.
//!
//! Waking a thread whose processor has gone idle takes some fifty microseconds; where two threads
//! on two processors answer each other quickly, looking at the word for that long is much faster.
//! Anywhere else it burns time that another thread could use. So a thread spins only
//! * after a wait that spinning would have shortened: it was notified soon, and from another
//!   processor than its own (a notifier on the same one cannot run while we spin);
//! * no longer than a wake-up costs;
//! * ever more rarely if spinning turns out not to help: after a miss it takes a chance less, and
//!   twice as many chances less after each further one.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The most chances let pass after a miss.
const MOST_REFUSALS: u32 = 256;

/// What one thread has learned of one sort of spinning.
#[derive(Debug)]
///
/// ```
/// use std::time::Duration;
///
/// use manyhands_sync::Habit;
///
/// let habit = Habit::new();
/// habit.chance();
/// assert!(habit.is_ready());
/// assert!(habit.spin(Duration::from_micros(50), || true));
/// ```
pub struct Habit {
    /// Whether to spin next time.
    ready: Cell<bool>,
    /// How many chances to let pass before being ready again.
    refusals: Cell<u32>,
    /// How many to let pass after the next miss.
    penalty: Cell<u32>,
}

impl Default for Habit {
    fn default() -> Habit {
        Habit::new()
    }
}

impl Habit {
    /// What waking a thread on an idle processor costs, about: the longest that spinning pays off.
    pub const WAKE: Duration = Duration::from_micros(50);

    /// Of a thread that has learned nothing yet: it does not spin.
    pub const fn new() -> Habit {
        Habit { ready: Cell::new(false), refusals: Cell::new(0), penalty: Cell::new(1) }
    }

    /// Whether to spin this time.
    pub fn is_ready(&self) -> bool {
        // A model has no clock, and must do the same again when it is run again.
        !cfg!(loom) && self.ready.get()
    }

    /// Learns from a wait without spinning that took so long. Whoever ended it was on another processor,
    /// as far as the caller can tell: if not, spinning will turn out not to help.
    pub fn learn(&self, waited: Duration) {
        if waited < 2 * Habit::WAKE {
            self.chance();
        }
    }

    /// Here is a case in which spinning might have helped.
    pub fn chance(&self) {
        match self.refusals.get() {
            0 => self.ready.set(true),
            refusals => self.refusals.set(refusals - 1),
        }
    }

    /// Looks until `done`, for `longest`; returns whether it came to be.
    pub fn spin(&self, longest: Duration, mut done: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        loop {
            for _ in 0..16 {
                if done() {
                    self.penalty.set((self.penalty.get() / 2).max(1));
                    return true;
                }
                std::hint::spin_loop();
            }
            if begun.elapsed() >= longest {
                self.ready.set(false);
                self.refusals.set(self.penalty.get());
                self.penalty.set((self.penalty.get() * 2).min(MOST_REFUSALS));
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(habit: &Habit) {
        assert!(habit.spin(Duration::ZERO, || true));
    }

    fn miss(habit: &Habit) {
        assert!(!habit.spin(Duration::ZERO, || false));
    }

    #[test]
    fn misses_make_it_reluctant_and_hits_willing_again() {
        let habit = Habit::new();
        let chances = || {
            let mut chances = 0;
            while !habit.is_ready() {
                habit.chance();
                chances += 1;
            }
            chances
        };
        assert_eq!(chances(), 1);
        miss(&habit);
        assert_eq!(chances(), 2);
        miss(&habit);
        assert_eq!(chances(), 3);
        miss(&habit);
        assert_eq!(chances(), 5);
        (0..3).for_each(|_| hit(&habit));
        miss(&habit);
        assert_eq!(chances(), 2);
    }
}
