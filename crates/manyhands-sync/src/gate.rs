//! How long, and in what way, a thread waits.

use std::convert::Infallible;
use std::time::Duration;

use crate::shim::Arc;
use crate::{Deadline, Parked, Waiter};

/// How long an operation may wait.
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
    pub fn after(duration: Duration) -> Limit {
        if duration.is_zero() { Limit::Never } else { Limit::Until(Deadline::after(duration)) }
    }
}

/// What a waiting thread does around its sleep.
///
/// Every wait of every primitive goes through the gate that the caller gave. The plain one is
/// [`Patient`]; the Python binding's leaves the interpreter, and runs signal handlers when one
/// comes.
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
