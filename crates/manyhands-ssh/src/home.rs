//! What is of use only in the process that made it.

use std::fmt;
use std::mem;

use manyhands_sys::fork::epoch;

/// A value that a forked child neither uses nor drops: the thread behind it is not there, and locks inside may be
/// as a thread of the parent left them.
pub(crate) struct Homebound<T> {
    /// Taken only when this is dropped.
    value: Option<T>,
    epoch: u32,
}

impl<T> Homebound<T> {
    pub(crate) fn new(value: T) -> Homebound<T> {
        Homebound { value: Some(value), epoch: epoch() }
    }

    /// The value, in the process that made it.
    pub(crate) fn get(&self) -> Option<&T> {
        if self.epoch == epoch() { self.value.as_ref() } else { None }
    }
}

impl<T> fmt::Debug for Homebound<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Homebound").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl<T> Drop for Homebound<T> {
    fn drop(&mut self) {
        if self.epoch != epoch() {
            mem::forget(self.value.take());
        }
    }
}
