//! [`Condition`]

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use manyhands_sync::{Condition, Deadline, Lock, Locked, Patient};

use crate::gates::{Announces, GivesUp, Interrupted, Notified, TimesOut};
use crate::watched::watched;

fn condition() -> Condition {
    Condition::default()
}

#[test]
fn a_notice_from_enrolling_on_counts() {
    let condition = condition();
    let ticket = condition.enroll(None, false);
    assert_eq!(condition.waiters(), 1);
    condition.notify(1);
    assert_eq!(condition.waiters(), 0);
    assert_eq!(condition.wait_with(ticket, &Patient, None), Ok(true));
}

#[test]
fn nobody_is_notified_of_what_was_before() {
    let condition = condition();
    condition.notify_all();
    let ticket = condition.enroll(None, false);
    let over = Some(Deadline::now());
    assert_eq!(condition.wait_with(ticket, &Patient, over), Ok(false));
    assert_eq!(condition.waiters(), 0);
}

#[test]
fn a_notice_goes_to_who_waits_longest() {
    let condition = condition();
    let over = Some(Deadline::now());
    let tickets = [(); 4].map(|()| condition.enroll(None, false));
    condition.notify(0);
    assert_eq!(condition.waiters(), 4);
    condition.notify(2);
    let noticed = tickets.map(|ticket| condition.wait_with(ticket, &Patient, over));
    assert_eq!(noticed, [Ok(true), Ok(true), Ok(false), Ok(false)]);
}

#[test]
fn who_does_not_wait_after_all_leaves_the_notice_to_the_next() {
    let condition = condition();
    let (first, second) = (condition.enroll(None, false), condition.enroll(None, false));
    condition.notify(1);
    condition.withdraw(first);
    assert_eq!(condition.wait_with(second, &Patient, None), Ok(true));
    let third = condition.enroll(None, false);
    condition.withdraw(third);
    assert_eq!(condition.waiters(), 0);
}

#[test]
fn a_notice_during_the_wait_counts_however_the_wait_ends() {
    let condition = condition();
    let notify = || condition.notify(1);
    let over = Some(Deadline::now());
    let ticket = condition.enroll(None, false);
    assert_eq!(condition.wait_with(ticket, &Notified(notify), None), Ok(true));
    let ticket = condition.enroll(None, false);
    assert_eq!(condition.wait_with(ticket, &TimesOut(notify), over), Ok(true));
    let (ticket, next) = (condition.enroll(None, false), condition.enroll(None, false));
    assert_eq!(condition.wait_with(ticket, &GivesUp(notify), None), Err(Interrupted));
    assert_eq!(condition.wait_with(next, &Patient, None), Ok(true));
}

#[test]
fn who_gives_up_without_a_notice_just_leaves() {
    let condition = condition();
    let (ticket, next) = (condition.enroll(None, false), condition.enroll(None, false));
    assert_eq!(condition.wait_with(ticket, &GivesUp(|| ()), None), Err(Interrupted));
    assert_eq!(condition.waiters(), 1);
    assert_eq!(condition.wait_with(next, &Patient, Some(Deadline::now())), Ok(false));
}

#[test]
fn waiting_gives_the_lock_up_and_takes_it_again() {
    watched(|| {
        let (lock, condition) = (Lock::<Locked>::new(), condition());
        lock.acquire();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _held = lock.hold();
                condition.notify(1);
            });
            condition.wait(&lock);
            assert!(lock.is_locked());
            lock.release().expect("it is held");
        });
    });
}

#[test]
#[should_panic(expected = "cannot wait on un-acquired lock")]
fn waiting_without_the_lock_panics() {
    condition().wait(&Lock::new());
}

#[test]
fn a_wait_that_panics_has_left_the_line() {
    let condition = condition();
    let waits = std::panic::AssertUnwindSafe(|| condition.wait(&Lock::new()));
    assert!(std::panic::catch_unwind(waits).is_err());
    assert_eq!(condition.waiters(), 0);
}

#[test]
fn all_are_notified_at_once() {
    watched(|| {
        let condition = condition();
        let (in_line, arrived) = channel();
        thread::scope(|scope| {
            for _ in 0..4 {
                let (condition, gate) = (&condition, Announces(in_line.clone()));
                scope
                    .spawn(move || condition.wait_with(condition.enroll(None, false), &gate, None));
            }
            (0..4).for_each(|_| arrived.recv().expect("they get in line"));
            assert_eq!(condition.waiters(), 4);
            condition.notify_all();
        });
    });
}

#[test]
fn a_buffer_built_on_it_loses_nothing() {
    watched(|| {
        let items = if cfg!(miri) { 10 } else { 2000 };
        let (lock, changed) = (Lock::<Locked>::new(), condition());
        let buffer = Mutex::new(VecDeque::new());
        let buffer = || buffer.try_lock().expect("the lock keeps others out");
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for item in 0..items {
                        let _held = lock.hold();
                        while buffer().len() == 3 {
                            changed.wait(&lock);
                        }
                        buffer().push_back(item);
                        changed.notify_all();
                    }
                });
            }
            let mut sum = 0;
            for _ in 0..2 * items {
                let _held = lock.hold();
                while buffer().is_empty() {
                    changed.wait(&lock);
                }
                sum += buffer().pop_front().expect("it is not empty");
                changed.notify_all();
            }
            assert_eq!(sum, items * (items - 1));
        });
    });
}

#[test]
fn a_reset_forgets_who_waits() {
    let condition = condition();
    let _ticket = condition.enroll(None, false);
    condition.reset();
    assert_eq!(condition.waiters(), 0);
}

#[test]
fn debug_shows_how_many_wait() {
    let condition = condition();
    let _ticket = condition.enroll(None, false);
    assert_eq!(format!("{condition:?}"), "Condition { waiters: 1 }");
}
