//! Threads that sleep on words of shared memory in the place of green threads.
//!
//! The kernel has no way to tell a poller that such a word was changed: somebody has to sleep there. A green thread may be
//! killed meanwhile, and its stack is somewhere else: so who sleeps in its place knows the word by its address alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, PoisonError};
use std::time::Duration;

use manyhands_sys::fork::{ForkMutex, Protected};
use manyhands_sys::futex::{Sleep, wait_shared_at, wake_shared_at};
use manyhands_sys::process::set_blocked_signals;
use manyhands_sys::time::Deadline;

/// How many sleep at once. Who waits beside so many has to look from time to time.
const MOST: usize = 64;

/// How long one waits for something to do before it ends.
const IDLE: Duration = Duration::from_secs(1);

/// What it needs is little.
const STACK: usize = 64 << 10;

const SLEEPS: u8 = 0;
const OVER: u8 = 1;
const GONE: u8 = 2;

struct Job {
    address: usize,
    expected: u32,
    until: Deadline,
    state: Arc<AtomicU8>,
    tell: Box<dyn FnOnce() + Send>,
}

struct Sleepers {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

static SLEEPERS: ForkMutex<Sleepers> =
    ForkMutex::new(Sleepers { jobs: VecDeque::new(), idle: 0, threads: 0 });

static MORE: Condvar = Condvar::new();

impl Protected for Sleepers {
    fn mutex() -> &'static ForkMutex<Sleepers> {
        &SLEEPERS
    }

    fn in_child(&mut self) {
        // Those threads are the parent's. What they had to do is forgotten, not released: that might need anything.
        std::mem::forget(std::mem::take(&mut self.jobs));
        (self.idle, self.threads) = (0, 0);
    }
}

/// Somebody sleeps in the caller's place, until this is dropped.
#[derive(Debug)]
pub struct Errand(Arc<AtomicU8>);

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.store(GONE, Ordering::Release);
    }
}

/// Has another thread sleep while the word at that address, of shared memory or not, holds that value, at most until
/// then, and call `tell` afterwards. `None` if too many do already, or no thread could be started: then nothing is called.
///
/// A wake-up that comes when the errand has been dropped goes on to the next who sleeps there.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::sync::mpsc::channel;
/// use std::time::Duration;
///
/// use manyhands_sys::{futex, time::Deadline};
///
/// let word = AtomicU32::new(0);
/// let (told, news) = channel();
/// let until = Deadline::after(Duration::from_secs(60));
/// let errand = manyhands_green::sleep_for((&raw const word).addr(), 0, until, move || {
///     let _ = told.send(());
/// });
/// word.store(1, Ordering::Release);
/// futex::wake_shared(&word, 1);
/// assert_eq!(news.recv(), Ok(()));
/// # drop(errand);
/// ```
pub fn sleep_for(
    address: usize,
    expected: u32,
    until: Deadline,
    tell: impl FnOnce() + Send + 'static,
) -> Option<Errand> {
    let state = Arc::new(AtomicU8::new(SLEEPS));
    let errand = Errand(Arc::clone(&state));
    let job = Job { address, expected, until, state, tell: Box::new(tell) };
    let mut sleepers = SLEEPERS.lock();
    if sleepers.idle > sleepers.jobs.len() {
        sleepers.jobs.push_back(job);
        MORE.notify_one();
        return Some(errand);
    }
    if sleepers.threads >= MOST {
        return None;
    }
    sleepers.threads += 1;
    drop(sleepers);
    // Signals are for the program's threads.
    let blocked = set_blocked_signals(u64::MAX);
    let thread = std::thread::Builder::new().name("manyhands-sleep".to_owned()).stack_size(STACK);
    let spawned = thread.spawn(move || work(job));
    set_blocked_signals(blocked);
    if spawned.is_err() {
        SLEEPERS.lock().threads -= 1;
        return None;
    }
    Some(errand)
}

fn work(first: Job) {
    let mut next = Some(first);
    while let Some(job) = next {
        job.run();
        next = another();
    }
}

/// The next job; `None` if this thread is not needed any more.
fn another() -> Option<Job> {
    let mut sleepers = SLEEPERS.lock();
    sleepers.idle += 1;
    loop {
        if let Some(job) = sleepers.jobs.pop_front() {
            sleepers.idle -= 1;
            return Some(job);
        }
        let waited = MORE.wait_timeout(sleepers, IDLE);
        let timeout;
        (sleepers, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && sleepers.jobs.is_empty() {
            sleepers.idle -= 1;
            sleepers.threads -= 1;
            return None;
        }
    }
}

impl Job {
    fn run(self) {
        if self.state.load(Ordering::Acquire) == GONE {
            return;
        }
        let slept = wait_shared_at(self.address, self.expected, Some(self.until));
        let told = self.state.compare_exchange(SLEEPS, OVER, Ordering::AcqRel, Ordering::Acquire);
        if told.is_ok() {
            (self.tell)();
        } else if slept == Sleep::Woken {
            wake_shared_at(self.address, 1);
        }
    }
}
