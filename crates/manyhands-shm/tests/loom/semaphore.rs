//! Models of [`Semaphore`].

use loom::sync::Arc;
use manyhands_shm::{Deadline, Limit, Semaphore};

use crate::{GivesUp, Hasty, end, model, start};

fn of(value: u32) -> Arc<Semaphore> {
    let semaphore = Semaphore::default();
    semaphore.set_up(value, Semaphore::MAX);
    Arc::new(semaphore)
}

#[test]
fn each_release_lets_one_waiter_go_on() {
    model(3, || {
        let semaphore = of(0);
        let waiters = [(); 2].map(|()| start(&semaphore, Semaphore::acquire));
        semaphore.release().expect("it has no bound");
        semaphore.release().expect("it has no bound");
        waiters.into_iter().for_each(end);
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn releases_of_two_processes_let_two_waiters_go_on() {
    model(2, || {
        let semaphore = of(0);
        let waiter = start(&semaphore, Semaphore::acquire);
        let releases = start(&semaphore, |semaphore| {
            semaphore.release().expect("it has no bound");
            semaphore.release().expect("it has no bound");
        });
        semaphore.acquire();
        end(waiter);
        end(releases);
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_wake_up_that_crosses_with_a_time_out_is_not_lost() {
    model(3, || {
        let semaphore = of(0);
        let hasty = start(&semaphore, |semaphore| {
            let limit = Limit::Until(Deadline::now());
            let Ok(taken) = semaphore.acquire_with(&Hasty, limit);
            if taken {
                semaphore.release().expect("it has no bound");
            }
        });
        let patient = start(&semaphore, Semaphore::acquire);
        semaphore.release().expect("it has no bound");
        end(hasty);
        end(patient);
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_wake_up_that_crosses_with_giving_up_goes_to_the_next() {
    model(3, || {
        let semaphore = of(0);
        let interrupted = start(&semaphore, |semaphore| {
            if semaphore.acquire_with(&GivesUp, Limit::Forever).is_ok() {
                semaphore.release().expect("it has no bound");
            }
        });
        let patient = start(&semaphore, Semaphore::acquire);
        semaphore.release().expect("it has no bound");
        end(interrupted);
        end(patient);
        assert_eq!(semaphore.value(), 0);
    });
}
