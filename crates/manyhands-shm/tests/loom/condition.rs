//! Models of [`Condition`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::mpsc::{Receiver, channel};
use manyhands_shm::{Condition, Deadline, Limit, Lock, Owner, Patient};

use crate::{GivesUp, Hasty, Restless, end, model, start};

/// Waits until a thread has said that it is in line.
fn in_line(receiver: &Receiver<()>) {
    receiver.recv().expect("it gets in line");
}

#[test]
fn a_notice_of_a_change_made_under_the_lock_is_not_lost() {
    model(2, || {
        let shared = Arc::new((Lock::default(), Condition::default(), AtomicBool::new(false)));
        let waiters = [(); 2].map(|()| {
            start(&shared, |(lock, changed, ready)| {
                lock.acquire();
                while !ready.load(Ordering::Relaxed) {
                    let mut waiting = changed.enlist().expect("there is a place");
                    lock.release().expect("it is held");
                    let Ok(_) = waiting.wait_with(&Patient, Limit::Forever);
                    lock.acquire();
                }
                lock.release().expect("it is held");
            })
        });
        let (lock, changed, ready) = &*shared;
        lock.acquire();
        ready.store(true, Ordering::Relaxed);
        changed.notify_all();
        lock.release().expect("it is held");
        waiters.into_iter().for_each(end);
        assert_eq!(changed.waiters(), 0);
    });
}

#[test]
fn a_notice_that_crosses_with_giving_up_goes_to_the_next() {
    model(3, || {
        let condition = Arc::new(Condition::default());
        let (first, ready) = channel();
        let interrupted = start(&condition, move |condition| {
            let mut waiting = condition.enlist().expect("there is a place");
            first.send(()).expect("the model listens");
            waiting.wait_with(&GivesUp, Limit::Forever)
        });
        in_line(&ready);
        let mut second = condition.enlist().expect("there is a place");
        let notifier = start(&condition, |condition| condition.notify(1));
        let was_interrupted = end(interrupted).is_err();
        end(notifier);
        if !was_interrupted {
            condition.notify(1);
        }
        assert_eq!(second.wait_with(&Patient, Limit::Forever), Ok(true));
    });
}

#[test]
fn a_notice_that_crosses_with_a_time_out_is_noticed() {
    model(3, || {
        let condition = Arc::new(Condition::default());
        let (first, ready) = channel();
        let hasty = start(&condition, move |condition| {
            let mut waiting = condition.enlist().expect("there is a place");
            first.send(()).expect("the model listens");
            let Ok(noticed) = waiting.wait_with(&Hasty, Limit::Until(Deadline::now()));
            noticed
        });
        in_line(&ready);
        let mut second = condition.enlist().expect("there is a place");
        condition.notify(1);
        // One notice is for one: for the second, if the first did not notice it.
        if end(hasty) {
            condition.notify(1);
        }
        assert_eq!(second.wait_with(&Patient, Limit::Forever), Ok(true));
    });
}

#[test]
fn a_notice_for_one_who_dies_goes_to_who_waited_then() {
    model(3, || {
        let condition = Arc::new(Condition::default());
        let (first, ready) = channel();
        let victim = start(&condition, move |condition| {
            let mut waiting = condition.enlist().expect("there is a place");
            first.send(()).expect("the model listens");
            // Killed before, while or after it is notified; never does it leave its place.
            let Ok(_) = waiting.wait_with(&Hasty, Limit::Until(Deadline::now()));
            Owner::current().die();
            std::mem::forget(waiting);
        });
        in_line(&ready);
        let mut second = condition.enlist().expect("there is a place");
        let notifier = start(&condition, |condition| condition.notify(1));
        assert_eq!(second.wait_with(&Restless, Limit::Forever), Ok(true));
        end(notifier);
        end(victim);
    });
}

#[test]
fn a_notice_is_for_one_of_two_who_save_it() {
    model(2, || {
        let condition = Arc::new(Condition::default());
        let (first, ready) = channel();
        let victim = start(&condition, move |condition| {
            let waiting = condition.enlist().expect("there is a place");
            std::mem::forget(waiting);
            first.send(()).expect("the model listens");
        });
        in_line(&ready);
        condition.notify(1);
        let mut second = condition.enlist().expect("there is a place");
        end(victim);
        // Who came after the notice does not get it, whoever dies.
        let Ok(noticed) = second.wait_with(&Restless, Limit::Never);
        assert!(!noticed);
    });
}
