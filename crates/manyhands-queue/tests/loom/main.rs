//! Models of the queue: loom runs each in every order of steps that its bound allows, and fails one
//! in which a thread waits for ever, an item is lost or doubled, or a result is wrong.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom -p manyhands-queue`
#![cfg(loom)]

mod end;
mod handoff;

use std::convert::Infallible;

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use manyhands_queue::FifoQueue;
use manyhands_sync::{Deadline, Gate, Limit, Patient, Waiter};

type Queue = FifoQueue<u32>;

/// Runs a model in all orders with up to that many preemptions, or `LOOM_MAX_PREEMPTIONS` of them.
fn model(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(body);
}

fn queue(maxsize: usize) -> Arc<Queue> {
    Arc::new(Queue::new(maxsize))
}

/// Starts a thread that does something with the model's queue.
fn start<T: 'static>(
    queue: &Arc<Queue>,
    body: impl FnOnce(&Queue) -> T + 'static,
) -> JoinHandle<T> {
    let queue = Arc::clone(queue);
    thread::spawn(move || body(&queue))
}

/// What a thread returns, which ends well.
fn end<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("no thread of a model panics")
}

/// A limit that a [`TimesOut`] reaches at once: a model has no clock.
fn some_time() -> Limit {
    Limit::Until(Deadline::now())
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
