//! Models of [`Barrier`].

use std::cell::Cell;
use std::convert::Infallible;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use manyhands_sync::{Barrier, BarrierError, Limit, Locked, Patient};

use crate::{GivesUp, TimesOut, end, model, some_time, start};

const NO_ACTION: Option<fn() -> Result<(), Infallible>> = None;

#[test]
fn two_threads_pass_two_rounds_together() {
    model(3, || {
        let shared = Arc::new((Barrier::<Locked>::new(2), AtomicUsize::new(0)));
        let pass_twice = |(barrier, acted): &(Barrier, AtomicUsize)| {
            [1, 2].map(|round| {
                let act = || {
                    acted.store(round, Ordering::Relaxed);
                    Ok::<(), Infallible>(())
                };
                let place = barrier.wait_with(&Patient, || Limit::Forever, Some(act));
                assert_eq!(acted.load(Ordering::Relaxed), round);
                place.expect("nobody breaks it")
            })
        };
        let other = start(&shared, pass_twice);
        let here = pass_twice(&shared);
        let there = end(other);
        assert_eq!([here[0] + there[0], here[1] + there[1]], [1, 1]);
        assert_eq!(shared.0.waiting(), 0);
    });
}

#[test]
fn three_threads_pass_together() {
    model(3, || {
        let barrier = Arc::new(Barrier::<Locked>::new(3));
        let others = [(); 2].map(|()| start(&barrier, |barrier| barrier.wait()));
        let here = barrier.wait().expect("nobody breaks it");
        let there = others.map(|other| end(other).expect("nobody breaks it"));
        assert_eq!(here + there[0] + there[1], 3);
    });
}

#[test]
fn a_time_out_breaks_a_round_for_all_of_it_or_for_nobody() {
    model(4, || {
        let barrier = Arc::new(Barrier::<Locked>::new(2));
        let hasty = start(&barrier, |barrier| barrier.wait_with(&TimesOut, some_time, NO_ACTION));
        let here = barrier.wait();
        let there = end(hasty);
        assert_eq!(here.is_ok(), there.is_ok(), "{here:?}, {there:?}");
        assert_eq!(barrier.is_broken(), here.is_err());
    });
}

#[test]
fn a_time_out_during_the_action_is_too_late_to_break_the_round() {
    model(4, || {
        let shared = Arc::new((Barrier::<Locked>::new(2), AtomicBool::new(false)));
        let hasty = start(&shared, |(barrier, acting)| {
            let limit = || {
                // In the round; now the last may come.
                acting.store(true, Ordering::Release);
                some_time()
            };
            barrier.wait_with(&TimesOut, limit, NO_ACTION)
        });
        let (barrier, acting) = &*shared;
        if acting.load(Ordering::Acquire) {
            let acted = Cell::new(false);
            let act = || {
                acted.set(true);
                Ok::<(), Infallible>(())
            };
            let here = barrier.wait_with(&Patient, || Limit::Forever, Some(act)).is_ok();
            assert_eq!((here, end(hasty).is_ok()), (acted.get(), acted.get()));
        } else {
            barrier.abort();
            assert_eq!(end(hasty), Err(BarrierError::Broken));
        }
    });
}

#[test]
fn who_gives_up_leaves_the_round_and_the_others_wait_for_another() {
    model(3, || {
        let barrier = Arc::new(Barrier::<Locked>::new(2));
        let interrupted = start(&barrier, |barrier| {
            barrier.wait_with(&GivesUp, || Limit::Forever, NO_ACTION).is_ok()
        });
        let patient = start(&barrier, |barrier| barrier.wait());
        let passed = end(interrupted);
        let here = barrier.wait_with(&TimesOut, some_time, NO_ACTION).is_ok();
        let there = end(patient).is_ok();
        // The patient one passes with either of the two others; it fails if it comes when the
        // second has timed out.
        assert!(there || !passed && !here);
        assert!(!(passed && here));
        assert_eq!(barrier.is_broken(), !here);
    });
}

#[test]
fn aborting_leaves_nobody_behind() {
    model(4, || {
        let barrier = Arc::new(Barrier::<Locked>::new(3));
        let waiters = [(); 2].map(|()| start(&barrier, |barrier| barrier.wait()));
        barrier.abort();
        for waiter in waiters {
            assert_eq!(end(waiter), Err(BarrierError::Broken));
        }
        barrier.reset();
        assert!(!barrier.is_broken());
    });
}
