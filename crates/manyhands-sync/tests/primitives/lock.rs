//! [`Lock`]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use manyhands_sync::{Limit, Lock, Locked, NotHeld, Patient, ThreadId};

use crate::gates::{Announces, Counts, GivesUp, Interrupted, Notified, TimesOut, in_an_hour, soon};
use crate::watched::watched;

fn held() -> Lock {
    let lock = Lock::<Locked>::default();
    lock.acquire();
    lock
}

#[test]
fn it_knows_who_acquired_it() {
    let lock = Lock::<Locked>::new();
    assert_eq!((lock.owner(), lock.is_locked()), (None, false));
    lock.acquire();
    assert_eq!((lock.owner(), lock.is_locked()), (Some(ThreadId::current()), true));
    assert_eq!(lock.release(), Ok(()));
    assert_eq!((lock.owner(), lock.is_locked()), (None, false));
}

#[test]
fn a_free_lock_cannot_be_released() {
    let lock = Lock::<Locked>::new();
    assert_eq!(lock.release(), Err(NotHeld));
    assert_eq!(NotHeld.to_string(), "release unlocked lock");
}

#[test]
fn any_thread_may_release_it() {
    let lock = held();
    thread::scope(|scope| {
        scope.spawn(|| lock.release().expect("it is held"));
    });
    assert!(!lock.is_locked());
}

#[test]
fn a_limit_is_kept() {
    let lock = held();
    let gate = Counts::default();
    assert_eq!(lock.acquire_with(&gate, Limit::Never), Ok(false));
    assert_eq!(gate.0.get(), 0);
    assert_eq!(lock.acquire_with(&gate, soon()), Ok(false));
    assert_eq!(gate.0.get(), 1);
    lock.release().expect("it is held");
    for limit in [Limit::Never, in_an_hour(), Limit::Forever] {
        assert_eq!(lock.acquire_with(&gate, limit), Ok(true));
        lock.release().expect("it is held");
    }
    assert_eq!(gate.0.get(), 1);
}

#[test]
fn a_release_during_the_wait_gives_it_to_the_waiter() {
    let lock = held();
    let gate = Notified(|| lock.release().expect("it is held"));
    assert_eq!(lock.acquire_with(&gate, Limit::Forever), Ok(true));
    assert!(lock.is_locked());
}

#[test]
fn a_release_that_crosses_with_the_time_out_still_counts() {
    let lock = held();
    let gate = TimesOut(|| lock.release().expect("it is held"));
    assert_eq!(lock.acquire_with(&gate, soon()), Ok(true));
}

#[test]
fn giving_up_leaves_the_lock_as_it_was() {
    let lock = held();
    assert_eq!(lock.acquire_with(&GivesUp(|| ()), Limit::Forever), Err(Interrupted));
    assert!(lock.is_locked());
    let releases = GivesUp(|| lock.release().expect("it is held"));
    assert_eq!(lock.acquire_with(&releases, Limit::Forever), Err(Interrupted));
    assert!(!lock.is_locked());
}

#[test]
fn who_was_overtaken_waits_again() {
    let lock = held();
    // The waiter is notified, but another acquires the lock before it comes to it.
    let waits = std::cell::Cell::new(0);
    let gate = Notified(|| {
        lock.release().expect("it is held");
        waits.set(waits.get() + 1);
        if waits.get() == 1 {
            lock.acquire();
        }
    });
    assert_eq!(lock.acquire_with(&gate, Limit::Forever), Ok(true));
    assert_eq!(waits.get(), 2);
}

#[test]
fn waiters_come_in_the_order_in_which_they_got_in_line() {
    watched(|| {
        let lock = Arc::new(held());
        let (in_line, arrived) = channel();
        let (done, finished) = channel();
        let waiters: Vec<_> = (0..4)
            .map(|number| {
                let (lock, gate, done) =
                    (Arc::clone(&lock), Announces(in_line.clone()), done.clone());
                let waiter = thread::spawn(move || {
                    assert_eq!(lock.acquire_with(&gate, Limit::Forever), Ok(true));
                    done.send(number).expect("the test listens");
                    lock.release().expect("it is held");
                });
                arrived.recv().expect("it gets in line");
                waiter
            })
            .collect();
        lock.release().expect("it is held");
        for waiter in waiters {
            waiter.join().expect("it ends well");
        }
        assert_eq!(finished.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    });
}

#[test]
fn threads_exclude_each_other() {
    watched(|| {
        let rounds = if cfg!(miri) { 5 } else { 2000 };
        let lock = Lock::<Locked>::new();
        let inside = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let _held = lock.hold();
                        assert!(!inside.swap(true, std::sync::atomic::Ordering::Relaxed));
                        thread::yield_now();
                        inside.store(false, std::sync::atomic::Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(!lock.is_locked());
    });
}

#[test]
fn a_guard_releases_also_when_its_holder_panics() {
    let lock = Lock::<Locked>::new();
    let panics = std::panic::AssertUnwindSafe(|| {
        let _held = lock.hold();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(lock.acquire_with(&Patient, Limit::Never), Ok(true));
}

#[test]
fn a_reset_makes_it_free() {
    let lock = held();
    lock.reset();
    assert!(!lock.is_locked());
    lock.reset();
    lock.acquire();
}

#[test]
fn debug_shows_the_owner() {
    let lock = Lock::<Locked>::new();
    assert_eq!(format!("{lock:?}"), "Lock { owner: None }");
    let held = lock.hold();
    let owner = ThreadId::current();
    assert_eq!(format!("{lock:?}"), format!("Lock {{ owner: Some({owner:?}) }}"));
    assert!(format!("{held:?}").starts_with("LockGuard(Lock { owner: Some("));
}
