//! Deaths inside queues.

use std::time::Duration;

use manyhands_shm::{Limit, Patient};

use crate::books::{Books, FIRST, Form, SECOND, SURVIVOR};
use crate::support::alone;
use crate::{at_every_step, at_every_two_steps, size};

const INLINE: Form = Form::Bytes(100);
const BLOCK: Form = Form::Bytes(6000);
const PIECES: Form = Form::Pieces(20_000);

/// Four of them fill the first segment.
const QUARTER: Form = Form::Bytes(3900);

fn soon() -> Limit {
    Limit::after(Duration::from_millis(1))
}

/// A queue with those messages in it.
fn holding(maxsize: u32, messages: &[Form]) -> Books {
    let books = Books::new(maxsize);
    for &form in messages {
        assert!(books.put(SURVIVOR, form, Limit::Never));
    }
    books
}

fn put(books: &Books, form: Form, limit: Limit) {
    books.put(FIRST, form, limit);
}

/// One death at each step of it, and two: the survivor begins by putting, or by getting.
fn dying(name: &str, prepare: impl Fn() -> Books, act: impl Fn(&Books)) {
    let _alone = alone();
    for puts_first in [false, true] {
        let check = |books: Books, deaths| books.check(puts_first, deaths);
        at_every_step(name, &prepare, &act, check);
    }
    let repair_by_putting = |books: &Books| {
        books.put(SECOND, INLINE, Limit::Never);
        size();
    };
    let repair_by_getting = |books: &Books| {
        books.get(SECOND, Limit::Never);
        size();
    };
    let check = |books: Books, deaths| books.check(false, deaths);
    at_every_two_steps(name, &prepare, &act, repair_by_putting, check);
    at_every_two_steps(name, &prepare, &act, repair_by_getting, check);
}

#[test]
fn putting_bytes() {
    dying("put bytes", || holding(0, &[INLINE]), |books| put(books, INLINE, Limit::Never));
}

#[test]
fn putting_a_block() {
    dying("put a block", || holding(0, &[INLINE]), |books| put(books, BLOCK, Limit::Never));
}

#[test]
fn putting_pieces() {
    dying("put pieces", || holding(0, &[INLINE]), |books| put(books, PIECES, Limit::Never));
}

#[test]
fn putting_where_the_ring_begins_again() {
    let prepare = || {
        let books = holding(0, &[QUARTER, QUARTER, QUARTER]);
        while books.queue.len().unwrap() > 1 {
            books.get(SURVIVOR, Limit::Never);
        }
        books
    };
    dying("put across the end", prepare, |books| {
        put(books, QUARTER, Limit::Never);
        put(books, QUARTER, Limit::Never);
    });
}

#[test]
fn putting_into_a_new_segment() {
    let prepare = || holding(0, &[QUARTER; 4]);
    dying("put and grow", prepare, |books| put(books, QUARTER, Limit::Never));
}

#[test]
fn putting_into_a_new_segment_when_the_old_one_is_empty() {
    // A repairer that gets drops the old one.
    let prepare = || {
        let books = holding(0, &[QUARTER; 4]);
        books.drain();
        // Full as far as the next message is concerned: what is read stays until it is dropped.
        for _ in 0..4 {
            books.put(SURVIVOR, QUARTER, Limit::Never);
        }
        books
    };
    dying("put, grow, drained", prepare, |books| {
        put(books, QUARTER, Limit::Never);
        while books.get(FIRST, Limit::Never) {}
    });
}

#[test]
fn getting_bytes() {
    dying(
        "get bytes",
        || holding(0, &[INLINE; 3]),
        |books| {
            books.get(FIRST, Limit::Never);
        },
    );
}

#[test]
fn getting_a_block() {
    dying(
        "get a block",
        || holding(0, &[BLOCK, INLINE, PIECES]),
        |books| {
            books.get(FIRST, Limit::Never);
        },
    );
}

#[test]
fn getting_from_the_next_segment() {
    let prepare = || {
        let books = holding(0, &[QUARTER; 6]);
        while books.queue.len().unwrap() > 2 {
            books.get(SURVIVOR, Limit::Never);
        }
        books
    };
    dying("get and advance", prepare, |books| {
        books.get(FIRST, Limit::Never);
    });
}

#[test]
fn waiting_while_it_is_full() {
    dying("wait for room", || holding(1, &[INLINE]), |books| put(books, BLOCK, soon()));
}

#[test]
fn waiting_while_it_is_empty() {
    dying(
        "wait for a message",
        || holding(1, &[]),
        |books| {
            books.get(FIRST, soon());
        },
    );
}

#[test]
fn going_through_a_bounded_one() {
    let prepare = || holding(1, &[]);
    dying("bounded", prepare, |books| {
        put(books, INLINE, Limit::Never);
        put(books, INLINE, Limit::Never);
        books.get(FIRST, Limit::Never);
        put(books, BLOCK, Limit::Never);
    });
}

#[test]
fn reporting_tasks_done() {
    let _alone = alone();
    let prepare = || holding(0, &[INLINE, INLINE]);
    let act = |books: &Books| {
        books.get(FIRST, Limit::Never);
        books.queue.task_done().unwrap();
        books.queue.join(&Patient, soon()).unwrap();
    };
    at_every_step("task_done", prepare, act, |books, deaths| {
        let mut left = books.queue.unfinished().unwrap();
        while books.get(SURVIVOR, Limit::Never) {}
        // What the dead one had taken may be reported, or be lost for good.
        left = left.min(books.queue.unfinished().unwrap());
        assert!(left == 1 || left == 2 && deaths == 1, "{left} unfinished");
        for _ in 0..left {
            books.queue.task_done().unwrap();
        }
        assert!(books.queue.join(&Patient, Limit::Forever).unwrap());
        assert!(books.queue.task_done().is_err());
        books.check(false, deaths);
    });
}

#[test]
fn shutting_down() {
    for immediate in [false, true] {
        let _alone = alone();
        let prepare = || holding(0, &[INLINE, BLOCK, INLINE]);
        let act = |books: &Books| books.queue.shut_down(immediate).unwrap();
        at_every_step("shut down", prepare, act, |books, deaths| {
            if !immediate {
                books.check(true, deaths);
                return;
            }
            books.queue.shut_down(true).unwrap();
            assert!(books.queue.is_empty().unwrap());
            // One that the dead one had taken was not reported, and never will be.
            assert!(books.queue.unfinished().unwrap() <= deaths);
        });
    }
}
