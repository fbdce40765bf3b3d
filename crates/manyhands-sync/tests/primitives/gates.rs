//! Gates in whose waits something happens.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use manyhands_sync::{Deadline, Gate, Limit, Parked, Patient, Waiter};

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

/// Says that its thread is in line, and waits.
pub struct Announces(pub Sender<()>);

impl Gate for Announces {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, until: Option<Deadline>) -> Result<bool, Infallible> {
        let _ = self.0.send(());
        Patient.wait(waiter, until)
    }
}

/// Counts the waits, and waits.
#[derive(Default)]
pub struct Counts(pub Cell<u32>);

impl Gate for Counts {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, until: Option<Deadline>) -> Result<bool, Infallible> {
        self.0.set(self.0.get() + 1);
        Patient.wait(waiter, until)
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

#[test]
fn a_limit_of_no_time_is_not_to_wait_at_all() {
    assert_eq!(Limit::after(Duration::ZERO), Limit::Never);
    assert!(matches!(Limit::after(Duration::MAX), Limit::Until(until) if !until.has_passed()));
}
