//! Models of what processes wait for each other with: loom runs each in every order of steps that its
//! bound allows, and fails one in which a thread waits for ever or a result is wrong.
//!
//! A thread of a model stands for a process. There are no time-outs, so that no wake may be missing;
//! who has to notice a death has a pause that comes back at once.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom -p manyhands-shm`
#![cfg(loom)]

mod condition;
mod event;
mod lock;
mod queue;
mod semaphore;

use std::convert::Infallible;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32;
use loom::thread::{self, JoinHandle};
use manyhands_shm::{Deadline, Pause};

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

/// The pause of one who looks at everything again at once, as after RECHECK.
struct Restless;

impl Pause for Restless {
    type Error = Infallible;

    fn pause(&self, _: &AtomicU32, _: u32, _: Deadline) -> Result<(), Infallible> {
        thread::yield_now();
        Ok(())
    }
}

/// Why a [`GivesUp`] went away.
#[derive(Debug, PartialEq)]
struct Interrupted;

/// The pause of a thread in which a signal handler raises an exception.
struct GivesUp;

impl Pause for GivesUp {
    type Error = Interrupted;

    fn pause(&self, _: &AtomicU32, _: u32, _: Deadline) -> Result<(), Interrupted> {
        Err(Interrupted)
    }
}

/// The pause of one whose time is out: it sleeps, but only till its deadline, which is now.
struct Hasty;

impl Pause for Hasty {
    type Error = Infallible;

    fn pause(&self, _: &AtomicU32, _: u32, _: Deadline) -> Result<(), Infallible> {
        Ok(())
    }
}
