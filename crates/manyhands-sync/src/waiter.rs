//! One parked thread.

use crate::Deadline;

/// How [`Waiter::park`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// Somebody notified this waiter.
    Notified,
    /// The deadline passed first.
    TimedOut,
    /// A signal handler ran in this thread; park again to go on waiting.
    Interrupted,
}

#[cfg(not(loom))]
mod imp {
    use std::sync::atomic::{AtomicU32, Ordering};

    use manyhands_sys::futex::{self, Sleep};

    use super::{Deadline, Parked};

    const WAITING: u32 = 0;
    const NOTIFIED: u32 = 1;

    /// A thread that waits to be notified, once.
    #[derive(Debug)]
    pub struct Waiter {
        /// `WAITING`, then `NOTIFIED` for good; written by whoever takes the waiter out of its line.
        word: AtomicU32,
    }

    impl Waiter {
        pub(crate) fn new() -> Waiter {
            Waiter { word: AtomicU32::new(WAITING) }
        }

        fn is_notified(&self) -> bool {
            self.word.load(Ordering::Acquire) == NOTIFIED
        }

        /// Sleeps until notified, until `deadline`, or until a signal handler has run.
        pub fn park(&self, deadline: Option<Deadline>) -> Parked {
            loop {
                if self.is_notified() {
                    return Parked::Notified;
                }
                match futex::wait(&self.word, WAITING, deadline) {
                    Sleep::Woken => {}
                    _ if self.is_notified() => return Parked::Notified,
                    Sleep::TimedOut => return Parked::TimedOut,
                    Sleep::Interrupted => return Parked::Interrupted,
                }
            }
        }

        pub(crate) fn notify(&self) {
            self.word.store(NOTIFIED, Ordering::Release);
            futex::wake(&self.word, 1);
        }
    }
}

#[cfg(loom)]
mod imp {
    use loom::sync::{Condvar, Mutex};

    use super::{Deadline, Parked};

    /// A thread that waits to be notified, once; here in terms that loom knows.
    #[derive(Debug)]
    pub struct Waiter {
        notified: Mutex<bool>,
        changed: Condvar,
    }

    impl Waiter {
        pub(crate) fn new() -> Waiter {
            Waiter { notified: Mutex::new(false), changed: Condvar::new() }
        }

        /// Sleeps until notified; a model has no clock.
        pub fn park(&self, _deadline: Option<Deadline>) -> Parked {
            let mut notified = self.notified.lock().expect("no model panics in here");
            while !*notified {
                notified = self.changed.wait(notified).expect("no model panics in here");
            }
            Parked::Notified
        }

        pub(crate) fn notify(&self) {
            *self.notified.lock().expect("no model panics in here") = true;
            self.changed.notify_one();
        }
    }
}

pub use imp::Waiter;
