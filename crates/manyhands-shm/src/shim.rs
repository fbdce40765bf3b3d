//! Atomics, sleeping, clock and owners: of std, the system and the arena or, for models, of loom.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::fence;
#[cfg(loom)]
pub use model::{AtomicU32, AtomicU32 as Word, AtomicU64, Owner, wake};
#[cfg(loom)]
pub(crate) use model::{is_due, sleep};
#[cfg(not(loom))]
pub use real::{AtomicU32, AtomicU64, Owner, Word, wake};
#[cfg(not(loom))]
pub(crate) use real::{is_due, is_long_ago, sleep};
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::fence;

/// The present moment as a shared word holds it: milliseconds, which wrap after 49 days.
pub(crate) fn moment() -> u32 {
    manyhands_sys::liveness::now().as_millis() as u32
}

#[cfg(not(loom))]
mod real {
    /// What a thread sleeps on.
    pub use std::sync::atomic::AtomicU32 as Word;
    #[cfg(not(feature = "steps"))]
    pub use std::sync::atomic::{AtomicU32, AtomicU64};

    use manyhands_sys::futex;
    use manyhands_sys::step::step;

    use super::{Ordering, moment};
    pub use crate::owner::Owner;
    #[cfg(feature = "steps")]
    pub use crate::stepping::{AtomicU32, AtomicU64};
    use crate::{Deadline, RECHECK};

    pub(crate) fn sleep(word: &Word, expected: u32, until: Deadline) {
        futex::wait_shared(word, expected, Some(until));
        step();
    }

    /// Wakes so many of those who sleep on a word, by [`Pause::pause`](crate::Pause::pause).
    #[cold]
    pub fn wake(word: &Word, count: u32) {
        futex::wake_shared(word, count);
        step();
    }

    /// Whether that moment is longer ago than a living waiter sleeps at a time.
    pub(crate) fn is_long_ago(then: u32) -> bool {
        u128::from(moment().wrapping_sub(then)) >= RECHECK.as_millis()
    }

    /// Whether it is time for somebody to look after the dead again; `looked` is when one did.
    pub(crate) fn is_due(looked: &AtomicU32) -> bool {
        let due = is_long_ago(looked.load(Ordering::Relaxed));
        if due {
            looked.store(moment(), Ordering::Relaxed);
        }
        due
    }
}

#[cfg(loom)]
mod model {
    use std::collections::{HashMap, HashSet};
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::num::NonZeroU64;

    pub use loom::sync::atomic::{AtomicU32, AtomicU64};
    use loom::sync::{Arc, Condvar, Mutex};

    use super::Ordering;
    use crate::Deadline;

    loom::lazy_static! {
        /// What the kernel holds while it compares a word and queues who sleeps on it.
        static ref KERNEL: Mutex<HashMap<usize, Arc<Condvar>>> = Mutex::new(HashMap::new());
        static ref DEAD: Mutex<HashSet<u64>> = Mutex::new(HashSet::new());
    }

    fn address(word: &AtomicU32) -> usize {
        std::ptr::from_ref(word) as usize
    }

    /// A model has no clock: only a wake ends it.
    pub(crate) fn sleep(word: &AtomicU32, expected: u32, _until: Deadline) {
        let mut kernel = KERNEL.lock().expect("no model panics in here");
        if word.load(Ordering::Acquire) == expected {
            let sleepers = kernel.entry(address(word)).or_insert_with(|| Arc::new(Condvar::new()));
            let sleepers = Arc::clone(sleepers);
            drop(sleepers.wait(kernel).expect("no model panics in here"));
        }
    }

    /// Wakes so many of those who sleep on a word.
    pub fn wake(word: &AtomicU32, count: u32) {
        let kernel = KERNEL.lock().expect("no model panics in here");
        if let Some(sleepers) = kernel.get(&address(word)) {
            if count == 1 {
                sleepers.notify_one();
            } else {
                sleepers.notify_all();
            }
        }
    }

    pub(crate) fn is_due(_looked: &AtomicU32) -> bool {
        true
    }

    /// A thread of the model, each a process of its own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Owner(NonZeroU64);

    impl Owner {
        /// The calling thread.
        pub fn current() -> Owner {
            let mut hasher = DefaultHasher::new();
            loom::thread::current().id().hash(&mut hasher);
            let thread = hasher.finish() & 0x003f_ffff | 1;
            Owner(NonZeroU64::new(thread << 32 | thread).expect("an odd number is not 0"))
        }

        /// That of the number, without flags.
        pub fn from_bits(bits: u64) -> Option<Owner> {
            NonZeroU64::new(bits & 0x07ff_ffff_003f_ffff).map(Owner)
        }

        /// The number.
        pub fn to_bits(self) -> u64 {
            self.0.get()
        }

        /// From now on this one is dead; its thread touches nothing any more.
        pub fn die(self) {
            DEAD.lock().expect("no model panics in here").insert(self.0.get());
        }

        /// Whether it has not died.
        pub fn is_alive(self) -> bool {
            !DEAD.lock().expect("no model panics in here").contains(&self.0.get())
        }

        pub(crate) fn is_thread_alive(self) -> bool {
            self.is_alive()
        }

        pub(crate) fn pid(self) -> Option<u32> {
            None
        }
    }
}
