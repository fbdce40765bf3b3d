//! What else the public types are: for which threads, and with which other traits.

use std::cell::Cell;
use std::fmt::Debug;

use manyhands_queue::{
    Fifo, FifoQueue, GetError, Heap, Lifo, LifoQueue, PriorityQueue, PutError, PutFailure, Retired,
    TooManyDone,
};

fn is_send_and_sync<T: Send + Sync>() {}

fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}

fn is_debug<T: Debug>() {}

#[test]
fn all_may_be_sent_to_and_used_by_any_thread() {
    is_send_and_sync::<FifoQueue<u32>>();
    is_send_and_sync::<LifoQueue<u32>>();
    is_send_and_sync::<PriorityQueue<u32>>();
    // An item is in one thread at a time, so that it may be moved to another is enough.
    is_send_and_sync::<FifoQueue<Cell<u32>>>();
    is_send_and_sync::<Fifo<u32>>();
    is_send_and_sync::<Lifo<u32>>();
    is_send_and_sync::<Heap<u32>>();
    is_send_and_sync::<Retired<u32>>();
}

#[test]
fn failures_are_errors() {
    struct CannotBeShown;
    is_an_error::<PutError<CannotBeShown, std::io::Error>>();
    is_an_error::<PutFailure<std::io::Error>>();
    is_an_error::<GetError<std::io::Error>>();
    is_an_error::<TooManyDone>();
}

#[test]
fn the_parts_can_be_shown() {
    is_debug::<Fifo<u32>>();
    is_debug::<Heap<u32>>();
    is_debug::<Retired<u32>>();
}
