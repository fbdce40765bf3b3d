//! [`RLock`]

use std::thread;

use manyhands_sync::{Limit, Locked, NotOwner, Patient, RLock, Saved, ThreadId};

use crate::gates::{Counts, GivesUp, Interrupted, TimesOut, soon};
use crate::watched::watched;

/// Runs something in another thread.
fn elsewhere<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join().expect("it ends well"))
}

fn acquired(times: usize) -> RLock {
    let lock = RLock::<Locked>::default();
    (0..times).for_each(|_| lock.acquire());
    lock
}

#[test]
fn its_owner_releases_it_as_often_as_it_acquired_it() {
    let lock = acquired(3);
    for count in [3, 2, 1] {
        let owner = ThreadId::current();
        assert_eq!(lock.holder(), Some(Saved { owner, count }));
        assert_eq!(elsewhere(|| lock.acquire_with(&Patient, Limit::Never)), Ok(false));
        assert_eq!(lock.release(), Ok(()));
    }
    assert_eq!(lock.holder(), None);
    assert_eq!(lock.release(), Err(NotOwner));
}

#[test]
fn only_its_owner_may_release_it() {
    let lock = acquired(1);
    assert_eq!(elsewhere(|| lock.release()), Err(NotOwner));
    assert_eq!(elsewhere(|| lock.release_all()), Err(NotOwner));
    assert!(lock.is_owned());
    assert!(!elsewhere(|| lock.is_owned()));
    assert_eq!(NotOwner.to_string(), "cannot release un-acquired lock");
}

#[test]
fn a_limit_is_kept() {
    let lock = acquired(1);
    elsewhere(|| {
        let gate = Counts::default();
        assert_eq!(lock.acquire_with(&gate, Limit::Never), Ok(false));
        assert_eq!(lock.acquire_with(&gate, soon()), Ok(false));
        assert_eq!(gate.0.get(), 1);
        assert_eq!(lock.acquire_with(&GivesUp(|| ()), Limit::Forever), Err(Interrupted));
    });
    assert_eq!(lock.release(), Ok(()));
}

#[test]
fn what_is_given_up_wholly_comes_back_as_often() {
    let lock = acquired(2);
    let saved = lock.release_all().expect("it is owned");
    assert_eq!(saved, Saved { owner: ThreadId::current(), count: 2 });
    assert_eq!(lock.release_all(), Err(NotOwner));
    assert_eq!(elsewhere(|| lock.acquire_with(&Patient, Limit::Never)), Ok(true));
    // The other thread never releases it.
    assert_eq!(lock.acquire_saved(&Patient, soon(), saved), Ok(false));
    let gate = TimesOut(|| lock.reset());
    assert_eq!(lock.acquire_saved(&gate, soon(), saved), Ok(true));
    assert_eq!(lock.holder(), Some(saved));
}

#[test]
fn threads_exclude_each_other_at_any_depth() {
    watched(|| {
        let rounds = if cfg!(miri) { 5 } else { 1000 };
        let lock = RLock::<Locked>::new();
        let inside = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            for depth in 1..5 {
                let (lock, inside) = (&lock, &inside);
                scope.spawn(move || {
                    for _ in 0..rounds {
                        (0..depth).for_each(|_| lock.acquire());
                        assert!(!inside.swap(true, std::sync::atomic::Ordering::Relaxed));
                        thread::yield_now();
                        inside.store(false, std::sync::atomic::Ordering::Relaxed);
                        (0..depth).for_each(|_| lock.release().expect("it is owned"));
                    }
                });
            }
        });
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn debug_shows_the_holder() {
    let lock = RLock::<Locked>::new();
    assert_eq!(format!("{lock:?}"), "RLock { holder: None }");
    lock.acquire();
    let shown = format!("{lock:?}");
    assert!(shown.starts_with("RLock { holder: Some(Saved { owner: "), "{shown}");
    assert!(shown.ends_with("count: 1 }) }"), "{shown}");
}
