//! Models of [`Semaphore`].

use loom::sync::Arc;
use manyhands_sync::{Limit, Locked, Semaphore};

use crate::{GivesUp, TimesOut, end, model, some_time, start};

fn release(semaphore: &Semaphore, count: usize) {
    semaphore.release(count).expect("it does not exceed a bound");
}

#[test]
fn one_release_of_two_lets_two_go_on() {
    model(4, || {
        let semaphore = Arc::new(Semaphore::<Locked>::new(0));
        let takers = [(); 2].map(|()| start(&semaphore, Semaphore::acquire));
        release(&semaphore, 2);
        takers.into_iter().for_each(end);
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn two_releases_let_two_go_on_past_a_third_that_barges_in() {
    model(3, || {
        let semaphore = Arc::new(Semaphore::<Locked>::new(0));
        let takers = [(); 2].map(|()| start(&semaphore, Semaphore::acquire));
        release(&semaphore, 1);
        if semaphore.try_acquire() {
            release(&semaphore, 1);
        }
        release(&semaphore, 1);
        takers.into_iter().for_each(end);
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_wake_up_that_crosses_with_a_time_out_is_not_lost() {
    model(4, || {
        let semaphore = Arc::new(Semaphore::<Locked>::bounded(1));
        semaphore.acquire();
        let hasty = start(&semaphore, |semaphore| {
            let Ok(got) = semaphore.acquire_with(&TimesOut, some_time());
            release(semaphore, usize::from(got));
        });
        let patient = start(&semaphore, |semaphore| {
            semaphore.acquire();
            release(semaphore, 1);
        });
        release(&semaphore, 1);
        end(hasty);
        end(patient);
        assert_eq!(semaphore.value(), 1);
    });
}

#[test]
fn a_wake_up_that_crosses_with_giving_up_goes_to_the_next() {
    model(4, || {
        let semaphore = Arc::new(Semaphore::<Locked>::new(0));
        let interrupted = start(&semaphore, |semaphore| {
            if semaphore.acquire_with(&GivesUp, Limit::Forever) == Ok(true) {
                release(semaphore, 1);
            }
        });
        let patient = start(&semaphore, Semaphore::acquire);
        release(&semaphore, 1);
        end(interrupted);
        end(patient);
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_time_out_inside_a_chain_of_wake_ups_does_not_break_it() {
    model(3, || {
        let semaphore = Arc::new(Semaphore::<Locked>::new(0));
        let hasty = start(&semaphore, |semaphore| {
            let Ok(got) = semaphore.acquire_with(&TimesOut, some_time());
            got
        });
        let patient = [(); 2].map(|()| start(&semaphore, Semaphore::acquire));
        release(&semaphore, 3);
        let left = 1 - usize::from(end(hasty));
        patient.into_iter().for_each(end);
        assert_eq!(semaphore.value(), left);
    });
}
