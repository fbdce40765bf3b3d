//! Models of the primitives: loom runs each in every order of steps that its bound allows, and fails
//! one in which a thread waits for ever, two threads are where one may be, or a result is wrong.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom -p manyhands-sync`
#![cfg(loom)]

mod barrier;
mod condition;
mod event;
mod lock;
mod rlock;
mod semaphore;

use std::convert::Infallible;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::mpsc::Sender;
use loom::thread::{self, JoinHandle};
use manyhands_sync::{Deadline, Gate, Limit, Patient, Waiter};

/// Runs a model in all orders with up to that many preemptions, or `LOOM_MAX_PREEMPTIONS` of them.
fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(body);
}

/// Starts a thread that does something with what the model's threads share.
fn start<S, T>(shared: &Arc<S>, body: impl FnOnce(&S) -> T + 'static) -> JoinHandle<T>
where
    S: Send + Sync + 'static,
    T: 'static,
{
    let shared = Arc::clone(shared);
    thread::spawn(move || body(&shared))
}

/// What a thread returns, which ends well.
fn end<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("no thread of a model panics")
}

/// A limit that a [`TimesOut`] reaches at once: a model has no clock.
fn some_time() -> Limit {
    Limit::Until(Deadline::now())
}

/// As [`some_time`].
fn some_moment() -> Option<Deadline> {
    Some(Deadline::now())
}

/// The gate of a thread whose time is out: when exactly is for the model to try out.
struct TimesOut;

impl Gate for TimesOut {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, until: Option<Deadline>) -> Result<bool, Infallible> {
        if until.is_some() { Ok(false) } else { Patient.wait(waiter, until) }
    }
}

/// Why a [`GivesUp`] went away.
#[derive(Debug, PartialEq)]
struct Interrupted;

/// The gate of a thread in which a signal handler raises an exception.
struct GivesUp;

impl Gate for GivesUp {
    type Error = Interrupted;

    fn wait(&self, _: &Arc<Waiter>, _: Option<Deadline>) -> Result<bool, Interrupted> {
        Err(Interrupted)
    }
}

/// A gate that says that its thread is in line, and then waits.
struct Announces(Sender<()>);

impl Gate for Announces {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, until: Option<Deadline>) -> Result<bool, Infallible> {
        self.0.send(()).expect("somebody listens");
        Patient.wait(waiter, until)
    }
}
