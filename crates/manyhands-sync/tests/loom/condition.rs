//! Models of [`Condition`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use manyhands_sync::{Condition, Lock, Locked, Patient, Ticket};

use crate::{GivesUp, TimesOut, end, model, some_moment, start};

/// A condition with two in line.
fn with_two_in_line() -> (Arc<Condition>, Ticket, Ticket) {
    let condition = Arc::new(Condition::<Locked>::new());
    let (first, second) = (condition.enroll(None, false), condition.enroll(None, false));
    (condition, first, second)
}

#[test]
fn a_notice_of_a_change_made_under_the_lock_is_not_lost() {
    model(3, || {
        let shared = Arc::new((Lock::<Locked>::new(), Condition::new(), AtomicBool::new(false)));
        let waiters = [(); 2].map(|()| {
            start(&shared, |(lock, changed, ready)| {
                lock.acquire();
                while !ready.load(Ordering::Relaxed) {
                    changed.wait(lock);
                }
                lock.release().expect("it is held");
            })
        });
        let (lock, changed, ready) = &*shared;
        lock.acquire();
        ready.store(true, Ordering::Relaxed);
        changed.notify(2);
        lock.release().expect("it is held");
        waiters.into_iter().for_each(end);
        assert_eq!(changed.waiters(), 0);
    });
}

#[test]
fn a_notice_that_crosses_with_giving_up_goes_to_the_next() {
    model(4, || {
        let (condition, first, second) = with_two_in_line();
        let interrupted = start(&condition, |condition| condition.wait_with(first, &GivesUp, None));
        let patient = start(&condition, |condition| condition.wait_with(second, &Patient, None));
        condition.notify(1);
        assert!(end(interrupted).is_err());
        assert_eq!(end(patient), Ok(true));
    });
}

#[test]
fn a_notice_that_crosses_with_withdrawing_goes_to_the_next() {
    model(4, || {
        let (condition, first, second) = with_two_in_line();
        let leaving = start(&condition, |condition| condition.withdraw(first));
        let patient = start(&condition, |condition| condition.wait_with(second, &Patient, None));
        condition.notify(1);
        end(leaving);
        assert_eq!(end(patient), Ok(true));
    });
}

#[test]
fn a_notice_that_crosses_with_a_time_out_is_noticed() {
    model(4, || {
        let (condition, first, second) = with_two_in_line();
        let hasty = start(&condition, |condition| {
            let Ok(noticed) = condition.wait_with(first, &TimesOut, some_moment());
            noticed
        });
        let patient = start(&condition, |condition| condition.wait_with(second, &Patient, None));
        condition.notify(1);
        // One notice is for one: for the second, if the first did not notice it.
        if end(hasty) {
            assert_eq!(condition.waiters(), 1);
            condition.notify(1);
        }
        assert_eq!(end(patient), Ok(true));
    });
}

#[test]
fn who_comes_later_does_not_steal_the_notice() {
    model(4, || {
        let condition = Arc::new(Condition::<Locked>::new());
        let first = condition.enroll(None, false);
        let later = start(&condition, |condition| {
            condition.wait_with(condition.enroll(None, false), &TimesOut, some_moment())
        });
        let notifier = start(&condition, |condition| condition.notify(1));
        assert_eq!(condition.wait_with(first, &Patient, None), Ok(true));
        assert_eq!(end(later), Ok(false));
        end(notifier);
    });
}
