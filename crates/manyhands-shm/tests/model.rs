//! Random operations on a queue, compared with a model that is too simple to be wrong: sizes of messages
//! around those at which something changes (a record, a block of its own, the end of a ring, a full
//! segment), puts and gets in any order, and deaths in between.
#![cfg(not(loom))]
#![expect(unsafe_code, reason = "processes are forked and killed")]

#[path = "support/mod.rs"]
mod support;

use std::collections::VecDeque;

use manyhands_shm::{GetError, Limit, Message, Patient, Piece, PutError, Queue, arena};
use proptest::prelude::*;
use support::{alone, fork, kill, reap};

#[derive(Clone, Debug)]
enum Operation {
    /// Bytes, or bytes and a piece, of that size.
    Put(usize, bool),
    /// So many at once.
    Burst(u8, usize),
    Get,
    Drain(u8),
    Done,
    /// Another process puts or gets that many, and is killed at rest.
    Visitor(u8, u8),
    ShutDown(bool),
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0usize..40,
        2 => 4060usize..4110,
        2 => 2000usize..4096,
        1 => 4096usize..20_000,
        1 => (0u32..17).prop_map(|power| 1 << power),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        300 => (sizes(), prop::bool::weighted(0.2)).prop_map(|(size, piece)| Operation::Put(size, piece)),
        60 => (1u8..40, sizes()).prop_map(|(count, size)| Operation::Burst(count, size)),
        280 => Just(Operation::Get),
        40 => (1u8..60).prop_map(Operation::Drain),
        60 => Just(Operation::Done),
        20 => (0u8..4, 0u8..4).prop_map(|(puts, gets)| Operation::Visitor(puts, gets)),
        1 => any::<bool>().prop_map(Operation::ShutDown),
    ]
}

/// What a queue is.
struct Model {
    items: VecDeque<Vec<u8>>,
    maxsize: usize,
    unfinished: usize,
    shut: bool,
    /// Messages differ by their number.
    number: usize,
}

impl Model {
    fn message(&mut self, size: usize) -> Vec<u8> {
        self.number += 1;
        (0..size).map(|index| (index * 13 + self.number) as u8).collect()
    }
}

fn put(queue: &Queue, model: &mut Model, size: usize, in_pieces: bool) {
    let bytes = model.message(size);
    let (head, piece) = bytes.split_at(if in_pieces { size / 3 } else { size });
    let pieces = [Piece { start: piece.as_ptr(), len: piece.len(), writable: false }];
    let message = if in_pieces {
        // SAFETY: the bytes live on.
        unsafe { Message::with_pieces(head, &pieces) }
    } else {
        Message::of(&bytes)
    };
    let put = queue.put(&Patient, message, Limit::Never);
    if model.shut {
        assert!(matches!(put, Err(PutError::ShutDown)));
    } else if model.maxsize != 0 && model.items.len() >= model.maxsize {
        assert!(matches!(put, Err(PutError::Full)));
    } else {
        put.unwrap();
        model.items.push_back(bytes);
        model.unfinished += 1;
    }
}

fn take(queue: &Queue) -> Result<Vec<u8>, GetError<std::convert::Infallible>> {
    let mut scratch = Vec::new();
    Ok(match queue.get(&Patient, &mut scratch, Limit::Never)? {
        None => scratch,
        Some(parcel) => {
            let mut bytes = parcel.head().to_vec();
            for piece in parcel.pieces() {
                // SAFETY: the parcel lives on.
                bytes.extend(unsafe { std::slice::from_raw_parts(piece.start, piece.len) });
            }
            bytes
        }
    })
}

fn get(queue: &Queue, model: &mut Model) {
    match model.items.pop_front() {
        Some(expected) => assert!(take(queue).unwrap() == expected, "another message"),
        None => {
            let error = take(queue).expect_err("it is empty");
            let is_shut = matches!(error, GetError::ShutDown);
            assert!(is_shut || matches!(error, GetError::Empty), "{error}");
            assert_eq!(is_shut, model.shut);
        }
    }
}

/// Another process puts and gets, and is killed when it has.
fn visit(queue: &Queue, model: &mut Model, puts: u8, gets: u8) {
    let ready = Queue::new(0).unwrap();
    let messages: Vec<_> =
        (0..puts).map(|index| model.message(usize::from(index) * 1500)).collect();
    let visitor = fork(|| {
        let put = |bytes: &Vec<u8>| queue.put(&Patient, Message::of(bytes), Limit::Never).is_ok();
        let put = messages.iter().filter(|bytes| put(bytes)).count();
        let got = (0..gets).filter(|_| take(queue).is_ok()).count();
        ready.put(&Patient, Message::of(&[put as u8, got as u8]), Limit::Forever).unwrap();
        loop {
            std::thread::park();
        }
    });
    let mut done = Vec::new();
    ready.get(&Patient, &mut done, Limit::Forever).unwrap();
    kill(visitor);
    reap(visitor);
    let room = match (model.shut, model.maxsize) {
        (true, _) => 0,
        (false, 0) => messages.len(),
        (false, maxsize) => maxsize.saturating_sub(model.items.len()).min(messages.len()),
    };
    assert_eq!(usize::from(done[0]), room);
    model.items.extend(messages.into_iter().take(room));
    model.unfinished += room;
    let got = usize::from(gets).min(model.items.len());
    assert_eq!(usize::from(done[1]), got);
    model.items.drain(..got);
}

fn run(queue: &Queue, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Put(size, in_pieces) => put(queue, model, size, in_pieces),
        Operation::Burst(count, size) => (0..count).for_each(|_| put(queue, model, size, false)),
        Operation::Get => get(queue, model),
        Operation::Drain(count) => (0..count).for_each(|_| get(queue, model)),
        Operation::Done => {
            let expected = model.unfinished.checked_sub(1);
            assert_eq!(queue.task_done().is_ok(), expected.is_some());
            model.unfinished = expected.unwrap_or(0);
        }
        Operation::Visitor(puts, gets) => visit(queue, model, puts, gets),
        Operation::ShutDown(immediate) => {
            queue.shut_down(immediate).unwrap();
            model.shut = true;
            if immediate {
                model.unfinished -= model.items.len().min(model.unfinished);
                model.items.clear();
            }
        }
    }
    assert_eq!(queue.len().unwrap(), model.items.len());
    assert_eq!(queue.is_empty().unwrap(), model.items.is_empty());
    assert_eq!(queue.is_full().unwrap(), model.maxsize != 0 && model.items.len() >= model.maxsize);
    assert_eq!(queue.unfinished().unwrap() as usize, model.unfinished);
    assert_eq!((queue.is_shut(), queue.lost()), (model.shut, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_queue_does_what_a_deque_does(
        maxsize in prop_oneof![3 => Just(0_u32), 1 => 1_u32..30],
        operations in prop::collection::vec(operation(), 0..400),
    ) {
        let _alone = alone();
        let size = || {
            let now = arena().unwrap().statistics().unwrap();
            (now.blocks, now.lingering, now.participants)
        };
        let before = size();
        let queue = Queue::new(maxsize).unwrap();
        let mut model = Model {
            items: VecDeque::new(),
            maxsize: maxsize as usize,
            unfinished: 0,
            shut: false,
            number: 0,
        };
        for operation in operations {
            run(&queue, &mut model, operation);
        }
        while !model.items.is_empty() {
            get(&queue, &mut model);
        }
        drop(queue);
        assert_eq!(size(), before, "(blocks, lingering, participants)");
    }
}
