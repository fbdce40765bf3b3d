//! What the primitives do, within one process and between several.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use manyhands_shm::{
    Acquired, Barrier, Broken, Condition, Deadline, Event, Handle, Kind, Limit, Lock, Passage,
    Patient, Pause, RLock, Semaphore,
};

use crate::processes::{fork, shared, until};
use crate::support::Tells;

/// A semaphore that begins with nothing, and can always be released.
fn bell() -> Handle<Semaphore> {
    let bell = shared::<Semaphore>(Kind::Semaphore);
    bell.set_up(0, Semaphore::MAX);
    bell
}

fn short() -> Limit {
    Limit::after(Duration::from_millis(20))
}

/// Gives up at once.
struct GivesUp;

impl Pause for GivesUp {
    type Error = ();

    fn pause(&self, _: &AtomicU32, _: u32, _: Deadline) -> Result<(), ()> {
        Err(())
    }
}

#[test]
fn a_lock_is_acquired_once_and_released_by_anybody() {
    let lock = shared::<Lock>(Kind::Lock);
    lock.acquire();
    assert!(lock.is_mine());
    assert_eq!(lock.acquire_with(&Patient, Limit::Never), Ok(Acquired::No));
    assert_eq!(lock.acquire_with(&Patient, short()), Ok(Acquired::No));
    assert_eq!(lock.acquire_with(&GivesUp, Limit::Forever), Err(()));
    fork(|| lock.release().is_ok() && !lock.is_locked()).finish();
    assert!(lock.release().is_err());
}

#[test]
fn a_forked_child_does_not_hold_what_its_parent_does() {
    let lock = shared::<RLock>(Kind::RLock);
    lock.acquire();
    fork(|| lock.release().is_err() && !lock.is_mine() && lock.count() == 1).finish();
    lock.release().expect("it is ours");
}

#[test]
fn who_waits_for_a_lock_gets_it_from_another_process() {
    let (lock, waits, turns) = (shared::<Lock>(Kind::Lock), bell(), bell());
    lock.acquire();
    let child = fork(|| {
        let Ok(acquired) = lock.acquire_with(&Tells(&waits), Limit::Forever);
        turns.release().expect("it has no bound");
        acquired == Acquired::Yes && lock.release().is_ok()
    });
    waits.acquire();
    assert_eq!(turns.value(), 0);
    lock.release().expect("it is ours");
    turns.acquire();
    child.finish();
}

#[test]
fn a_lock_of_a_killed_process_passes_on() {
    let lock = shared::<Lock>(Kind::Lock);
    let holder = fork(|| {
        lock.acquire();
        std::thread::park();
        true
    });
    until(|| lock.is_locked());
    assert_eq!(lock.acquire_with(&Patient, short()), Ok(Acquired::No));
    holder.kill();
    // Nobody has waited for it: it is a zombie.
    assert!(matches!(lock.acquire(), Acquired::Inherited(Some(_))));
    assert!(lock.is_abandoned());
    lock.set_abandoned(false);
    lock.release().expect("it is ours");
    assert_eq!(lock.acquire(), Acquired::Yes);
    assert!(!lock.is_abandoned());
}

#[test]
fn who_never_waits_inherits_too() {
    let lock = shared::<Lock>(Kind::Lock);
    let holder = fork(|| {
        lock.acquire();
        true
    });
    holder.finish();
    until(|| {
        let Ok(acquired) = lock.acquire_with(&Patient, Limit::Never);
        acquired != Acquired::No
    });
    assert!(lock.is_abandoned());
}

#[test]
fn an_rlock_of_an_ended_thread_passes_on() {
    let lock = shared::<RLock>(Kind::RLock);
    std::thread::scope(|scope| {
        scope.spawn(|| lock.acquire()).join().expect("it ends well");
    });
    assert!(matches!(lock.acquire(), Acquired::Inherited(_)));
    assert_eq!(lock.count(), 1);
    lock.release().expect("it is ours");
}

#[test]
fn a_lock_of_an_ended_thread_does_not() {
    let lock = shared::<Lock>(Kind::Lock);
    std::thread::scope(|scope| {
        scope.spawn(|| lock.acquire()).join().expect("it ends well");
    });
    assert_eq!(
        lock.acquire_with(&Patient, Limit::after(Duration::from_millis(300))),
        Ok(Acquired::No)
    );
    lock.release().expect("anybody may");
}

#[test]
fn an_rlock_is_given_up_at_once_and_taken_back_as_often() {
    let lock = shared::<RLock>(Kind::RLock);
    for _ in 0..3 {
        lock.acquire();
    }
    assert_eq!(lock.release_all(), Ok(3));
    fork(|| lock.acquire() == Acquired::Yes && lock.release().is_ok()).finish();
    lock.reacquire_with(&Patient, 3).expect("infallible");
    assert_eq!(lock.count(), 3);
}

#[test]
fn a_semaphore_counts() {
    let semaphore = shared::<Semaphore>(Kind::Semaphore);
    semaphore.set_up(2, 3);
    semaphore.acquire();
    semaphore.acquire();
    assert_eq!(semaphore.acquire_with(&Patient, short()), Ok(false));
    assert_eq!(semaphore.acquire_with(&GivesUp, Limit::Forever), Err(()));
    for value in 1..=3 {
        semaphore.release().expect("it has less");
        assert_eq!(semaphore.value(), value);
    }
    assert!(semaphore.release().is_err());
}

