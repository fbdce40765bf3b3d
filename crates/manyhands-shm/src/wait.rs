//! How a thread sleeps on a word that another process may change.

use std::convert::Infallible;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use manyhands_sys::futex;

use crate::Deadline;

/// The longest sleep after which a waiter looks again by itself: whoever had to wake it may have
/// been killed before it did.
pub const RECHECK: Duration = Duration::from_millis(200);

/// What a waiting thread does around one sleep; the binding of Python leaves the interpreter and
/// runs signal handlers.
///
/// ```
/// use std::sync::atomic::AtomicU32;
///
/// use manyhands_shm::{Deadline, Patient, Pause, RECHECK};
///
/// let word = AtomicU32::new(1);
/// Patient.pause(&word, 0, Deadline::after(RECHECK)).unwrap(); // it is another: no sleep
/// ```
pub trait Pause {
    /// Why a wait can be given up.
    type Error;

    /// Sleeps while `word` holds `expected`, but not beyond `until`. May come back for no reason:
    /// the caller looks at everything again, its own deadline included.
    ///
    /// # Errors
    /// The wait is given up, say because a signal handler raised.
    fn pause(&self, word: &AtomicU32, expected: u32, until: Deadline) -> Result<(), Self::Error>;
}

/// Just sleeps, and goes on after a signal.
#[derive(Clone, Copy, Debug)]
pub struct Patient;

impl Pause for Patient {
    type Error = Infallible;

    fn pause(&self, word: &AtomicU32, expected: u32, until: Deadline) -> Result<(), Infallible> {
        futex::wait_shared(word, expected, Some(until));
        Ok(())
    }
}
