//! Sleeping on a word and waking who sleeps on it, within one process or (`_shared`) between several.

use std::sync::atomic::AtomicU32;

use crate::os;
use crate::time::Deadline;

/// Why [`wait`] came back.
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// use manyhands_sys::futex::{Sleep, wait};
///
/// // The word is another one already: no reason to sleep.
/// assert_eq!(wait(&AtomicU32::new(1), 0, None), Sleep::Woken);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// Somebody woke us, or the word differed from the start: look at it again.
    Woken,
    /// The deadline has passed.
    TimedOut,
    /// A signal handler ran in this thread.
    Interrupted,
}

/// Sleeps while `word` holds `expected`, until `deadline` if there is one.
///
/// May come back as [`Sleep::Woken`] without a reason; the caller looks at the word again.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use manyhands_sys::futex;
///
/// let ready = AtomicU32::new(0);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         ready.store(1, Ordering::Release);
///         futex::wake(&ready, 1);
///     });
///     while ready.load(Ordering::Acquire) == 0 {
///         futex::wait(&ready, 0, None);
///     }
/// });
/// ```
///
/// # References
/// futex(2), `FUTEX_WAIT_BITSET`.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<Deadline>) -> Sleep {
    os::futex_wait(word, expected, deadline.map(Deadline::since_boot), false)
}

/// As [`wait`], on a word in memory that processes share.
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// use manyhands_sys::futex::{Sleep, wait_shared};
///
/// assert_eq!(wait_shared(&AtomicU32::new(1), 0, None), Sleep::Woken);
/// ```
pub fn wait_shared(word: &AtomicU32, expected: u32, deadline: Option<Deadline>) -> Sleep {
    os::futex_wait(word, expected, deadline.map(Deadline::since_boot), true)
}

/// Wakes up to `count` threads that sleep on `word`.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// let word = AtomicU32::new(0);
/// word.store(1, Ordering::Release);
/// manyhands_sys::futex::wake(&word, u32::MAX);
/// ```
///
/// # References
/// futex(2), `FUTEX_WAKE`.
pub fn wake(word: &AtomicU32, count: u32) {
    os::futex_wake(word, count, false);
}

/// As [`wait_shared`], on a word that is known by its address alone: for who sleeps in the place of another, who
/// may go away, with the word, meanwhile. Only the kernel looks there, and says if there is nothing any more.
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// use manyhands_sys::futex::{Sleep, wait_shared_at};
///
/// let word = AtomicU32::new(1);
/// assert_eq!(wait_shared_at((&raw const word).addr(), 0, None), Sleep::Woken);
/// assert_eq!(wait_shared_at(4, 0, None), Sleep::Interrupted); // no memory
/// ```
pub fn wait_shared_at(address: usize, expected: u32, deadline: Option<Deadline>) -> Sleep {
    os::futex_wait_at(address, expected, deadline.map(Deadline::since_boot))
}

/// As [`wake_shared`], on a word that is known by its address alone.
///
/// ```
/// manyhands_sys::futex::wake_shared_at(4, 1); // no memory: nobody sleeps there
/// ```
pub fn wake_shared_at(address: usize, count: u32) {
    os::futex_wake_at(address, count);
}

/// As [`wake`], for sleepers of [`wait_shared`] in any process.
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// manyhands_sys::futex::wake_shared(&AtomicU32::new(1), 1);
/// ```
pub fn wake_shared(word: &AtomicU32, count: u32) {
    os::futex_wake(word, count, true);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_changed_word_does_not_sleep() {
        let word = AtomicU32::new(1);
        assert_eq!(wait(&word, 0, None), Sleep::Woken);
    }

    #[test]
    fn a_deadline_ends_the_sleep() {
        let word = AtomicU32::new(0);
        let deadline = Deadline::after(Duration::from_millis(5));
        while wait(&word, 0, Some(deadline)) != Sleep::TimedOut {}
        assert!(deadline.has_passed());
    }

    #[test]
    fn a_wake_ends_the_sleep() {
        let word = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Ordering::Acquire) == 0 {
                    wait(&word, 0, None);
                }
            });
            word.store(1, Ordering::Release);
            wake(&word, 1);
        });
    }
}
