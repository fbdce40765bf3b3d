//! Models of [`Lock`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use manyhands_sync::{Limit, Lock};

use crate::{GivesUp, TimesOut, end, model, some_time, start};

/// A lock, and a number that only its holder may touch: loads and stores that are not ordered by the
/// lock lose an addition in some order of steps.
#[derive(Default)]
struct Counter {
    lock: Lock,
    count: AtomicUsize,
}

impl Counter {
    fn held() -> Arc<Counter> {
        let counter = Counter::default();
        counter.lock.acquire();
        Arc::new(counter)
    }

    fn add_and_release(&self) {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        self.lock.release().expect("it is held");
    }

    fn add(&self) {
        self.lock.acquire();
        self.add_and_release();
    }
}

#[test]
fn three_threads_exclude_each_other_and_all_get_their_turn() {
    model(3, || {
        let counter = Arc::new(Counter::default());
        let others = [(); 2].map(|()| start(&counter, Counter::add));
        counter.add();
        others.into_iter().for_each(end);
        assert_eq!(counter.count.load(Ordering::Relaxed), 3);
        assert!(!counter.lock.is_locked());
    });
}

#[test]
fn a_wake_up_that_crosses_with_a_time_out_is_not_lost() {
    model(4, || {
        let counter = Counter::held();
        let hasty = start(&counter, |counter| {
            let Ok(got) = counter.lock.acquire_with(&TimesOut, some_time());
            if got {
                counter.add_and_release();
            }
        });
        let patient = start(&counter, Counter::add);
        counter.add_and_release();
        end(hasty);
        end(patient);
        assert!(counter.count.load(Ordering::Relaxed) >= 2);
        assert!(!counter.lock.is_locked());
    });
}

#[test]
fn a_wake_up_that_crosses_with_giving_up_goes_to_the_next() {
    model(4, || {
        let counter = Counter::held();
        let interrupted = start(&counter, |counter| {
            if counter.lock.acquire_with(&GivesUp, Limit::Forever) == Ok(true) {
                counter.add_and_release();
            }
        });
        let patient = start(&counter, Counter::add);
        counter.add_and_release();
        end(interrupted);
        end(patient);
        assert!(counter.count.load(Ordering::Relaxed) >= 2);
        assert!(!counter.lock.is_locked());
    });
}
