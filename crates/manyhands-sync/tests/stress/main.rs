//! Rounds of many threads that do random things to one primitive: a wake-up that is lost leaves the
//! last of them waiting. `MANYHANDS_STRESS_SECONDS` says for how long all tests together go
//! on, one after the other.
#![cfg(not(loom))]

mod hands;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hands::{Die, HANDS, Manner, TIMES, in_threads, stress};
use manyhands_sync::{Barrier, Condition, Event, Limit, Lock, Locked, RLock, Semaphore};

/// How many tests there are here.
const TESTS: f64 = 7.0;

/// Fails if another thread is inside, too.
fn alone(inside: &AtomicBool, die: &mut Die) {
    assert!(!inside.swap(true, Ordering::Relaxed));
    die.dawdle();
    inside.store(false, Ordering::Relaxed);
}

#[test]
fn locks() {
    stress(|seed| {
        let (lock, inside) = (Lock::<Locked>::new(), AtomicBool::new(false));
        in_threads(HANDS, seed, |die, _| {
            for _ in 0..TIMES {
                let (manner, limit) = die.manner();
                if lock.acquire_with(&manner, limit) == Ok(true) {
                    alone(&inside, die);
                    lock.release().expect("it is held");
                }
            }
        });
        assert!(!lock.is_locked());
    });
}

#[test]
fn rlocks() {
    stress(|seed| {
        let (lock, inside) = (RLock::<Locked>::new(), AtomicBool::new(false));
        in_threads(HANDS, seed, |die, _| {
            for _ in 0..TIMES {
                let (manner, limit) = die.manner();
                if lock.acquire_with(&manner, limit) != Ok(true) {
                    continue;
                }
                let again = lock.acquire_with(&Manner::Patient, Limit::Never);
                assert_eq!(again, Ok(true));
                alone(&inside, die);
                if die.below(4) == 0 {
                    let saved = lock.release_all().expect("it is owned");
                    lock.acquire_saved(&Manner::Patient, Limit::Forever, saved)
                        .expect("it does not give up");
                }
                lock.release().expect("it is owned");
                lock.release().expect("it is owned");
            }
        });
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn semaphores() {
    stress(|seed| {
        let bound = 1 + Die::new(seed).below(3);
        let semaphore = Semaphore::<Locked>::bounded(bound as usize);
        let inside = AtomicU64::new(0);
        in_threads(HANDS, seed, |die, _| {
            for _ in 0..TIMES {
                let (manner, limit) = die.manner();
                if semaphore.acquire_with(&manner, limit) != Ok(true) {
                    continue;
                }
                let more = semaphore.try_acquire();
                let count = 1 + u64::from(more);
                assert!(inside.fetch_add(count, Ordering::Relaxed) + count <= bound);
                die.dawdle();
                inside.fetch_sub(count, Ordering::Relaxed);
                semaphore.release(count as usize).expect("they were acquired");
            }
        });
        assert_eq!(semaphore.value() as u64, bound);
    });
}

#[test]
fn events() {
    stress(|seed| {
        let events: Vec<_> = (0..TIMES).map(|_| Event::<Locked>::new()).collect();
        in_threads(HANDS, seed, |die, number| {
            for (place, event) in events.iter().enumerate() {
                if place as u64 % HANDS == number {
                    die.dawdle();
                    event.set();
                }
                loop {
                    let (manner, limit) = die.manner();
                    if event.wait_with(&manner, limit) == Ok(true) {
                        break;
                    }
                }
            }
        });
    });
}

#[test]
fn conditions() {
    stress(|seed| {
        let (lock, filled) = (Lock::<Locked>::new(), Condition::<Locked>::new());
        let tokens = AtomicU64::new(0);
        in_threads(HANDS, seed, |die, number| {
            for _ in 0..TIMES {
                let _held = lock.hold();
                if number % 2 == 0 {
                    tokens.fetch_add(1, Ordering::Relaxed);
                    filled.notify(1);
                    continue;
                }
                while tokens.load(Ordering::Relaxed) == 0 {
                    let ticket = filled.enroll(lock.owner(), false);
                    lock.release().expect("it is held");
                    match die.manner() {
                        (_, Limit::Never) => filled.withdraw(ticket),
                        (manner, limit) => {
                            let until =
                                if let Limit::Until(until) = limit { Some(until) } else { None };
                            let _ = filled.wait_with(ticket, &manner, until);
                        }
                    }
                    lock.acquire();
                }
                tokens.fetch_sub(1, Ordering::Relaxed);
            }
        });
        assert_eq!((tokens.load(Ordering::Relaxed), filled.waiters()), (0, 0));
    });
}

#[test]
fn barriers() {
    stress(|seed| {
        let barrier = Barrier::<Locked>::new(HANDS as usize);
        let (came, acted) = (AtomicU64::new(0), AtomicU64::new(0));
        in_threads(HANDS, seed, |die, _| {
            for round in 1..=TIMES {
                die.dawdle();
                came.fetch_add(1, Ordering::Relaxed);
                let act = || {
                    assert_eq!(came.load(Ordering::Relaxed), round * HANDS);
                    acted.fetch_add(1, Ordering::Relaxed);
                    Ok::<(), Infallible>(())
                };
                barrier
                    .wait_with(&Manner::Patient, || Limit::Forever, Some(act))
                    .expect("nobody breaks it");
                assert_eq!(acted.load(Ordering::Relaxed), round);
            }
        });
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    });
}

#[test]
fn barriers_that_break() {
    stress(|seed| {
        let barrier = Barrier::<Locked>::new(3);
        let passed = AtomicU64::new(0);
        let (fails, give_up) = (seed % 7 == 0, seed % 2 == 0);
        in_threads(HANDS, seed, |die, _| {
            for _ in 0..TIMES {
                let (manner, limit) = die.manner();
                // Nobody may wait for ever: the others may all be through.
                let patience = Limit::after(Duration::from_micros(1000 + die.below(200)));
                let limit = if limit == Limit::Forever { patience } else { limit };
                let manner = if give_up { manner } else { Manner::Patient };
                let acts = die.below(2) == 0;
                let action = acts.then_some(|| if fails { Err(()) } else { Ok(()) });
                match barrier.wait_with(&manner, || limit, action) {
                    Ok(_) => drop(passed.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => barrier.reset(),
                }
            }
        });
        // Whoever gave up does not know whether his round passed.
        let passed = passed.load(Ordering::Relaxed);
        assert!(give_up || fails || passed.is_multiple_of(3), "{passed} passed");
    });
}
