//! Models of how threads wait for their results: loom runs each in every order of steps that its bound
//! allows, and fails one in which a thread waits for ever.
//!
//! There are no time-outs, so that no wake may be missing.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom -p manyhands-pool`
#![cfg(loom)]

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use manyhands_pool::Leadership;
use manyhands_shm::{Limit, Patient};

/// What a message says that is no result.
const NUDGE: usize = usize::MAX;

/// A pool of which only the results are there.
struct Scene {
    leadership: Leadership,
    messages: Mutex<Vec<usize>>,
    not_empty: Condvar,
    ready: [AtomicBool; 2],
}

impl Scene {
    fn put(&self, message: usize) {
        self.messages.lock().unwrap().push(message);
        self.not_empty.notify_one();
    }

    fn take(&self) -> usize {
        let mut messages = self.messages.lock().unwrap();
        while messages.is_empty() {
            messages = self.not_empty.wait(messages).unwrap();
        }
        messages.remove(0)
    }

    fn is_ready(&self, of: usize) -> bool {
        self.ready[of].load(Ordering::Acquire)
    }

    fn deliver(&self, of: usize) {
        self.ready[of].store(true, Ordering::Release);
        self.leadership.tell();
    }

    /// What a thread does that waits for a result.
    fn wait(&self, of: usize) {
        while !self.is_ready(of) {
            let Some(lead) = self.leadership.try_take() else {
                self.leadership.follow(&Patient, Limit::Forever, || self.is_ready(of)).unwrap();
                continue;
            };
            while !self.is_ready(of) {
                let message = self.take();
                if message != NUDGE {
                    self.deliver(message);
                }
            }
            drop(lead);
        }
    }
}

fn model(preemptions: usize, body: impl Fn(Arc<Scene>) + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(move || {
        body(Arc::new(Scene {
            leadership: Leadership::default(),
            messages: Mutex::new(Vec::new()),
            not_empty: Condvar::new(),
            ready: [AtomicBool::new(false), AtomicBool::new(false)],
        }));
    });
}

fn start(scene: &Arc<Scene>, body: impl FnOnce(&Scene) + 'static) -> JoinHandle<()> {
    let scene = Arc::clone(scene);
    thread::spawn(move || body(&scene))
}

#[test]
fn whoever_leads_all_who_wait_have_their_results() {
    model(3, |scene| {
        let other = start(&scene, |scene| scene.wait(1));
        let worker = start(&scene, |scene| {
            scene.put(1);
            scene.put(0);
        });
        scene.wait(0);
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn who_has_its_result_first_leaves_the_lead_to_the_other() {
    model(3, |scene| {
        let other = start(&scene, |scene| scene.wait(1));
        scene.put(0);
        scene.wait(0);
        scene.put(1);
        other.join().unwrap();
    });
}

/// As the pool's helper does with a result that is ready but for a callback.
#[test]
fn a_result_that_comes_another_way_ends_the_wait_of_who_leads() {
    model(4, |scene| {
        let waiter = start(&scene, |scene| scene.wait(0));
        scene.deliver(0);
        if scene.leadership.is_taken() {
            scene.put(NUDGE);
        }
        waiter.join().unwrap();
    });
}
