//! Arc, Mutex, the calling thread and the words that threads sleep on: of std and the system or, for
//! models, of loom.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex};

pub(crate) use word::Word;

use crate::ThreadId;

/// The calling thread.
#[cfg(not(loom))]
#[inline]
pub(crate) fn current_thread() -> ThreadId {
    ThreadId::current()
}

/// The calling thread of the model: all of them run on one of the system's.
#[cfg(loom)]
pub(crate) fn current_thread() -> ThreadId {
    use std::hash::{DefaultHasher, Hash, Hasher};

    let mut hasher = DefaultHasher::new();
    loom::thread::current().id().hash(&mut hasher);
    ThreadId::from_raw(hasher.finish() | 1).expect("an odd number is not 0")
}

#[cfg(not(loom))]
mod word {
    use std::sync::atomic::{AtomicU32, Ordering};

    use manyhands_sys::futex::{self, Sleep};

    use crate::Deadline;

    /// A word that threads sleep on.
    #[derive(Debug)]
    pub(crate) struct Word(AtomicU32);

    impl Word {
        pub(crate) fn new(value: u32) -> Word {
            Word(AtomicU32::new(value))
        }

        pub(crate) fn load(&self) -> u32 {
            self.0.load(Ordering::Acquire)
        }

        pub(crate) fn swap(&self, value: u32) -> u32 {
            self.0.swap(value, Ordering::AcqRel)
        }

        /// Replaces `old` by `new`; false, and nothing is done, if it is another value.
        pub(crate) fn replace(&self, old: u32, new: u32) -> bool {
            self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
        }

        pub(crate) fn sleep(&self, expected: u32, deadline: Option<Deadline>) -> Sleep {
            futex::wait(&self.0, expected, deadline)
        }

        pub(crate) fn wake(&self) {
            futex::wake(&self.0, 1);
        }
    }
}

#[cfg(loom)]
mod word {
    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};
    use manyhands_sys::futex::Sleep;

    use crate::Deadline;

    /// A word that threads sleep on; a model has no clock.
    #[derive(Debug)]
    pub(crate) struct Word {
        value: AtomicU32,
        /// What the kernel holds while it compares and queues.
        kernel: Mutex<()>,
        sleepers: Condvar,
    }

    impl Word {
        pub(crate) fn new(value: u32) -> Word {
            let value = AtomicU32::new(value);
            Word { value, kernel: Mutex::new(()), sleepers: Condvar::new() }
        }

        pub(crate) fn load(&self) -> u32 {
            self.value.load(Ordering::Acquire)
        }

        pub(crate) fn swap(&self, value: u32) -> u32 {
            self.value.swap(value, Ordering::AcqRel)
        }

        pub(crate) fn replace(&self, old: u32, new: u32) -> bool {
            self.value.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
        }

        pub(crate) fn sleep(&self, expected: u32, _deadline: Option<Deadline>) -> Sleep {
            let kernel = self.kernel.lock().expect("no model panics in here");
            if self.value.load(Ordering::Acquire) == expected {
                drop(self.sleepers.wait(kernel).expect("no model panics in here"));
            }
            Sleep::Woken
        }

        pub(crate) fn wake(&self) {
            drop(self.kernel.lock().expect("no model panics in here"));
            self.sleepers.notify_one();
        }
    }
}
