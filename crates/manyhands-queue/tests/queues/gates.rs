//! Gates in whose waits something happens.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use manyhands_sync::{Deadline, Gate, Limit, Parked, Waiter};

/// Why a [`GivesUp`] gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Does something once it waits, and has then run out of time.
pub struct TimesOut<F: Fn()>(pub F);

impl<F: Fn()> Gate for TimesOut<F> {
    type Error = Infallible;

    fn wait(&self, _: &Arc<Waiter>, _: Option<Deadline>) -> Result<bool, Infallible> {
        (self.0)();
        Ok(false)
    }
}

/// Does something once it waits, and then gives up.
pub struct GivesUp<F: Fn()>(pub F);

impl<F: Fn()> Gate for GivesUp<F> {
    type Error = Interrupted;

    fn wait(&self, _: &Arc<Waiter>, _: Option<Deadline>) -> Result<bool, Interrupted> {
        (self.0)();
        Err(Interrupted)
    }
}

/// Does something once it waits, which must notify it.
pub struct Notified<F: Fn()>(pub F);

impl<F: Fn()> Gate for Notified<F> {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, _: Option<Deadline>) -> Result<bool, Infallible> {
        (self.0)();
        let in_a_minute = Deadline::after(Duration::from_secs(60));
        assert_eq!(waiter.park(Some(in_a_minute)), Parked::Notified);
        Ok(true)
    }
}

/// A limit that is reached soon, where the thing waited for does not come.
pub fn soon() -> Limit {
    Limit::after(Duration::from_millis(10))
}

/// A limit that a test never reaches.
pub fn in_an_hour() -> Limit {
    Limit::after(Duration::from_secs(3600))
}
