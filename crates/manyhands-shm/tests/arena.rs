//! Objects in the arena: who keeps them, who frees them.
#![expect(unsafe_code, reason = "processes are forked, and memory is looked at")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use manyhands_shm::{
    ArenaError, Condition, Handle, Kind, Limit, Owner, Patient, Plain, Reference, Shared, Waiting,
    arena,
};

use support::{alone, fork, fork_outliving, kill, reach, wait};

#[repr(C)]
struct Word(AtomicU32);

// SAFETY: one atomic.
unsafe impl Shared for Word {}

#[test]
fn what_is_dropped_is_free_at_once_and_used_again() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let word = Handle::<Word>::new(Kind::Lock).unwrap();
    word.0.store(5, Ordering::Relaxed);
    let reference = word.reference();
    assert_eq!(Handle::<Word>::open(reference, Kind::Lock).unwrap().0.load(Ordering::Relaxed), 5);
    assert!(matches!(Handle::<Word>::open(reference, Kind::Event), Err(ArenaError::Gone)));
    drop(word);
    assert_eq!(arena().unwrap().statistics().unwrap(), before);
    assert!(matches!(Handle::<Word>::open(reference, Kind::Lock), Err(ArenaError::Gone)));
    let again = Handle::<Word>::new(Kind::Lock).unwrap();
    assert_eq!(again.0.load(Ordering::Relaxed), 0);
    assert_eq!(again.reference().block >> 32, reference.block >> 32, "last in, first out");
}

#[test]
fn a_foreign_reference_is_refused() {
    let _alone = alone();
    let word = Handle::<Word>::new(Kind::Lock).unwrap();
    let Reference { arena, block } = word.reference();
    let other = Reference { arena: arena + 1, block };
    assert!(matches!(Handle::<Word>::open(other, Kind::Lock), Err(ArenaError::Stranger)));
}

#[test]
fn a_child_keeps_what_it_inherited_until_it_ends() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let flag = Handle::<Word>::new(Kind::Event).unwrap();
    let word = Handle::<Word>::new(Kind::Lock).unwrap();
    word.0.store(7, Ordering::Relaxed);
    let child = fork(|| {
        flag.0.store(1, Ordering::Release);
        reach(&flag.0, 2);
        // The parent has let go of it, and made something else since.
        i32::from(word.0.load(Ordering::Relaxed) != 7)
    });
    reach(&flag.0, 1);
    drop(word);
    assert_eq!(arena().unwrap().statistics().unwrap().lingering, before.lingering + 1);
    let other = Handle::<Word>::new(Kind::Lock).unwrap();
    other.0.store(8, Ordering::Relaxed);
    flag.0.store(2, Ordering::Release);
    assert_eq!(wait(child), 0);
    drop((flag, other));
    let after = arena().unwrap().statistics().unwrap();
    assert_eq!((after.blocks, after.lingering), (before.blocks, before.lingering));
    assert_eq!(after.participants, before.participants);
}

#[test]
fn what_a_killed_process_made_is_freed() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let flag = Handle::<Word>::new(Kind::Event).unwrap();
    let child = fork(|| {
        let made: Vec<_> = (0..50)
            .map(|size| Handle::<Plain>::with_tail(Kind::Plain, 100 << (size % 14)).unwrap())
            .collect();
        flag.0.store(made.len() as u32, Ordering::Release);
        loop {
            std::thread::park();
        }
    });
    reach(&flag.0, 50);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before.blocks + 51);
    kill(child);
    wait(child);
    drop(flag);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before.blocks);
}

#[test]
fn an_owner_is_dead_as_soon_as_its_process_is_a_zombie() {
    let _alone = alone();
    let owner = Handle::<Plain>::with_tail(Kind::Plain, 8).unwrap();
    // SAFETY: the tail is 8 bytes, aligned, and there are only atomic accesses to it.
    let word = unsafe { &*owner.tail().0.cast::<std::sync::atomic::AtomicU64>() };
    let child = fork(|| {
        word.store(Owner::current().to_bits(), Ordering::Release);
        loop {
            std::thread::park();
        }
    });
    while word.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    let there = Owner::from_bits(word.load(Ordering::Acquire)).unwrap();
    assert_eq!(there.pid(), Some(child.cast_unsigned()));
    assert!(there.is_alive() && there.is_thread_alive() && !there.is_current_process());
    kill(child);
    while there.is_alive() {
        std::thread::yield_now();
    }
    wait(child);
    assert!(Owner::current().is_alive());
}

#[test]
fn a_grandchild_keeps_what_its_dead_parent_inherited() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let flag = Handle::<Word>::new(Kind::Event).unwrap();
    let word = Handle::<Word>::new(Kind::Lock).unwrap();
    let child = fork(|| {
        fork_outliving(|| {
            flag.0.store(1, Ordering::Release);
            reach(&flag.0, 2);
            flag.0.store(3, Ordering::Release);
            0
        });
        0
    });
    reach(&flag.0, 1);
    wait(child);
    drop(word);
    assert_eq!(arena().unwrap().statistics().unwrap().lingering, before.lingering + 1);
    flag.0.store(2, Ordering::Release);
    reach(&flag.0, 3);
    drop(flag);
    while arena().unwrap().statistics().unwrap() != before {
        std::thread::yield_now();
    }
}

#[test]
fn processes_killed_while_they_allocate_and_free_leave_nothing() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap();
    let flag = Handle::<Word>::new(Kind::Event).unwrap();
    for round in 0..150_u32 {
        flag.0.store(0, Ordering::Relaxed);
        let child = fork(|| {
            let mut kept = std::collections::VecDeque::new();
            for size in (0..).map(|turn: usize| 1 << (turn % 17)) {
                kept.push_back(Handle::<Plain>::with_tail(Kind::Plain, size).unwrap());
                if kept.len() > 20 {
                    kept.pop_front();
                }
                flag.0.fetch_add(1, Ordering::Release);
            }
            0
        });
        reach(&flag.0, 1 + round * 7 % 300);
        kill(child);
        let mine: Vec<_> =
            (0..10).map(|_| Handle::<Plain>::with_tail(Kind::Plain, 3000).unwrap()).collect();
        wait(child);
        drop(mine);
    }
    drop(flag);
    let after = arena().unwrap().statistics().unwrap();
    assert_eq!((after.blocks, after.lingering), (before.blocks, before.lingering));
}

#[test]
fn more_can_wait_than_a_condition_has_places_at_first() {
    let _alone = alone();
    let before = arena().unwrap().statistics().unwrap().blocks;
    let condition = Handle::<Condition>::new(Kind::Condition).unwrap();
    let mut waiting: Vec<_> = (0..500).map(|_| condition.enlist().expect("a place")).collect();
    assert_eq!(condition.waiters(), 500);
    condition.notify(400);
    let notified =
        |one: &mut Waiting<'_>| one.wait_with(&Patient, Limit::Never).expect("infallible");
    let count = waiting.iter_mut().filter_map(|one| notified(one).then_some(())).count();
    assert_eq!(count, 400);
    assert!(waiting[..400].iter_mut().all(notified), "the first ones");
    condition.notify_all();
    // Those who were not notified in time have given up.
    drop(waiting);
    assert_eq!(condition.waiters(), 0);
    drop(condition);
    assert_eq!(arena().unwrap().statistics().unwrap().blocks, before);
}
