//! Waiting for room, for items, and for work to be done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use manyhands_queue::{Fifo, FifoQueue, GetError, PutError, PutFailure, Queue};
use manyhands_sync::{Limit, Patient};
use manyhands_watch::{Kind, snapshot};

use crate::gates::{GivesUp, Interrupted, Notified, TimesOut, in_an_hour, soon};
use crate::watched::watched;

fn empty() -> FifoQueue<u64> {
    FifoQueue::new(1)
}

fn full() -> FifoQueue<u64> {
    let queue = empty();
    queue.put(1).expect("there is room");
    queue
}

#[test]
fn a_limit_on_getting_is_kept() {
    let queue = empty();
    assert_eq!(queue.get_with(&Patient, Limit::Never), Err(GetError::Empty));
    assert_eq!(queue.get_with(&Patient, soon()), Err(GetError::Empty));
    assert_eq!(full().get_with(&Patient, soon()), Ok(1));
}

#[test]
fn a_limit_on_putting_is_kept_and_the_item_comes_back() {
    let queue = full();
    let refused = Err(PutError { item: 2, why: PutFailure::Full });
    assert_eq!(queue.put_with(2, &Patient, Limit::Never), refused);
    assert_eq!(queue.put_with(2, &Patient, soon()), refused);
    assert_eq!(empty().put_with(2, &Patient, soon()), Ok(()));
}

#[test]
fn an_item_put_during_the_wait_is_got_however_the_wait_ends() {
    let queue = empty();
    let put = || queue.put(7).expect("there is room");
    assert_eq!(queue.get_with(&Notified(put), Limit::Forever), Ok(7));
    assert_eq!(queue.get_with(&TimesOut(put), in_an_hour()), Ok(7));
    let given_up = queue.get_with(&GivesUp(put), Limit::Forever);
    assert_eq!(given_up, Err(GetError::GivenUp(Interrupted)));
    assert_eq!(queue.get(), Ok(7));
}

#[test]
fn of_workers_the_one_that_came_last_is_first() {
    let queue: Queue<Fifo<u64>> = Queue::for_workers(Fifo::default(), Kind::SimpleQueue);
    let put = |item| queue.put(item).expect("it is open");
    let second = || {
        assert_eq!(queue.get_with(&Notified(|| put(7)), Limit::Forever), Ok(7));
        put(8);
    };
    assert_eq!(queue.get_with(&Notified(second), Limit::Forever), Ok(8));
}

#[test]
fn room_made_during_the_wait_is_used_however_the_wait_ends() {
    let queue = full();
    let get = || assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.put_with(1, &Notified(get), Limit::Forever), Ok(()));
    assert_eq!(queue.put_with(1, &TimesOut(get), in_an_hour()), Ok(()));
    let given_up = queue.put_with(2, &GivesUp(get), Limit::Forever);
    assert_eq!(given_up, Err(PutError { item: 2, why: PutFailure::GivenUp(Interrupted) }));
    assert!(queue.is_empty());
}

#[test]
fn more_room_is_used_at_once() {
    let queue = full();
    assert_eq!(queue.put_with(2, &Notified(|| queue.set_maxsize(2)), Limit::Forever), Ok(()));
    assert_eq!(queue.put_with(3, &Notified(|| queue.set_maxsize(0)), Limit::Forever), Ok(()));
    assert_eq!(queue.len(), 3);
}

#[test]
fn waiting_for_an_item_or_for_room_takes_none() {
    let queue = empty();
    assert_eq!(queue.wait_for_room(&Patient, Limit::Never), Ok(()));
    assert_eq!(queue.wait_for_item(&Patient, soon()), Err(GetError::Empty));
    let put = Notified(|| queue.put(1).expect("there is room"));
    assert_eq!(queue.wait_for_item(&put, Limit::Forever), Ok(()));
    assert_eq!(queue.wait_for_room(&Patient, soon()), Err(PutFailure::Full));
    let get = Notified(|| assert_eq!(queue.get(), Ok(1)));
    assert_eq!(queue.wait_for_room(&get, Limit::Forever), Ok(()));
    let gives_up = GivesUp(|| ());
    let given_up = queue.wait_for_item(&gives_up, Limit::Forever);
    assert_eq!(given_up, Err(GetError::GivenUp(Interrupted)));
    queue.put(1).expect("there is room");
    let given_up = queue.wait_for_room(&gives_up, Limit::Forever);
    assert_eq!(given_up, Err(PutFailure::GivenUp(Interrupted)));
}

#[test]
fn joining_ends_when_all_is_done() {
    let queue = full();
    assert_eq!(queue.join_with(&GivesUp(|| ())), Err(Interrupted));
    let done = Notified(|| queue.task_done().expect("one was put in"));
    assert_eq!(queue.join_with(&done), Ok(true));
    queue.set_unfinished(3);
    assert_eq!(queue.join_with(&Notified(|| queue.set_unfinished(0))), Ok(true));
}

#[test]
fn observers_see_what_a_thread_waits_for() {
    let queue = full();
    let me = manyhands_sync::ThreadId::current();
    let sees = |operation: &'static str| {
        TimesOut(move || {
            let seen = snapshot();
            let mut waits = seen.iter().flat_map(|seen| {
                seen.waiters.iter().filter(|waiter| waiter.thread == me).map(|w| (seen.kind, w))
            });
            let (kind, waiter) = waits.next().expect("this thread waits");
            assert_eq!((kind, waiter.operation), (Kind::Queue, operation));
        })
    };
    assert!(queue.put_with(2, &sees("put"), in_an_hour()).is_err());
    assert_eq!(queue.get(), Ok(1));
    assert!(queue.get_with(&sees("get"), in_an_hour()).is_err());
}

#[test]
fn producers_and_consumers_lose_and_double_nothing() {
    watched(|| {
        let each: u64 = if cfg!(miri) { 10 } else { 2000 };
        for maxsize in [0, 1, 3] {
            let queue = FifoQueue::<u64>::new(maxsize);
            let sum = AtomicU64::new(0);
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while let Ok(item) = queue.get() {
                            sum.fetch_add(item, Ordering::Relaxed);
                            queue.task_done().expect("one was taken");
                        }
                    });
                }
                thread::scope(|scope| {
                    for producer in 0..3 {
                        let queue = &queue;
                        scope.spawn(move || {
                            for item in 0..each {
                                queue.put(producer * each + item).expect("it is open");
                            }
                        });
                    }
                });
                queue.join();
                assert_eq!(sum.load(Ordering::Relaxed), 3 * each * (3 * each - 1) / 2);
                queue.shutdown();
            });
        }
    });
}
