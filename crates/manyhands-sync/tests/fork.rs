//! Primitives in a process that was really forked.
#![cfg(not(any(loom, miri)))]
#![expect(unsafe_code, reason = "fork(2) and waitpid(2) have no safe form")]

use std::convert::Infallible;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use manyhands_sync::{
    Condition, Deadline, Event, Gate, Limit, Lock, Locked, Parked, Patient, Semaphore, Waiter,
};
use manyhands_watch::snapshot;
use watched::watched;

#[path = "primitives/watched.rs"]
mod watched;

/// One test at a time: a mutex that another one has at the moment of a fork stays locked in the child.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());

    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process, if it is the child, with whether all was well; in the parent waits for that.
fn judge(child: libc::pid_t, is_well: impl FnOnce() -> bool) {
    if child == 0 {
        // SAFETY: these end the process: at once, or when it hangs.
        unsafe {
            libc::alarm(30);
            libc::_exit(if is_well() { 0 } else { 1 });
        }
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is valid for the call.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child found something wrong (1 << 8) or hung");
}

fn fork() -> libc::pid_t {
    // SAFETY: the child does nothing but what these tests show, and ends with `_exit`. Other
    // threads of the test harness may hold the C library's locks, which the C library knows.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    child
}

/// Forks in a wait, as a signal handler may; the child goes on with what that says.
struct Forks<F: Fn()>(F, std::cell::Cell<libc::pid_t>);

impl<F: Fn()> Forks<F> {
    fn new(in_child: F) -> Self {
        Forks(in_child, std::cell::Cell::new(-1))
    }
}

impl<F: Fn()> Gate for Forks<F> {
    type Error = Infallible;

    fn wait(&self, waiter: &Arc<Waiter>, until: Option<Deadline>) -> Result<bool, Infallible> {
        let child = fork();
        self.1.set(child);
        if child != 0 {
            return Ok(false);
        }
        (self.0)();
        Ok(waiter.park(until) == Parked::Notified)
    }
}

#[test]
fn waiters_of_the_parent_are_none_of_the_child() {
    watched(|| {
        let _alone = alone();
        let lock = Lock::<Locked>::new();
        let condition = Condition::<Locked>::new();
        lock.acquire();
        let (in_line, arrived) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let ticket = condition.enroll(None, false);
                in_line.send(()).expect("the test listens");
                condition.wait_with(ticket, &Patient, None)
            });
            scope.spawn(|| {
                lock.acquire();
                lock.release().expect("it is held");
            });
            arrived.recv().expect("it gets in line");
            // Who is on the way there has a mutex, which would be locked in the child for ever.
            while snapshot().iter().filter(|seen| !seen.waiters.is_empty()).count() < 2 {
                std::thread::yield_now();
            }
            judge(fork(), || {
                // Nobody of the child is notified: these come to who gets in line now.
                let own = condition.enroll(None, false);
                condition.notify(1);
                let noticed = condition.wait_with(own, &Patient, Some(Deadline::now()));
                let was_locked = lock.release().is_ok();
                noticed == Ok(true)
                    && was_locked
                    && lock.acquire_with(&Patient, Limit::Never) == Ok(true)
                    && snapshot().iter().all(|seen| seen.waiters.is_empty())
            });
            lock.release().expect("it is held");
            condition.notify_all();
        });
    });
}

#[test]
fn a_thread_that_forks_while_it_waits_times_out_in_the_child() {
    watched(|| {
        let _alone = alone();
        let event = Event::<Locked>::new();
        let gate = Forks::new(|| ());
        let waited = event.wait_with(&gate, Limit::after(Duration::from_millis(50)));
        judge(gate.1.get(), || waited == Ok(false) && !event.is_set());
    });
}

#[test]
fn a_thread_that_forks_while_it_waits_can_be_notified_in_the_child() {
    watched(|| {
        let _alone = alone();
        let semaphore = Semaphore::<Locked>::new(0);
        let gate = Forks::new(|| semaphore.release(1).expect("it has no bound"));
        let acquired = semaphore.acquire_with(&gate, Limit::Forever);
        judge(gate.1.get(), || acquired == Ok(true));
        assert_eq!(acquired, Ok(false));
    });
}

#[test]
fn a_thread_that_forks_while_it_waits_is_still_seen_in_the_child() {
    watched(|| {
        let _alone = alone();
        let event = Event::<Locked>::new();
        let seen = std::cell::Cell::new(usize::MAX);
        let gate = Forks::new(|| {
            seen.set(snapshot().iter().map(|seen| seen.waiters.len()).sum());
        });
        let _ = event.wait_with(&gate, Limit::after(Duration::from_millis(50)));
        judge(gate.1.get(), || seen.get() == 1);
    });
}
