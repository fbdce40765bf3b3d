//! [`Semaphore`]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use manyhands_sync::{Limit, Locked, Semaphore, TooManyReleases};

use crate::gates::{Counts, GivesUp, Interrupted, Notified, TimesOut, in_an_hour, soon};
use crate::watched::watched;

fn semaphore(value: usize) -> Semaphore {
    Semaphore::new(value)
}

#[test]
fn it_gives_out_as_many_as_it_has() {
    let semaphore = semaphore(2);
    assert!(semaphore.try_acquire());
    semaphore.acquire();
    assert_eq!(semaphore.value(), 0);
    assert!(!semaphore.try_acquire());
    assert_eq!(semaphore.release(3), Ok(()));
    assert_eq!((semaphore.value(), semaphore.bound()), (3, None));
    assert_eq!(semaphore.release(0), Ok(()));
    assert_eq!(semaphore.value(), 3);
}

#[test]
fn a_bound_is_never_exceeded() {
    let semaphore = Semaphore::<Locked>::bounded(2);
    assert_eq!(semaphore.bound(), Some(2));
    assert_eq!(semaphore.release(1), Err(TooManyReleases));
    semaphore.acquire();
    assert_eq!(semaphore.release(2), Err(TooManyReleases));
    assert_eq!(semaphore.value(), 1);
    assert_eq!(semaphore.release(1), Ok(()));
    assert_eq!(TooManyReleases.to_string(), "Semaphore released too many times");
}

#[test]
fn a_number_too_large_to_count_is_refused() {
    let semaphore = semaphore(1);
    assert_eq!(semaphore.release(usize::MAX), Err(TooManyReleases));
    assert_eq!(semaphore.value(), 1);
}

#[test]
fn a_limit_is_kept() {
    let semaphore = semaphore(0);
    let gate = Counts::default();
    assert_eq!(semaphore.acquire_with(&gate, Limit::Never), Ok(false));
    assert_eq!(gate.0.get(), 0);
    assert_eq!(semaphore.acquire_with(&gate, soon()), Ok(false));
    assert_eq!(gate.0.get(), 1);
    semaphore.release(1).expect("it has no bound");
    assert_eq!(semaphore.acquire_with(&gate, in_an_hour()), Ok(true));
}

#[test]
fn a_release_during_the_wait_counts_however_the_wait_ends() {
    let semaphore = semaphore(0);
    let release = || semaphore.release(1).expect("it has no bound");
    assert_eq!(semaphore.acquire_with(&Notified(release), Limit::Forever), Ok(true));
    assert_eq!(semaphore.acquire_with(&TimesOut(release), in_an_hour()), Ok(true));
    assert_eq!(semaphore.acquire_with(&GivesUp(release), Limit::Forever), Err(Interrupted));
    assert_eq!(semaphore.value(), 1);
}

#[test]
fn one_release_of_many_wakes_as_many() {
    watched(|| {
        let semaphore = semaphore(0);
        thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| semaphore.acquire())));
            semaphore.release(4).expect("it has no bound");
        });
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn no_more_are_inside_than_it_lets_in() {
    watched(|| {
        let rounds = if cfg!(miri) { 5 } else { 1000 };
        let semaphore = Semaphore::<Locked>::bounded(2);
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        semaphore.acquire();
                        assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::Relaxed);
                        semaphore.release(1).expect("it was acquired");
                    }
                });
            }
        });
        assert_eq!(semaphore.value(), 2);
    });
}

#[test]
fn a_reset_begins_anew() {
    let semaphore = semaphore(5);
    semaphore.reset(2, true);
    assert_eq!((semaphore.value(), semaphore.bound()), (2, Some(2)));
    semaphore.reset(3, false);
    assert_eq!((semaphore.value(), semaphore.bound()), (3, None));
}

#[test]
fn debug_shows_the_value() {
    assert_eq!(format!("{:?}", semaphore(7)), "Semaphore { value: 7 }");
}
