//! Processes that have no address space for what others have added to the arena: they get errors that
//! name the limit, and nothing else comes of it.
//!
//! Each scene is in a process that has an arena of its own: what its children have not reached yet is
//! what it has not reached itself when it forks them.
#![expect(unsafe_code, reason = "processes are forked, and their limits changed")]

#[cfg(feature = "steps")]
mod deaths;
mod scene;
#[path = "../support/mod.rs"]
mod support;

use manyhands_shm::{
    Condition, DoneError, GetError, Handle, Kind, Limit, Message, Patient, Plain, PutError, Queue,
    Reference, Semaphore, WaitError,
};
use scene::{Narrow, blocks, fresh, go_far, is_the_limit, semaphore};
use support::{fork, wait};

fn message(number: u8) -> Vec<u8> {
    vec![number; 3900]
}

fn put(queue: &Queue, number: u8) -> Result<(), PutError<std::convert::Infallible>> {
    queue.put(&Patient, Message::of(&message(number)), Limit::Never)
}

/// Gets that message.
fn expect(queue: &Queue, number: u8) {
    let mut bytes = Vec::new();
    queue.get(&Patient, &mut bytes, Limit::Never).unwrap();
    assert!(bytes == message(number), "it is another one than {number}");
}

#[test]
fn a_queue_that_grew_out_of_reach_gives_errors_and_goes_on_when_there_is_room() {
    fresh(|| {
        let before = blocks();
        let queue = Queue::new(1000).unwrap();
        let (go, told) = (semaphore(), semaphore());
        for number in 0..3 {
            put(&queue, number).unwrap();
        }
        let child = fork(|| {
            go.acquire();
            let narrow = Narrow::new();
            for _ in 0..2 {
                is_the_limit(queue.len().unwrap_err());
                is_the_limit(queue.is_empty().unwrap_err());
                is_the_limit(queue.is_full().unwrap_err());
                is_the_limit(queue.unfinished().unwrap_err());
                let Err(PutError::Arena(error)) = put(&queue, 99) else { panic!("it was put") };
                is_the_limit(error);
                let Err(DoneError::Arena(error)) = queue.task_done() else { panic!("it was done") };
                is_the_limit(error);
                let Err(WaitError::Arena(error)) = queue.join(&Patient, Limit::Forever) else {
                    panic!("all was done")
                };
                is_the_limit(error);
            }
            // What is in reach can be got.
            for number in 0..4 {
                expect(&queue, number);
            }
            for _ in 0..2 {
                let Err(GetError::Arena(error)) =
                    queue.get(&Patient, &mut Vec::new(), Limit::Forever)
                else {
                    panic!("there is another one")
                };
                is_the_limit(error);
            }
            told.release().unwrap();
            go.acquire();
            drop(narrow);
            assert_eq!(queue.len().unwrap(), 17);
            expect(&queue, 5);
            put(&queue, 21).unwrap();
            queue.task_done().unwrap();
            0
        });
        let far = go_far();
        for number in 3..20 {
            put(&queue, number).unwrap();
        }
        go.release().unwrap();
        told.acquire();
        // Nothing is locked.
        put(&queue, 20).unwrap();
        expect(&queue, 4);
        put(&queue, 20).unwrap();
        go.release().unwrap();
        assert_eq!(wait(child), 0);
        for number in (6..20).chain([20, 20, 21]) {
            expect(&queue, number);
        }
        assert_eq!((queue.len().unwrap(), queue.lost()), (0, 0));
        drop((far, queue, go, told));
        assert_eq!(blocks(), before);
    });
}

#[test]
fn a_large_message_out_of_reach_stays() {
    fresh(|| {
        let queue = Queue::new(0).unwrap();
        let go = semaphore();
        let child = fork(|| {
            go.acquire();
            let narrow = Narrow::new();
            for _ in 0..2 {
                let Err(GetError::Arena(error)) =
                    queue.get(&Patient, &mut Vec::new(), Limit::Forever)
                else {
                    panic!("it was got")
                };
                is_the_limit(error);
                // Shut down it is, and not emptied.
                is_the_limit(queue.shut_down(true).unwrap_err());
            }
            drop(narrow);
            let got = queue.get(&Patient, &mut Vec::new(), Limit::Never).unwrap();
            i32::from(got.unwrap().head() != [7; 50_000])
        });
        let _far = go_far();
        queue.put(&Patient, Message::of(&[7; 50_000]), Limit::Never).unwrap();
        go.release().unwrap();
        assert_eq!(wait(child), 0);
        assert!(queue.is_shut() && queue.is_empty().unwrap());
    });
}

