//! Models of [`Lock`] and [`RLock`].

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use manyhands_shm::{Acquired, Deadline, Limit, Lock, Owner, RLock};

use crate::{GivesUp, Hasty, Restless, end, model, start};

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
        assert!(counter.lock.try_acquire());
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
fn three_processes_exclude_each_other_and_all_get_their_turn() {
    model(2, || {
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
    model(3, || {
        let counter = Counter::held();
        let hasty = start(&counter, |counter| {
            let limit = Limit::Until(Deadline::now());
            let Ok(acquired) = counter.lock.acquire_with(&Hasty, limit);
            if acquired.is_acquired() {
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
    model(3, || {
        let counter = Counter::held();
        let interrupted = start(&counter, |counter| {
            if counter.lock.acquire_with(&GivesUp, Limit::Forever).is_ok() {
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

#[test]
fn a_dead_holders_lock_passes_on_to_one_of_two_once() {
    model(3, || {
        let counter = Arc::new(Counter::default());
        let victim = start(&counter, |counter| {
            counter.lock.acquire();
            Owner::current().die();
        });
        end(victim);
        let acquire = |counter: &Counter| {
            let Ok(acquired) = counter.lock.acquire_with(&Restless, Limit::Forever);
            counter.add_and_release();
            acquired
        };
        let other = start(&counter, acquire);
        let outcomes = [acquire(&counter), end(other)];
        assert_eq!(counter.count.load(Ordering::Relaxed), 2);
        let inherited = outcomes.iter().filter(|one| matches!(one, Acquired::Inherited(_)));
        assert_eq!(inherited.count(), 1);
        assert!(counter.lock.is_abandoned() && !counter.lock.is_locked());
    });
}

#[test]
fn a_lock_of_one_who_dies_while_others_wait_is_not_lost() {
    model(3, || {
        let counter = Arc::new(Counter::default());
        let victim = start(&counter, |counter| {
            // Killed as the holder, or before it ever got it.
            let _ = counter.lock.try_acquire();
            Owner::current().die();
        });
        let waits = start(&counter, |counter| {
            let Ok(_) = counter.lock.acquire_with(&Restless, Limit::Forever);
            counter.add_and_release();
        });
        end(victim);
        end(waits);
        assert_eq!(counter.count.load(Ordering::Relaxed), 1);
        let Ok(acquired) = counter.lock.acquire_with(&Restless, Limit::Forever);
        assert!(acquired.is_acquired());
    });
}

#[test]
fn an_rlock_is_free_after_as_many_releases() {
    model(3, || {
        let lock = Arc::new(RLock::default());
        let twice = |lock: &RLock| {
            lock.acquire();
            lock.acquire();
            assert_eq!(lock.count(), 2);
            lock.release().expect("it is ours");
            lock.release().expect("it is ours");
        };
        let other = start(&lock, twice);
        twice(&lock);
        end(other);
        assert_eq!(lock.owner(), None);
    });
}

#[test]
fn an_heir_of_an_rlock_holds_it_once() {
    model(3, || {
        let lock = Arc::new(RLock::default());
        let victim = start(&lock, |lock| {
            lock.acquire();
            lock.acquire();
            Owner::current().die();
        });
        let Ok(_) = lock.acquire_with(&Restless, Limit::Forever);
        assert_eq!(lock.count(), 1);
        lock.release().expect("it is ours");
        end(victim);
    });
}
