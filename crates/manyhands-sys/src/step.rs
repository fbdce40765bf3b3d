//! Dying at a chosen step, for the proof that a process may be killed at any instruction.
//!
//! Code that changes what processes share calls [`step`] after each store that others can see and
//! each system call. Without the feature `steps`, which only tests of this project switch on, it does
//! nothing and costs nothing. With it the process that has called `die_at` kills itself at that
//! step, as if by `kill -9` from outside.

#[cfg(feature = "steps")]
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps still to be made by this process; 0 if it is not to die.
#[cfg(feature = "steps")]
static LEFT: AtomicU64 = AtomicU64::new(0);

/// A moment at which a test may have this process die.
///
/// ```
/// manyhands_sys::step::step(); // nobody has said that it should
/// ```
#[inline(always)]
pub fn step() {
    #[cfg(feature = "steps")]
    {
        if LEFT.load(Ordering::Relaxed) != 0 && LEFT.fetch_sub(1, Ordering::Relaxed) == 1 {
            crate::os::die();
        }
    }
}

/// Has this process be killed by its `n`th step from now on; never if that is 0.
#[cfg(feature = "steps")]
pub fn die_at(n: u64) {
    LEFT.store(n, Ordering::Relaxed);
}

/// How many steps are left before this process dies.
#[cfg(feature = "steps")]
pub fn left() -> u64 {
    LEFT.load(Ordering::Relaxed)
}
