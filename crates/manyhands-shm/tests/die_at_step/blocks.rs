//! Deaths while blocks are made, released, and buried.

use std::sync::atomic::{AtomicU32, Ordering};

use manyhands_shm::{Handle, Kind, Plain, Queue};

use crate::support::{alone, fork, kill, reach, reap};
use crate::{at_every_step, at_every_two_steps, dies, size};

fn plain(size: usize) -> Handle<Plain> {
    Handle::with_tail(Kind::Plain, size).unwrap()
}

/// A block that is made is zero, whoever had it before, and nobody else's.
fn make_and_look() {
    let blocks: Vec<_> = [50, 3000, 100_000, 3000, 50].map(plain).into();
    for (number, block) in (1..).zip(&blocks) {
        let (start, len) = block.tail();
        // SAFETY: the block is ours.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start, len) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        bytes.fill(number);
    }
    for (number, block) in (1..).zip(&blocks) {
        let (start, len) = block.tail();
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(start, len) };
        assert!(bytes.iter().all(|&byte| byte == number), "somebody else's, too");
    }
}

fn dying(name: &str, act: impl Fn()) {
    let _alone = alone();
    at_every_step(name, || (), |()| act(), |(), _| make_and_look());
    let repair = |(): &()| drop([plain(100), plain(5000)]);
    at_every_two_steps(name, || (), |()| act(), repair, |(), _| make_and_look());
}

#[test]
fn making_and_dropping_blocks() {
    dying("blocks", || drop([plain(10), plain(4000), plain(10)]));
}

#[test]
fn making_and_dropping_queues() {
    dying("queues", || drop(Queue::new(0).unwrap()));
}

#[test]
fn giving_memory_back() {
    // More than what free blocks may keep.
    dying("large blocks", || drop([plain(3 << 20), plain(3 << 20)]));
}

#[test]
fn making_blocks_that_were_not_there() {
    let _alone = alone();
    let turns = AtomicU32::new(0);
    // As many as were ever made: the list of free ones is empty.
    let prepare =
        || (0..3 * turns.fetch_add(1, Ordering::Relaxed)).map(|_| plain(1500)).collect::<Vec<_>>();
    let act = |_: &Vec<_>| drop([plain(1500), plain(1500), plain(1500)]);
    at_every_step("carve", prepare, act, |kept, _| {
        make_and_look();
        drop(kept);
    });
}

/// Somebody who has died with all sorts of things, and is not buried.
fn corpse() {
    let ready = Handle::<Plain>::with_tail(Kind::Plain, 4).unwrap();
    // SAFETY: four bytes, aligned, and used as an atomic only.
    let word = unsafe { &*ready.tail().0.cast::<AtomicU32>() };
    let child = fork(|| {
        let (_queue, _blocks) = (Queue::new(0).unwrap(), [plain(10), plain(5000)]);
        word.store(1, Ordering::Release);
        loop {
            std::thread::park();
        }
    });
    reach(word, 1);
    kill(child);
    reap(child);
}

#[test]
fn burying_somebody() {
    let _alone = alone();
    let bury = |(): &()| {
        size();
    };
    at_every_step("bury", corpse, bury, |(), _| make_and_look());
    at_every_two_steps("bury", corpse, bury, bury, |(), _| make_and_look());
}

#[test]
fn freeing_what_a_child_kept() {
    let _alone = alone();
    // The child outlives what it inherited, and dies itself when it is told.
    let prepare = || {
        let word = plain(4);
        let kept = [Queue::new(0).unwrap(), Queue::new(0).unwrap()];
        let child = fork(|| {
            loop {
                std::thread::park();
            }
        });
        drop(kept);
        (word, child)
    };
    let act = |&(_, child): &(Handle<Plain>, i32)| {
        kill(child);
        while manyhands_sys::liveness::is_running(
            child.cast_unsigned(),
            manyhands_sys::liveness::now(),
        ) {
            std::thread::yield_now();
        }
        size();
    };
    at_every_step("lingering", prepare, act, |(_word, child), _| {
        kill(child);
        reap(child);
        make_and_look();
    });
}

#[test]
fn a_death_is_noticed_by_a_lock_that_was_not_even_taken_yet() {
    let _alone = alone();
    // Each of many deaths in a row finds what the one before has left.
    let before = size();
    for n in 1..200 {
        dies(n, make_and_look);
    }
    make_and_look();
    assert_eq!(size(), before);
}
