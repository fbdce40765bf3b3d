//! What a connection has read last, to tell whether it overwrites what it has not seen.

use std::cell::RefCell;
use std::collections::VecDeque;

/// How many keys are known.
const MOST: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Read {
    dict: u64,
    /// The key's hash: that two keys have the same costs a warning at worst.
    key: u64,
    stamp: i64,
}

/// The keys of dicts that a connection has read last, each with the stamp of what it saw (0: nothing).
#[derive(Debug, Default)]
pub struct Reads(RefCell<VecDeque<Read>>);

impl Reads {
    /// It has read a key.
    pub(super) fn note(&self, dict: u64, key: u64, stamp: i64) {
        self.take(dict, key);
        let mut reads = self.0.borrow_mut();
        if reads.len() == MOST {
            reads.pop_front();
        }
        reads.push_back(Read { dict, key, stamp });
    }

    /// It sets a key: what it saw when it has read it last, if it has done that since it was set by it.
    pub(super) fn take(&self, dict: u64, key: u64) -> Option<i64> {
        let mut reads = self.0.borrow_mut();
        let at = reads.iter().position(|read| (read.dict, read.key) == (dict, key))?;
        reads.remove(at).map(|read| read.stamp)
    }

    /// It may have changed any key.
    pub(super) fn forget(&self, dict: u64) {
        self.0.borrow_mut().retain(|read| read.dict != dict);
    }
}
