//! Rounds of many threads that put and get in random ways: a wake-up that is lost leaves the last of
//! them waiting, and the books do not balance if an item is. `MANYHANDS_STRESS_SECONDS` says for how
//! long all tests together go on, one after the other.
#![cfg(not(loom))]

#[path = "../../../manyhands-sync/tests/stress/hands.rs"]
mod hands;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hands::{Die, HANDS, TIMES, in_threads, stress};
use manyhands_queue::{Fifo, GetError, Heap, Lifo, Named, PutFailure, Queue};

const HALF: u64 = HANDS / 2;

/// How many tests there are here.
const TESTS: f64 = 5.0;

/// What went in and what came out.
#[derive(Default)]
struct Books {
    put: AtomicU64,
    got: AtomicU64,
    sum_put: AtomicU64,
    sum_got: AtomicU64,
}

impl Books {
    fn put(&self, item: u64) {
        self.put.fetch_add(1, Ordering::Relaxed);
        self.sum_put.fetch_add(item, Ordering::Relaxed);
    }

    fn got(&self, item: u64) {
        self.got.fetch_add(1, Ordering::Relaxed);
        self.sum_got.fetch_add(item, Ordering::Relaxed);
    }

    fn balance(&self) {
        let [put, got, sum_put, sum_got] =
            [&self.put, &self.got, &self.sum_put, &self.sum_got].map(|n| n.load(Ordering::Relaxed));
        assert_eq!((put, sum_put), (got, sum_got));
    }
}

/// Puts until all are in or the queue is shut down.
fn produce<S: Named<Item = u64>>(queue: &Queue<S>, books: &Books, die: &mut Die, first: u64) {
    for item in first..first + TIMES {
        loop {
            let (manner, limit) = die.manner();
            match queue.put_with(item, &manner, limit).map_err(|refused| refused.why) {
                Ok(()) => break books.put(item),
                Err(PutFailure::ShutDown) => return,
                Err(PutFailure::Full | PutFailure::GivenUp(_)) => {}
                Err(why) => panic!("{why:?}"),
            }
        }
    }
}

/// Gets until the queue is shut down and empty.
fn consume<S: Named<Item = u64>>(queue: &Queue<S>, books: &Books, die: &mut Die) {
    loop {
        let (manner, limit) = die.manner();
        match queue.get_with(&manner, limit) {
            Ok(item) => {
                books.got(item);
                die.dawdle();
                queue.task_done().expect("one was taken");
            }
            Err(GetError::ShutDown) => return,
            Err(GetError::Empty | GetError::GivenUp(_)) => {}
            Err(why) => panic!("{why:?}"),
        }
    }
}

fn all_that_is_put_is_got<S: Named<Item = u64> + Default + 'static>(seed: u64) {
    let queue: Queue<S> = Queue::new(Die::new(seed).below(4) as usize);
    let books = Books::default();
    thread::scope(|scope| {
        let consumers =
            scope.spawn(|| in_threads(HALF, seed, |die, _| consume(&queue, &books, die)));
        in_threads(HALF, seed + HALF, |die, number| {
            produce(&queue, &books, die, number * TIMES);
        });
        queue.join();
        assert_eq!((queue.len(), queue.unfinished()), (0, 0));
        queue.shutdown();
        consumers.join().expect("it ends well");
    });
    books.balance();
}

#[test]
fn queues() {
    stress(all_that_is_put_is_got::<Fifo<u64>>);
}

#[test]
fn lifo_queues() {
    stress(all_that_is_put_is_got::<Lifo<u64>>);
}

#[test]
fn priority_queues() {
    stress(all_that_is_put_is_got::<Heap<u64>>);
}

#[test]
fn queues_that_are_shut_down_in_the_middle() {
    stress(|seed| {
        let queue: Queue<Fifo<u64>> = Queue::new(2);
        let books = Books::default();
        thread::scope(|scope| {
            scope.spawn(|| in_threads(HALF, seed, |die, _| consume(&queue, &books, die)));
            scope.spawn(|| {
                in_threads(HALF, seed + HALF, |die, number| {
                    produce(&queue, &books, die, number * TIMES);
                });
            });
            while books.got.load(Ordering::Relaxed) < Die::new(seed).below(HALF * TIMES) {
                thread::yield_now();
            }
            queue.shutdown_now().into_iter().for_each(|item| books.got(item));
        });
        queue.join();
        books.balance();
    });
}

#[test]
fn queues_that_retire_in_the_middle() {
    stress(|seed| {
        let queue: Queue<Fifo<u64>> = Queue::new(2);
        let books = Books::default();
        let retired = thread::scope(|scope| {
            scope.spawn(|| {
                in_threads(HALF, seed, |_, _| {
                    while let Ok(item) = queue.get() {
                        books.got(item);
                    }
                });
            });
            scope.spawn(|| {
                in_threads(HALF, seed + HALF, |_, number| {
                    let refused = loop {
                        match queue.put(number) {
                            Ok(()) => books.put(number),
                            Err(refused) => break refused,
                        }
                    };
                    assert_eq!(refused.why, PutFailure::Retired);
                });
            });
            while books.got.load(Ordering::Relaxed) < TIMES {
                thread::yield_now();
            }
            queue.retire(|_| true).expect("it is the first time")
        });
        retired.items.into_iter().for_each(|item| books.got(item));
        books.balance();
    });
}
