//! Deaths with locks and the like, and of who inherits or repairs what the dead have left.

use std::time::Duration;

use manyhands_shm::{
    Acquired, Barrier, Condition, Event, Handle, Kind, Limit, Lock, Passage, Patient, RLock,
    Semaphore, Shared, Waiting,
};

use crate::support::{alone, fork, reap};
use crate::{Deaths, at_every_step, at_every_two_steps};

fn shared<T: Shared>(kind: Kind) -> Handle<T> {
    Handle::new(kind).unwrap()
}

fn soon() -> Limit {
    Limit::after(Duration::from_millis(1))
}

/// One death at each step of it; and a second one at each step of its heir, who does the same.
fn dying<S>(name: &str, prepare: impl Fn() -> S, act: impl Fn(&S), check: impl Fn(S, Deaths)) {
    let _alone = alone();
    at_every_step(name, &prepare, &act, &check);
    at_every_two_steps(name, &prepare, &act, &act, &check);
}

#[test]
fn a_lock() {
    let act = |lock: &Handle<Lock>| {
        assert_ne!(lock.acquire(), Acquired::No);
        lock.release().unwrap();
        assert!(lock.try_acquire());
        lock.release().unwrap();
    };
    dying(
        "lock",
        || shared(Kind::Lock),
        act,
        |lock, deaths| {
            let acquired = lock.acquire();
            if let Acquired::Inherited(_) = acquired {
                assert!(deaths > 0 && lock.is_abandoned());
            }
            assert!(lock.is_mine());
            assert!(deaths > 0 || !lock.is_abandoned());
            lock.release().unwrap();
            assert!(lock.release().is_err());
        },
    );
}

#[test]
fn a_lock_that_another_one_has() {
    let prepare = || {
        let lock = shared::<Lock>(Kind::Lock);
        lock.acquire();
        lock
    };
    let act = |lock: &Handle<Lock>| {
        let Ok(acquired) = lock.acquire_with(&Patient, soon());
        assert_eq!(acquired, Acquired::No);
    };
    dying("held lock", prepare, act, |lock, _| {
        assert!(lock.is_mine() && !lock.is_abandoned());
        lock.release().unwrap();
        assert_eq!(lock.acquire(), Acquired::Yes);
    });
}

#[test]
fn an_rlock() {
    let act = |lock: &Handle<RLock>| {
        assert_ne!(lock.acquire(), Acquired::No);
        assert_eq!(lock.acquire(), Acquired::Yes);
        assert_eq!(lock.release_all(), Ok(2));
        let Ok(_) = lock.reacquire_with(&Patient, 2);
        assert_eq!(lock.count(), 2);
        lock.release().unwrap();
        lock.release().unwrap();
    };
    dying(
        "rlock",
        || shared(Kind::RLock),
        act,
        |lock, deaths| {
            let acquired = lock.acquire();
            assert!(acquired == Acquired::Yes || deaths > 0);
            assert_eq!(lock.count(), 1);
            lock.release().unwrap();
            assert!(lock.owner().is_none());
        },
    );
}

#[test]
fn a_semaphore() {
    let prepare = || {
        let semaphore = shared::<Semaphore>(Kind::Semaphore);
        semaphore.set_up(6, 6);
        semaphore
    };
    let act = |semaphore: &Handle<Semaphore>| {
        semaphore.acquire();
        semaphore.acquire();
        semaphore.release().unwrap();
        semaphore.release().unwrap();
    };
    dying("semaphore", prepare, act, |semaphore, deaths| {
        let value = semaphore.value();
        assert!((6 - 2 * deaths..=6).contains(&value), "{value} left by {deaths}");
        (value..6).for_each(|_| semaphore.release().unwrap());
        assert!(semaphore.release().is_err());
    });
}

#[test]
fn an_empty_semaphore() {
    let prepare = || {
        let semaphore = shared::<Semaphore>(Kind::Semaphore);
        semaphore.set_up(0, 5);
        semaphore
    };
    let act = |semaphore: &Handle<Semaphore>| {
        let Ok(_) = semaphore.acquire_with(&Patient, soon());
        // With the flag of those who wait still set.
        semaphore.release().unwrap();
        semaphore.acquire();
    };
    dying("empty semaphore", prepare, act, |semaphore, deaths| {
        assert!(semaphore.value() <= deaths);
        semaphore.release().unwrap();
        semaphore.acquire();
    });
}

#[test]
fn an_event() {
    let act = |event: &Handle<Event>| {
        let Ok(_) = event.wait_with(&Patient, soon());
        event.set();
        event.wait();
        event.clear();
    };
    dying(
        "event",
        || shared::<Event>(Kind::Event),
        act,
        |event, deaths| {
            assert!(!event.is_set() || deaths > 0);
            event.clear();
            assert_eq!(event.wait_with(&Patient, soon()), Ok(false));
            event.set();
            event.wait();
        },
    );
}

/// A condition for which so many wait, which is this process.
struct Queue {
    waiting: Vec<Waiting<'static>>,
    condition: *mut Handle<Condition>,
}