#[test]
fn many_waiters_of_a_semaphore_all_get_theirs() {
    let semaphore = bell();
    let children = [(); 6].map(|()| {
        fork(|| {
            (0..500).for_each(|_| semaphore.acquire());
            true
        })
    });
    (0..3000).for_each(|_| semaphore.release().expect("it has no bound"));
    children.into_iter().for_each(|child| child.finish());
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn an_event_lets_all_go_on() {
    let event = shared::<Event>(Kind::Event);
    let waits = bell();
    assert_eq!(event.wait_with(&Tells(&waits), short()), Ok(false));
    assert!(waits.value() > 0);
    let children = [(); 4].map(|()| {
        let waits = bell();
        let child = fork(|| event.wait_with(&Tells(&waits), Limit::Forever) == Ok(true));
        waits.acquire();
        child
    });
    event.set();
    children.into_iter().for_each(|child| child.finish());
    event.clear();
    assert_eq!(event.wait_with(&Patient, Limit::Never), Ok(false));
}

#[test]
fn notices_go_to_who_has_waited_longest() {
    let condition = shared::<Condition>(Kind::Condition);
    let mut waiting = [(); 3].map(|()| condition.enlist().expect("a place"));
    assert_eq!(condition.waiters(), 3);
    condition.notify(2);
    let notified = waiting.each_mut().map(|one| one.wait_with(&Patient, Limit::Never));
    assert_eq!(notified, [Ok(true), Ok(true), Ok(false)]);
    drop(waiting);
    condition.notify_all();
    let mut late = condition.enlist().expect("a place");
    assert_eq!(late.wait_with(&Patient, short()), Ok(false));
}

#[test]
fn a_notice_for_one_who_gives_up_goes_to_the_next() {
    let condition = shared::<Condition>(Kind::Condition);
    let mut waiting = [(); 2].map(|()| condition.enlist().expect("a place"));
    assert_eq!(waiting[0].wait_with(&GivesUp, Limit::Forever), Err(()));
    condition.notify(1);
    assert_eq!(waiting[1].wait_with(&Patient, Limit::Forever), Ok(true));
}

#[test]
fn a_dead_waiter_takes_no_notice_away() {
    let condition = shared::<Condition>(Kind::Condition);
    let dead = fork(|| {
        std::mem::forget(condition.enlist().expect("a place"));
        std::thread::park();
        true
    });
    until(|| condition.waiters() == 1);
    let mut waiting = condition.enlist().expect("a place");
    dead.kill();
    condition.notify(1);
    assert_eq!(waiting.wait_with(&Patient, Limit::Forever), Ok(true));
}

#[test]
fn a_barrier_lets_pass_when_all_have_come() {
    let barrier = Barrier::new(3).expect("memory");
    let children =
        [(); 3].map(|()| fork(|| (0..300).all(|_| barrier.wait().is_ok_and(|index| index < 3))));
    children.into_iter().for_each(|child| child.finish());
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn more_can_come_to_a_barrier_than_it_takes() {
    let barrier = Barrier::new(2).expect("memory");
    let passed = bell();
    let children = [(); 6].map(|()| {
        fork(|| {
            while barrier.wait().is_ok() {
                passed.release().expect("it has no bound");
            }
            true
        })
    });
    (0..1000).for_each(|_| passed.acquire());
    barrier.abort();
    children.into_iter().for_each(|child| child.finish());
}

#[test]
fn a_time_out_breaks_a_barrier_until_it_is_reset() {
    let barrier = Barrier::new(2).expect("memory");
    let other = fork(|| barrier.wait() == Err(Broken));
    until(|| barrier.waiting() == 1);
    barrier.abort();
    other.finish();
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(Broken));
    barrier.reset();
    assert!(matches!(barrier.wait_with(&Patient, short(), false), Ok(Err(Broken))));
    assert!(barrier.is_broken());
}

#[test]
fn who_waits_at_a_barrier_that_is_reset_fails() {
    let barrier = Barrier::new(2).expect("memory");
    let other = fork(|| barrier.wait() == Err(Broken));
    until(|| barrier.waiting() == 1);
    barrier.reset();
    other.finish();
    assert!(!barrier.is_broken());
}

#[test]
fn all_wait_for_what_the_last_one_does() {
    let barrier = Barrier::new(2).expect("memory");
    let passed = bell();
    let other = fork(|| {
        let is_well = barrier.wait().is_ok();
        passed.release().expect("it has no bound");
        is_well
    });
    until(|| barrier.waiting() == 1);
    let Ok(Ok(Passage::Last(last))) = barrier.wait_with(&Patient, Limit::Forever, true) else {
        panic!("all others have come");
    };
    // A moment for one who does not wait.
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(passed.value(), 0);
    last.finish().expect("nobody breaks it");
    other.finish();
}

#[test]
fn a_barrier_breaks_if_what_the_last_one_does_fails() {
    let barrier = Barrier::new(2).expect("memory");
    let other = fork(|| barrier.wait() == Err(Broken));
    until(|| barrier.waiting() == 1);
    drop(barrier.wait_with(&Patient, Limit::Forever, true));
    other.finish();
    assert!(barrier.is_broken());
}

#[test]
fn a_barrier_breaks_if_the_last_one_dies_doing_it() {
    let barrier = Barrier::new(2).expect("memory");
    let last = fork(|| {
        until(|| barrier.waiting() == 1);
        let passage = barrier.wait_with(&Patient, Limit::Forever, true);
        std::thread::park();
        drop(passage);
        true
    });
    let waiter = fork(|| barrier.wait() == Err(Broken));
    until(|| barrier.waiting() == 2);
    last.kill();
    waiter.finish();
}
