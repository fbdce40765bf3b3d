//! Who is calling.

use std::cell::Cell;
use std::num::NonZeroU64;

use crate::{fork, os};

/// Identity of a thread of this process: its `pthread_t`, which is also what Python's
/// `threading.get_ident()` returns.  Never 0.  May be used again once the thread has ended.
///
/// ```
/// use manyhands_sys::thread::ThreadId;
///
/// let here = ThreadId::current();
/// let there = std::thread::spawn(ThreadId::current).join().unwrap();
/// assert_ne!(here, there);
/// ```
///
/// # References
/// pthread_self(3); `threading.get_ident` in the Python library reference.
#[doc(alias = "threading.get_ident")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(NonZeroU64);

impl ThreadId {
    /// The calling thread.
    ///
    /// ```
    /// use manyhands_sys::thread::ThreadId;
    ///
    /// assert_eq!(ThreadId::current(), ThreadId::current());
    /// ```
    #[inline]
    pub fn current() -> ThreadId {
        ThreadId(os::thread_id())
    }

    /// The number itself.
    ///
    /// ```
    /// use manyhands_sys::thread::ThreadId;
    ///
    /// assert_ne!(ThreadId::current().get(), 0);
    /// ```
    #[inline]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The thread of that number; `None` for 0.
    ///
    /// ```
    /// use manyhands_sys::thread::ThreadId;
    ///
    /// let me = ThreadId::current();
    /// assert_eq!(ThreadId::from_raw(me.get()), Some(me));
    /// assert_eq!(ThreadId::from_raw(0), None);
    /// ```
    #[inline]
    pub fn from_raw(number: u64) -> Option<ThreadId> {
        NonZeroU64::new(number).map(ThreadId)
    }
}

/// The kernel's number of the calling thread (`gettid`, `threading.get_native_id`); below 2^22.
///
/// ```
/// let here = manyhands_sys::thread::kernel_id();
/// assert_ne!(std::thread::spawn(manyhands_sys::thread::kernel_id).join().unwrap(), here);
/// ```
///
/// # References
/// gettid(2).
#[inline]
pub fn kernel_id() -> u32 {
    crate::robust::kernel_thread_id()
}

/// Whether this is the thread with which the process began (or, in a forked child, the one that
/// forked): the one that the kernel prefers for signals sent to the process.
///
/// ```
/// use manyhands_sys::thread::is_main;
///
/// assert!(!std::thread::spawn(is_main).join().unwrap());
/// ```
pub fn is_main() -> bool {
    thread_local! {
        /// The answer, and in which epoch it was found: a fork may change it.
        static KNOWN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    }
    let epoch = fork::epoch();
    match KNOWN.get() {
        Some((then, is_main)) if then == epoch => is_main,
        _ => {
            let is_main = os::is_main_thread();
            KNOWN.set(Some((epoch, is_main)));
            is_main
        }
    }
}

/// The number of the processor on which the calling thread runs at this moment.
///
/// ```
/// let processor = manyhands_sys::thread::processor();
/// println!("on processor {processor}, for now");
/// ```
///
/// # References
/// sched_getcpu(3).
pub fn processor() -> u32 {
    os::processor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_differ() {
        let here = ThreadId::current();
        assert_eq!(here, ThreadId::current());
        assert_eq!(ThreadId::from_raw(here.get()), Some(here));
        let there = std::thread::spawn(ThreadId::current).join().expect("the thread ends well");
        assert_ne!(here, there);
        assert_eq!(ThreadId::from_raw(0), None);
    }
}
