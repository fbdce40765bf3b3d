//! How long, and in what way, a thread waits.

use std::convert::Infallible;
use std::time::Duration;

use crate::shim::Arc;
use crate::{Deadline, Parked, Waiter};

/// How long an operation may wait.
///
/// ```
/// use std::time::Duration;
///
/// use manyhands_sync::{Limit, Lock, Patient};
///
/// let lock: Lock = Lock::new();
/// assert_eq!(lock.acquire_with(&Patient, Limit::Forever), Ok(true));
/// assert_eq!(lock.acquire_with(&Patient, Limit::after(Duration::from_millis(1))), Ok(false));
/// assert_eq!(lock.acquire_with(&Patient, Limit::Never), Ok(false));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Not at all: it succeeds at once or fails.
    Never,
    /// Until that moment.
    Until(Deadline),
    /// As long as it takes.
    Forever,
}

impl Limit {
    /// Until `duration` from now.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sync::Limit;
    ///
    /// assert!(matches!(Limit::after(Duration::from_secs(1)), Limit::Until(_)));
    /// assert_eq!(Limit::after(Duration::ZERO), Limit::Never);
    /// ```
    pub fn after(duration: Duration) -> Limit {
        if duration.is_zero() { Limit::Never } else { Limit::Until(Deadline::after(duration)) }
    }
}

/// What a waiting thread does around its sleep.
///
/// Every wait of every primitive goes through the gate that the caller gave. The plain one is
/// [`Patient`]; the Python binding's leaves the interpreter, and runs signal handlers when one
/// comes.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Duration;
///
/// use manyhands_sync::{Deadline, Gate, Limit, Lock, Parked, Waiter};
///
/// /// Waits until told to quit.
/// struct UntilQuit(AtomicBool);
///
/// #[derive(Debug, PartialEq)]
/// struct Quit;
///
/// impl Gate for UntilQuit {
///     type Error = Quit;
///
///     fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Quit> {
///         loop {
///             if self.0.load(Ordering::Relaxed) {
///                 return Err(Quit);
///             }
///             let look = Deadline::after(Duration::from_millis(10));
///             let until = deadline.map_or(look, |deadline| deadline.min(look));
///             if waiter.park(Some(until)) == Parked::Notified {
///                 return Ok(true);
///             }
///             if deadline.is_some_and(Deadline::has_passed) {
///                 return Ok(false);
///             }
///         }
///     }
/// }
///
/// let lock: Lock = Lock::new();
/// let gate = UntilQuit(AtomicBool::new(true));
/// assert_eq!(lock.acquire_with(&gate, Limit::Forever), Ok(true));
/// assert_eq!(lock.acquire_with(&gate, Limit::Forever), Err(Quit));
/// ```
pub trait Gate {
    /// Why a wait can be given up; [`Infallible`] if it cannot.
    type Error;

    /// Waits until `waiter` is notified (true) or the deadline has passed (false).
    ///
    /// # Errors
    /// The wait is given up, say because a signal handler raised.
    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Self::Error>;
}

/// The gate that just sleeps, and goes on sleeping after a signal.
///
/// ```
/// use manyhands_sync::{Limit, Patient, Semaphore};
///
/// let semaphore: Semaphore = Semaphore::new(1);
/// assert_eq!(semaphore.acquire_with(&Patient, Limit::Forever), Ok(true));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Patient;

impl Gate for Patient {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Deadline>) -> Result<bool, Infallible> {
        loop {
            match waiter.park(deadline) {
                Parked::Notified => return Ok(true),
                Parked::TimedOut => return Ok(false),
                Parked::Interrupted => {}
            }
        }
    }
}

/// The value of a result that cannot be an error.
pub(crate) fn certain<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
