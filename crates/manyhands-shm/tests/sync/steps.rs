//! A process is killed after each instruction of an operation, and the others go on.

use std::time::{SystemTime, UNIX_EPOCH};

use manyhands_shm::{
    Acquired, Barrier, Condition, Event, Handle, Kind, Limit, Lock, Owner, Passage, RLock,
    Semaphore,
};

use crate::processes::{Impatient, be_stepped, fork, shared};

/// So many instructions are stepped through in each test, unless all are to be.
const BUDGET: usize = 100_000;

/// Has children do `operation`; the first is killed at once, each next one an instruction later than the
/// one before, until one comes to the end. Before each `before` is called, and after it `after`.
///
/// What that costs rises with the square of the number of instructions; so it is done to a sample of
/// them, another one each time, unless `MANYHANDS_KILL_SECONDS` is set.
fn killed_at_each_step(
    warm_up: impl Fn(),
    operation: impl Fn(),
    mut before: impl FnMut(),
    mut after: impl FnMut(),
) {
    // Whether it was killed, and how many steps it made.
    let mut run = |steps: usize| {
        before();
        let mut child = fork(|| {
            Owner::current();
            warm_up();
            be_stepped();
            operation();
            true
        });
        let made = child.steps(steps);
        if made == steps {
            child.bury();
        }
        after();
        (made == steps, made)
    };
    let (_, all) = run(usize::MAX);
    assert!(all > 30, "that was no operation");
    let is_thorough = std::env::var_os("MANYHANDS_KILL_SECONDS").is_some();
    let stride = if is_thorough { 1 } else { 1 + all * all / 2 / BUDGET };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let first = now.subsec_micros() as usize % stride;
    // Not each child makes as many: those that wait look more than once.
    for steps in (first..all + all / 10).step_by(stride) {
        if !run(steps).0 {
            return;
        }
    }
}

#[test]
fn a_lock() {
    let (lock, spare) = (shared::<Lock>(Kind::Lock), shared::<Lock>(Kind::Lock));
    let mut inherited = 0;
    let cycle = |lock: &Lock| {
        lock.acquire();
        lock.release().expect("it is held");
    };
    killed_at_each_step(
        || cycle(&spare),
        || cycle(&lock),
        || {},
        || {
            let Ok(acquired) = lock.acquire_with(&Impatient, Limit::Forever);
            assert_eq!(matches!(acquired, Acquired::Inherited(_)), lock.is_abandoned());
            inherited += usize::from(lock.is_abandoned());
            lock.set_abandoned(false);
            lock.release().expect("it is ours");
            assert!(lock.release().is_err());
        },
    );
    assert!(inherited > 0, "nobody was killed as the holder");
}

#[test]
fn a_lock_that_somebody_waits_for() {
    let (lock, spare) = (shared::<Lock>(Kind::Lock), shared::<Lock>(Kind::Lock));
    std::thread::scope(|scope| {
        let waiter = std::cell::RefCell::new(None);
        killed_at_each_step(
            || {
                spare.acquire();
                spare.release().expect("it is held");
            },
            || {
                // It was acquired by the parent: anybody may release it.
                lock.release().expect("it is held");
                lock.acquire();
            },
            || {
                lock.acquire();
                *waiter.borrow_mut() = Some(scope.spawn(|| {
                    let Ok(acquired) = lock.acquire_with(&Impatient, Limit::Forever);
                    lock.release().expect("it is ours");
                    acquired
                }));
            },
            || {
                // Killed before it released the lock of its parent, who goes on holding it.
                if lock.is_mine() {
                    lock.release().expect("it is ours");
                }
                let waiter = waiter.take().expect("it was started");
                assert!(waiter.join().expect("it ends well").is_acquired());
                // The last child, which was not killed, or one between the two.
                let Ok(_) = lock.acquire_with(&Impatient, Limit::Forever);
                lock.release().expect("it is ours");
            },
        );
    });
}

#[test]
fn an_rlock() {
    let (lock, spare) = (shared::<RLock>(Kind::RLock), shared::<RLock>(Kind::RLock));
    let cycle = |lock: &RLock| {
        lock.acquire();
        lock.acquire();
        lock.release().expect("it is ours");
        lock.release().expect("it is ours");
    };
    killed_at_each_step(
        || cycle(&spare),
        || cycle(&lock),
        || {},
        || {
            let Ok(_) = lock.acquire_with(&Impatient, Limit::Forever);
            assert_eq!(lock.count(), 1);
            lock.release().expect("it is ours");
            assert!(lock.owner().is_none());
        },
    );
}

#[test]
fn a_semaphore_loses_at_most_what_the_dead_one_had() {
    let kind = Kind::Semaphore;
    let (semaphore, spare) = (shared::<Semaphore>(kind), shared::<Semaphore>(kind));
    let cycle = |semaphore: &Semaphore| {
        semaphore.acquire();
        semaphore.release().expect("it was taken");
    };
    spare.set_up(1, 1);
    killed_at_each_step(
        || cycle(&spare),
        || cycle(&semaphore),
        || semaphore.set_up(2, 2),
        || {
            let value = semaphore.value();
            assert!(value == 1 || value == 2);
            let Ok(taken) = semaphore.acquire_with(&Impatient, Limit::Never);
            assert!(taken);
            assert_eq!(semaphore.value(), value - 1);
        },
    );
}