#[test]
fn an_object_out_of_reach_is_opened_when_there_is_room() {
    fresh(|| {
        let (go, sent) = (semaphore(), Handle::<Plain>::with_tail(Kind::Plain, 64).unwrap());
        let queue = Queue::new(0).unwrap();
        let child = fork(|| {
            go.acquire();
            let mut bytes = Vec::new();
            queue.get(&Patient, &mut bytes, Limit::Never).unwrap();
            let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            let reference = Reference { arena: number(0), block: number(8) };
            let narrow = Narrow::new();
            for _ in 0..2 {
                is_the_limit(Handle::<Semaphore>::open(reference, Kind::Semaphore).unwrap_err());
            }
            drop(narrow);
            let there = Handle::<Semaphore>::open(reference, Kind::Semaphore).unwrap();
            there.release().unwrap();
            0
        });
        let _far = go_far();
        let made = semaphore();
        let Reference { arena, block } = made.reference();
        let bytes = [arena.to_le_bytes(), block.to_le_bytes()].concat();
        queue.put(&Patient, Message::of(&bytes), Limit::Never).unwrap();
        go.release().unwrap();
        assert_eq!(wait(child), 0);
        assert_eq!(made.value(), 1);
        drop(sent);
    });
}

#[test]
fn a_condition_whose_waiters_are_out_of_reach_is_not_notified_by_halves() {
    fresh(|| {
        let condition = Handle::<Condition>::new(Kind::Condition).unwrap();
        let go = semaphore();
        let child = fork(|| {
            go.acquire();
            let narrow = Narrow::new();
            for _ in 0..2 {
                is_the_limit(condition.reach().unwrap_err());
                is_the_limit(condition.enlist().unwrap_err());
            }
            // Who did not ask notifies whom he can.
            assert!(condition.waiters() < 100);
            drop(narrow);
            condition.reach().unwrap();
            assert_eq!(condition.waiters(), 100);
            drop(condition.enlist().unwrap());
            condition.notify(99);
            0
        });
        let _far = go_far();
        let mut waiting: Vec<_> = (0..100).map(|_| condition.enlist().unwrap()).collect();
        go.release().unwrap();
        assert_eq!(wait(child), 0);
        let count = waiting.iter_mut().filter_map(|one| {
            let Ok(notified) = one.wait_with(&Patient, Limit::Never);
            notified.then_some(())
        });
        assert_eq!(count.count(), 99);
    });
}

#[test]
fn who_cannot_reach_what_a_dead_process_had_leaves_it_to_another() {
    fresh(|| {
        let before = blocks();
        let go = semaphore();
        // Free, and near, until the one who dies takes it.
        drop(Handle::<Plain>::with_tail(Kind::Plain, 100).unwrap());
        let undertaker = fork(|| {
            go.acquire();
            let _narrow = Narrow::new();
            // This looks after the dead, and frees what is in reach.
            is_the_limit(manyhands_shm::arena().unwrap().statistics().unwrap_err());
            drop(Handle::<Plain>::with_tail(Kind::Plain, 100).unwrap());
            0
        });
        let dead = fork(|| {
            std::mem::forget(go_far());
            0
        });
        // It has ended, and nobody has told of it.
        assert_eq!(support::reap(dead), 0);
        go.release().unwrap();
        assert_eq!(wait(undertaker), 0);
        drop(go);
        assert_eq!(blocks(), before);
    });
}

#[test]
fn who_lets_go_of_a_queue_and_cannot_reach_all_of_it_leaves_it_to_another() {
    fresh(|| {
        let (go, told) = (semaphore(), semaphore());
        let there = Queue::new(0).unwrap();
        let before = blocks();
        let maker = fork(|| {
            let queue = Queue::new(0).unwrap();
            let Reference { arena, block } = queue.reference();
            let bytes = [arena.to_le_bytes(), block.to_le_bytes()].concat();
            there.put(&Patient, Message::of(&bytes), Limit::Never).unwrap();
            told.release().unwrap();
            go.acquire();
            let narrow = Narrow::new();
            drop(queue);
            drop(narrow);
            0
        });
        told.acquire();
        let mut bytes = Vec::new();
        there.get(&Patient, &mut bytes, Limit::Never).unwrap();
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let queue = Queue::open(Reference { arena: number(0), block: number(8) }).unwrap();
        let far = go_far();
        for number in 0..20 {
            put(&queue, number).unwrap();
        }
        queue.put(&Patient, Message::of(&[7; 50_000]), Limit::Never).unwrap();
        drop(queue);
        go.release().unwrap();
        assert_eq!(wait(maker), 0);
        drop(far);
        assert_eq!(blocks(), before);
    });
}
