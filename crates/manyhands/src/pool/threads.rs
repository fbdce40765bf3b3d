//! A pool of threads of this process.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use manyhands_queue::FifoQueue;
use manyhands_sys::fork;

use super::error::{BuildError, PoolError};
use super::slot::{Slot, Value, locked};
use super::task::guarded;

type Work = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

struct Job {
    slot: Arc<Slot>,
    task: &'static str,
    work: Work,
}

/// A pool of threads.
pub(super) struct Threads {
    jobs: Arc<FifoQueue<Job>>,
    /// The [`fork::epoch`] of the process in which the threads are.
    epoch: u32,
    pub(super) count: usize,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(super) fn start(count: usize) -> Result<Arc<Threads>, BuildError> {
        let (jobs, workers) = (Arc::new(FifoQueue::new(0)), Mutex::new(Vec::new()));
        let this = Arc::new(Threads { jobs, epoch: fork::epoch(), count, workers });
        for number in 0..count {
            let jobs = Arc::clone(&this.jobs);
            let thread = std::thread::Builder::new().name(format!("manyhands-pool-{number}"));
            match thread.spawn(move || work(&jobs)) {
                Ok(worker) => locked(&this.workers).push(worker),
                Err(why) => {
                    this.terminate();
                    return Err(why.into());
                }
            }
        }
        Ok(this)
    }

    fn is_own(&self) -> bool {
        self.epoch == fork::epoch()
    }

    pub(super) fn submit(
        &self,
        slot: &Arc<Slot>,
        task: &'static str,
        work: Work,
    ) -> Result<(), PoolError> {
        if !self.is_own() {
            return Err(PoolError::Foreign);
        }
        let job = Job { slot: Arc::clone(slot), task, work };
        self.jobs.put(job).map_err(|_| PoolError::Closed)
    }

    pub(super) fn close(&self) {
        if self.is_own() {
            self.jobs.shutdown();
        }
    }

    pub(super) fn terminate(&self) {
        if self.is_own() {
            for Job { slot, task, .. } in self.jobs.shutdown_now() {
                slot.settle_unbegun(PoolError::Terminated { task });
            }
            self.join();
        }
    }

    /// Waits until the threads have ended.
    pub(super) fn join(&self) {
        if !self.is_own() {
            return;
        }
        let mut workers = locked(&self.workers);
        for worker in workers.drain(..) {
            // One that drops the last share of its own pool cannot wait for itself.
            if worker.thread().id() != std::thread::current().id() {
                let _ = worker.join();
            }
        }
    }
}

/// Does calls until there are no more.
fn work(jobs: &FifoQueue<Job>) {
    while let Ok(Job { slot, task, work }) = jobs.get() {
        if slot.begin() {
            let outcome = guarded(work).map(Value::Object);
            slot.settle(outcome.map_err(|message| PoolError::Panicked { task, message }));
        }
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Threads").field("count", &self.count).finish_non_exhaustive()
    }
}