#[test]
fn an_event_with_a_waiter() {
    let (event, spare) = (shared::<Event>(Kind::Event), shared::<Event>(Kind::Event));
    std::thread::scope(|scope| {
        let waiter = std::cell::RefCell::new(None);
        killed_at_each_step(
            || spare.set(),
            || event.set(),
            || {
                event.clear();
                *waiter.borrow_mut() =
                    Some(scope.spawn(|| event.wait_with(&Impatient, Limit::Forever)));
            },
            || {
                event.set();
                let waiter = waiter.take().expect("it was started");
                assert_eq!(waiter.join().expect("it ends well"), Ok(true));
            },
        );
    });
}

/// One notice is for who gets in line now.
fn next_is_told(condition: &Handle<Condition>) {
    let mut waiting = condition.enlist().expect("there is a place");
    condition.notify(1);
    let Ok(notified) = waiting.wait_with(&Impatient, Limit::Forever);
    assert!(notified);
}

#[test]
fn a_waiter_of_a_condition() {
    let kind = Kind::Condition;
    let (condition, spare) = (shared::<Condition>(kind), shared::<Condition>(kind));
    let wait = |condition: &Handle<Condition>| {
        let mut waiting = condition.enlist().expect("there is a place");
        let Ok(_) = waiting.wait_with(&Impatient, Limit::Never);
    };
    killed_at_each_step(
        || wait(&spare),
        || wait(&condition),
        || {},
        || {
            // One notice is for the dead one if he got as far, but only one.
            next_is_told(&condition);
            assert_eq!(condition.waiters(), 0);
        },
    );
}

#[test]
fn a_waiter_of_a_condition_who_was_notified() {
    let kind = Kind::Condition;
    let (condition, spare) = (shared::<Condition>(kind), shared::<Condition>(kind));
    // The child is the first in line; the parent's notice meets it at some step of the rest.
    killed_at_each_step(
        || next_is_told(&spare),
        || next_is_told(&condition),
        || {},
        || next_is_told(&condition),
    );
}

#[test]
fn a_notifier_of_a_condition() {
    let kind = Kind::Condition;
    let (condition, spare) = (shared::<Condition>(kind), shared::<Condition>(kind));
    let notify = |condition: &Condition| {
        condition.notify(1);
        condition.notify_all();
    };
    let waiting = std::cell::RefCell::new(Vec::new());
    killed_at_each_step(
        || {
            let _waiting = [(); 3].map(|()| spare.enlist());
            notify(&spare);
        },
        || notify(&condition),
        || *waiting.borrow_mut() = [(); 3].map(|()| condition.enlist().expect("a place")).into(),
        || {
            condition.notify_all();
            for mut waiting in waiting.borrow_mut().drain(..) {
                let Ok(notified) = waiting.wait_with(&Impatient, Limit::Forever);
                assert!(notified);
            }
            assert_eq!(condition.waiters(), 0);
        },
    );
}

#[test]
fn who_comes_to_a_barrier() {
    let (barrier, spare) = (Barrier::new(2).expect("memory"), Barrier::new(1).expect("memory"));
    let come = |barrier: &Barrier| barrier.wait_with(&Impatient, Limit::Never, false).map(drop);
    let pass = |barrier: &Barrier| {
        let Ok(passage) = barrier.wait_with(&Impatient, Limit::Forever, false);
        matches!(passage, Ok(Passage::Passed(_)))
    };
    killed_at_each_step(
        || come(&spare).expect("infallible"),
        || come(&barrier).expect("infallible"),
        || {},
        || {
            // It may have broken it, or begun to: its time was out.
            assert_eq!(barrier.waiting(), 0);
            if barrier.is_broken() {
                barrier.reset();
            }
            std::thread::scope(|scope| {
                let other = scope.spawn(|| pass(&barrier));
                let passed = pass(&barrier);
                assert!(other.join().expect("it ends well") && passed);
            });
        },
    );
}

#[test]
fn who_comes_last_to_a_barrier_with_something_to_do() {
    let (barrier, spare) = (Barrier::new(2).expect("memory"), Barrier::new(1).expect("memory"));
    let come = |barrier: &Barrier| {
        let Ok(passage) = barrier.wait_with(&Impatient, Limit::Forever, true);
        if let Ok(Passage::Last(last)) = passage {
            last.finish().expect("nobody breaks it");
        }
    };
    std::thread::scope(|scope| {
        let other = std::cell::RefCell::new(None);
        killed_at_each_step(
            || come(&spare),
            || come(&barrier),
            || {
                *other.borrow_mut() = Some(scope.spawn(|| {
                    let Ok(passage) = barrier.wait_with(&Impatient, Limit::Forever, true);
                    match passage {
                        Ok(Passage::Last(last)) => last.finish().is_ok(),
                        passage => passage.is_ok(),
                    }
                }));
            },
            || {
                let other = other.take().expect("it was started");
                // Who waits for one who was killed before he came waits for another.
                while !other.is_finished() && barrier.waiting() != 1 {
                    std::thread::yield_now();
                }
                if !other.is_finished() {
                    barrier.abort();
                }
                other.join().expect("it ends well");
                barrier.reset();
            },
        );
    });
}
