//! [`Barrier`]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use manyhands_sync::{Barrier, BarrierError, Limit, Locked, Patient};

use crate::gates::{Announces, GivesUp, Interrupted, Notified, TimesOut, in_an_hour, soon};
use crate::watched::watched;

const NO_ACTION: Option<fn() -> Result<(), Infallible>> = None;

fn barrier(parties: usize) -> Barrier {
    Barrier::<Locked>::new(parties)
}

#[test]
fn one_alone_passes_at_once() {
    let barrier = barrier(1);
    assert_eq!([(); 3].map(|()| barrier.wait()), [Ok(0); 3]);
    assert_eq!((barrier.parties(), barrier.waiting()), (1, 0));
}

#[test]
fn each_gets_its_place_in_the_order_of_arrival() {
    watched(|| {
        let barrier = barrier(3);
        let (in_line, arrived) = channel();
        thread::scope(|scope| {
            let places = [(); 2].map(|()| {
                let (barrier, gate) = (&barrier, Announces(in_line.clone()));
                let thread =
                    scope.spawn(move || barrier.wait_with(&gate, || Limit::Forever, NO_ACTION));
                arrived.recv().expect("it gets in line");
                thread
            });
            assert_eq!(barrier.waiting(), 2);
            assert_eq!(barrier.wait(), Ok(2));
            let places = places.map(|thread| thread.join().expect("it ends well"));
            assert_eq!(places, [Ok(0), Ok(1)]);
        });
    });
}

#[test]
fn nobody_is_a_round_ahead() {
    watched(|| {
        let rounds = if cfg!(miri) { 3 } else { 500 };
        let barrier = barrier(4);
        let came = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 1..=rounds {
                        came.fetch_add(1, Ordering::Relaxed);
                        barrier.wait().expect("nobody breaks it");
                        let came = came.load(Ordering::Relaxed);
                        assert!((4 * round..4 * (round + 1)).contains(&came));
                    }
                });
            }
        });
        assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    });
}

#[test]
fn the_last_runs_the_action_before_any_goes_on() {
    let barrier = barrier(2);
    let acted = AtomicUsize::new(0);
    let act = || {
        acted.fetch_add(1, Ordering::Relaxed);
        assert_eq!(barrier.waiting(), 0);
        Ok::<(), Infallible>(())
    };
    let second_comes = Notified(|| {
        assert_eq!(barrier.wait_with(&Patient, || Limit::Forever, Some(act)), Ok(1));
    });
    let first = barrier.wait_with(&second_comes, || Limit::Forever, Some(act));
    assert_eq!((first, acted.load(Ordering::Relaxed)), (Ok(0), 1));
}

#[test]
fn a_failed_action_breaks_it() {
    let barrier = barrier(2);
    let fails = || Err("no flour");
    let second_comes = Notified(|| {
        let second = barrier.wait_with(&Patient, || Limit::Forever, Some(fails));
        assert_eq!(second, Err(BarrierError::Action("no flour")));
    });
    let first = barrier.wait_with(&second_comes, || Limit::Forever, Some(fails));
    assert_eq!(first, Err(BarrierError::Broken));
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset();
    assert!(!barrier.is_broken());
}

#[test]
fn an_action_that_panics_breaks_it() {
    let barrier = barrier(2);
    let panics = || -> Result<(), Infallible> { resume_unwind(Box::new("burnt")) };
    let second_comes = Notified(|| {
        let second = AssertUnwindSafe(|| {
            let _ = barrier.wait_with(&Patient, || Limit::Forever, Some(panics));
        });
        assert!(catch_unwind(second).is_err());
    });
    let first = barrier.wait_with(&second_comes, || Limit::Forever, NO_ACTION);
    assert_eq!(first, Err(BarrierError::Broken));
    assert!(barrier.is_broken());
}

#[test]
fn a_time_out_breaks_it() {
    let barrier = barrier(2);
    assert_eq!(barrier.wait_with(&Patient, soon, NO_ACTION), Err(BarrierError::Broken));
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
}

#[test]
fn a_time_out_comes_too_late_once_all_are_there() {
    let barrier = barrier(2);
    let second_comes = TimesOut(|| assert_eq!(barrier.wait(), Ok(1)));
    assert_eq!(barrier.wait_with(&second_comes, in_an_hour, NO_ACTION), Ok(0));
    assert!(!barrier.is_broken());
}

#[test]
fn who_gives_up_leaves_the_round_to_others() {
    let barrier = barrier(2);
    let given_up = barrier.wait_with(&GivesUp(|| ()), || Limit::Forever, NO_ACTION);
    assert_eq!(given_up, Err(BarrierError::GivenUp(Interrupted)));
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    let second_comes = Notified(|| assert_eq!(barrier.wait(), Ok(1)));
    assert_eq!(barrier.wait_with(&second_comes, || Limit::Forever, NO_ACTION), Ok(0));
}

#[test]
fn aborting_and_resetting_fail_who_waits() {
    let barrier = barrier(2);
    let aborts = Notified(|| barrier.abort());
    let waited = barrier.wait_with(&aborts, || Limit::Forever, NO_ACTION);
    assert_eq!((waited, barrier.is_broken()), (Err(BarrierError::Broken), true));
    barrier.reset();
    let resets = Notified(|| barrier.reset());
    let waited = barrier.wait_with(&resets, || Limit::Forever, NO_ACTION);
    assert_eq!((waited, barrier.is_broken()), (Err(BarrierError::Broken), false));
}

#[test]
fn starting_anew_fails_who_waits_and_leaves_no_trace_of_it() {
    let barrier = barrier(3);
    for ends in ["notified", "timed out", "given up"] {
        let restart = || barrier.restart(2);
        let forever = || Limit::Forever;
        let broken = match ends {
            "notified" => {
                barrier.wait_with(&Notified(restart), forever, NO_ACTION)
                    == Err(BarrierError::Broken)
            }
            "timed out" => {
                barrier.wait_with(&TimesOut(restart), in_an_hour, NO_ACTION)
                    == Err(BarrierError::Broken)
            }
            _ => barrier.wait_with(&GivesUp(restart), forever, NO_ACTION).is_err(),
        };
        assert!(broken, "{ends}");
        assert_eq!((barrier.parties(), barrier.waiting(), barrier.is_broken()), (2, 0, false));
    }
}

#[test]
fn errors_say_what_happened() {
    let broken = BarrierError::<Infallible>::Broken;
    assert!(broken.to_string().starts_with("the barrier is broken"));
    let action = BarrierError::<Infallible, &str>::Action("no flour");
    assert_eq!(action.to_string(), "the barrier's action failed: no flour");
    let given_up = BarrierError::<&str>::GivenUp("Ctrl-C");
    assert_eq!(given_up.to_string(), "the wait was given up: Ctrl-C");
}

#[test]
fn debug_shows_how_many_are_there() {
    assert_eq!(format!("{:?}", barrier(3)), "Barrier { parties: 3, waiting: 0 }");
}
