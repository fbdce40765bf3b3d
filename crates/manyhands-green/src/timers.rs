//! Who is to be woken when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::slots::Key;

/// Deadlines in their order, equal ones in the order in which they were set.
///
/// One that is cancelled stays until it is due, or until most are such: nothing is searched for.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, Key)>>,
    next: u64,
    cancelled: usize,
}

impl Timers {
    /// Sets one; the number tells it from others of the same slot.
    pub(crate) fn set(&mut self, deadline: Instant, key: Key) -> u64 {
        self.next += 1;
        self.heap.push(Reverse((deadline, self.next, key)));
        self.next
    }

    /// Notes that one no longer counts; `counts` says which others do.
    pub(crate) fn cancel(&mut self, counts: impl Fn(Key, u64) -> bool) {
        self.cancelled += 1;
        if self.cancelled > 64 && self.cancelled > self.heap.len() / 2 {
            self.heap.retain(|Reverse((_, number, key))| counts(*key, *number));
            self.cancelled = 0;
        }
    }

    /// The next that is due, whether it counts or not.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Key, u64)> {
        let Reverse((deadline, number, key)) = *self.heap.peek()?;
        if deadline > now {
            return None;
        }
        self.heap.pop();
        Some((key, number))
    }

    /// When the first that counts is due.
    pub(crate) fn first(&mut self, counts: impl Fn(Key, u64) -> bool) -> Option<Instant> {
        while let Some(Reverse((deadline, number, key))) = self.heap.peek() {
            if counts(*key, *number) {
                return Some(*deadline);
            }
            self.heap.pop();
            self.cancelled = self.cancelled.saturating_sub(1);
        }
        None
    }

    /// Notes that one that was popped did not count.
    pub(crate) fn passed_over(&mut self) {
        self.cancelled = self.cancelled.saturating_sub(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}
