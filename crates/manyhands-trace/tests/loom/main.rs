//! A model of the ring: loom runs it in every order of steps, with all that the memory model allows each
//! read to see, and fails if an event is read that was not written like that.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom -p manyhands-trace`
#![cfg(loom)]

use std::sync::atomic::Ordering;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use loom::thread;
use manyhands_trace::ring::{HEAD, Ring, WORDS, Word};
use manyhands_trace::{Event, Kind, Label};

struct Modelled(AtomicU64);

impl Word for Modelled {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }

    fn fence(order: Ordering) {
        fence(order);
    }
}

/// An event all of whose words tell its number.
fn event(number: u32) -> Event {
    Event {
        kind: Kind::Put,
        label: Label(number as u16),
        thread: number,
        greenlet: number.into(),
        count: number as u16,
        object: number.into(),
        begun: number.into(),
        value: number.into(),
    }
}

/// A writer goes on while a reader looks, at a ring of so many events.
fn read_amid(capacity: usize, written: u32, preemptions: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(move || {
        let words: Vec<Modelled> =
            (0..HEAD + capacity * WORDS).map(|_| Modelled(AtomicU64::new(0))).collect();
        let words = Arc::new(words);
        let writer = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                let ring = Ring::new(&words);
                // The writer knows the number: loom 0.7 does not find all orders of steps around a
                // load by the thread that stores.
                (1..=written).for_each(|number| ring.push(u64::from(number) - 1, &event(number)));
            })
        };
        let ring = Ring::new(&words);
        let (events, before) = ring.read();
        for (read, number) in events.iter().zip(before as u32 + 1..) {
            assert_eq!(*read, event(number));
        }
        writer.join().expect("it ends well");
        let (events, before) = ring.read();
        assert_eq!(events.len() + before as usize, written as usize);
        assert_eq!(events.last(), Some(&event(written)));
    });
}

#[test]
fn what_is_overwritten_is_not_read() {
    read_amid(1, 2, 3);
}

#[test]
fn what_is_there_is_read_while_more_comes() {
    read_amid(2, 3, 2);
}
