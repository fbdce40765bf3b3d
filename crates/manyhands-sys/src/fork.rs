//! Noticing a fork.
//!
//! Of the threads of a process only the one that called fork(2) exists in the child. Whatever
//! remembers threads (a list of waiters, a registry) compares [`epoch`] with the one it noted
//! and forgets those who are gone, which [`survived`] tells.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::os;
use crate::thread::ThreadId;

/// Number of forks that lie between the first process that loaded this library and this one.
/// Written only in a forked child, before any other code of it runs.
static EPOCH: AtomicU32 = AtomicU32::new(0);

/// The thread that called the last fork, 0 before any. Written as [`EPOCH`] is.
static SURVIVOR: AtomicU64 = AtomicU64::new(0);

/// The first epoch of those, up to the present one, that all began with a fork by [`SURVIVOR`].
/// Written as [`EPOCH`] is.
static SURVIVING_SINCE: AtomicU32 = AtomicU32::new(0);

/// Whether [`count`] is called in forked children. No lock, which a fork by another thread would leave
/// locked in the child; counting twice is no harm.
static COUNTED: AtomicBool = AtomicBool::new(false);

extern "C" fn nothing() {}

extern "C" fn count() {
    let epoch = EPOCH.load(Ordering::Relaxed) + 1;
    EPOCH.store(epoch, Ordering::Relaxed);
    let survivor = ThreadId::current().get();
    if SURVIVOR.swap(survivor, Ordering::Relaxed) != survivor {
        SURVIVING_SINCE.store(epoch, Ordering::Relaxed);
    }
}

/// For a child that was made in a way that the C library does not know: counts it as a fork.
///
/// Called in the child, by its only thread.
pub(crate) fn mark_forked() {
    count();
}

/// A number that is another one in a forked child than it was in its parent.
///
/// ```
/// use manyhands_sys::fork::epoch;
///
/// let noted = epoch();
/// // ... and later: do the threads noted then still exist?
/// assert_eq!(epoch(), noted, "this is not a forked child");
/// ```
pub fn epoch() -> u32 {
    if !COUNTED.load(Ordering::Acquire) {
        os::at_fork(nothing, nothing, count).expect("pthread_atfork: out of memory");
        COUNTED.store(true, Ordering::Release);
    }
    EPOCH.load(Ordering::Relaxed)
}

/// Whether a thread that was inside a wait in that epoch is there in this one, too: it is if it made
/// all the forks since, say in signal handlers that ran during the wait.
///
/// ```
/// use manyhands_sys::fork::{epoch, survived};
/// use manyhands_sys::thread::ThreadId;
///
/// let (waiter, since) = (ThreadId::current(), epoch());
/// assert!(survived(waiter, since));
/// ```
pub fn survived(thread: ThreadId, since: u32) -> bool {
    // Being inside a wait it cannot have ended, so no other thread has got its number.
    since == epoch()
        || SURVIVOR.load(Ordering::Relaxed) == thread.get()
            && SURVIVING_SINCE.load(Ordering::Relaxed) <= since + 1
}

/// Has three functions called around each fork of this process: `prepare` before it, `parent` after it
/// in the parent, `child` after it in the child, the last two in the thread that called fork.
///
/// They must not panic, and `child` may do only what is safe in a child of a threaded process:
/// touch memory, release locks that `prepare` took.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// static GENERATION: AtomicU32 = AtomicU32::new(0);
///
/// extern "C" fn nothing() {}
///
/// extern "C" fn count() {
///     GENERATION.fetch_add(1, Ordering::Relaxed);
/// }
///
/// manyhands_sys::fork::register(nothing, nothing, count)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
///
/// # References
/// pthread_atfork(3).
pub fn register(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> std::io::Result<()> {
    os::at_fork(prepare, parent, child)
}