impl Queue {
    fn of(count: usize) -> Queue {
        let condition = Box::into_raw(Box::new(shared::<Condition>(Kind::Condition)));
        // SAFETY: it lives until this is dropped, and those who wait are dropped before.
        let line: &'static Handle<Condition> = unsafe { &*condition };
        Queue { waiting: (0..count).map(|_| line.enlist().unwrap()).collect(), condition }
    }

    fn condition(&self) -> &Handle<Condition> {
        // SAFETY: as above.
        unsafe { &*self.condition }
    }

    /// All who wait are notified, by this if not before, and the condition is as good as new.
    fn check(mut self) {
        self.condition().notify_all();
        for waiting in &mut self.waiting {
            assert_eq!(waiting.wait_with(&Patient, Limit::Forever), Ok(true));
        }
        self.waiting.clear();
        let condition = self.condition();
        assert_eq!(condition.waiters(), 0);
        let mut again = condition.enlist().unwrap();
        let mut later = condition.enlist().unwrap();
        condition.notify(1);
        assert_eq!(again.wait_with(&Patient, Limit::Forever), Ok(true));
        assert_eq!(later.wait_with(&Patient, Limit::Never), Ok(false));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.waiting.clear();
        // SAFETY: made by `of`, and nobody waits any more.
        drop(unsafe { Box::from_raw(self.condition) });
    }
}

#[test]
fn a_waiter_of_a_condition() {
    let act = |queue: &Queue| {
        let mut waiting = queue.condition().enlist().unwrap();
        let Ok(_) = waiting.wait_with(&Patient, soon());
    };
    dying("condition, wait", || Queue::of(1), act, |queue, _| queue.check());
}

#[test]
fn a_notified_waiter_of_a_condition() {
    let act = |queue: &Queue| {
        let mut waiting = queue.condition().enlist().unwrap();
        queue.condition().notify_all();
        let Ok(notified) = waiting.wait_with(&Patient, Limit::Forever);
        assert!(notified);
    };
    dying("condition, notified", || Queue::of(0), act, |queue, _| queue.check());
}

#[test]
fn a_notifier_of_a_condition() {
    let act = |queue: &Queue| {
        queue.condition().notify(2);
        queue.condition().notify_all();
    };
    dying("condition, notify", || Queue::of(4), act, |queue, _| queue.check());
}

#[test]
fn a_waiter_of_a_condition_without_places() {
    let _alone = alone();
    let act = |queue: &Queue| {
        let waiting = queue.condition().enlist().unwrap();
        queue.condition().notify(1);
        drop(waiting);
    };
    let prepare = || Queue::of(36);
    at_every_step("condition, room", prepare, act, |queue, _| queue.check());
}

/// Two come, one of them another process, and pass.
fn pass(barrier: &Barrier) {
    let other = fork(|| i32::from(barrier.wait().is_err()));
    assert!(barrier.wait().is_ok());
    assert_eq!(reap(other), 0);
}

#[test]
fn who_comes_to_a_barrier() {
    let act = |barrier: &Barrier| {
        let Ok(_) = barrier.wait_with(&Patient, soon(), false);
    };
    dying(
        "barrier",
        || Barrier::new(2).unwrap(),
        act,
        |barrier, _| {
            assert_eq!(barrier.waiting(), 0);
            if barrier.is_broken() {
                barrier.reset();
            }
            pass(&barrier);
        },
    );
}

#[test]
fn who_passes_a_barrier_alone() {
    let act = |barrier: &Barrier| {
        let Ok(first) = barrier.wait_with(&Patient, Limit::Forever, false);
        let Ok(second) = barrier.wait_with(&Patient, Limit::Forever, true);
        if let Ok(Passage::Last(last)) = second {
            let _ = last.finish();
        }
        drop(first);
        barrier.abort();
        barrier.reset();
    };
    dying(
        "barrier for one",
        || Barrier::new(1).unwrap(),
        act,
        |barrier, _| {
            // Broken, or to be broken by who comes next and finds its action's runner dead.
            barrier.reset();
            assert_eq!(barrier.wait(), Ok(0));
            assert_eq!(barrier.waiting(), 0);
        },
    );
}

#[test]
fn who_comes_last_to_a_barrier() {
    let _alone = alone();
    let prepare = || {
        let barrier = Barrier::new(3).unwrap();
        let waiters = [(); 2].map(|()| fork(|| i32::from(barrier.wait().is_err())));
        while barrier.waiting() < 2 {
            std::thread::yield_now();
        }
        (barrier, waiters)
    };
    let act = |(barrier, _): &(Barrier, [i32; 2])| assert!(barrier.wait().is_ok());
    at_every_step("barrier for three", prepare, act, |(barrier, waiters), deaths| {
        // Either he has not come, or all pass.
        match barrier.waiting() {
            0 => {}
            2 => assert!(deaths > 0 && barrier.wait().is_ok()),
            other => panic!("{other} of two were left behind"),
        }
        for waiter in waiters {
            assert_eq!(reap(waiter), 0);
        }
        assert!(!barrier.is_broken());
    });
}
