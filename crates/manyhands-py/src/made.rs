//! Objects of which there is only the memory yet.

use std::sync::atomic::{AtomicBool, Ordering};

/// A field by which `__traverse__` tells an object from mere memory.
///
/// For an instance of a Python subclass CPython may run the collector between telling it of the
/// object and our filling it in: `object.__new__` of 3.11 makes the instance's dict then. The memory is
/// all zeros, which other fields take for something: an `OnceLock` for one that was set.
#[derive(Debug)]
pub(crate) struct Made(AtomicBool);

impl Made {
    pub(crate) const fn new() -> Made {
        Made(AtomicBool::new(true))
    }

    /// False in memory that is all zeros.
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
