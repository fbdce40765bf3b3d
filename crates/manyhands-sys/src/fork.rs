//! Noticing a fork.
//!
//! Of the threads of a process only the one that called fork(2) exists in the child. Whatever
//! remembers threads (a list of waiters, a registry) compares [`epoch`] with the one it noted
//! and forgets those who are gone, which [`survived`] tells.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
#[inline]
pub fn epoch() -> u32 {
    if !COUNTED.load(Ordering::Acquire) {
        begin_to_count();
    }
    EPOCH.load(Ordering::Relaxed)
}

#[cold]
fn begin_to_count() {
    os::at_fork(nothing, nothing, count).expect("pthread_atfork: out of memory");
    COUNTED.store(true, Ordering::Release);
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

/// What a [`ForkMutex`] protects.
pub trait Protected: Send + Sized + 'static {
    /// The mutex that protects it, a static one.
    fn mutex() -> &'static ForkMutex<Self>;

    /// Called in each forked child before any other code of it gets the mutex. It may do only what is
    /// safe in a child of a threaded process, see [`register`].
    fn in_child(&mut self) {}
}

/// A mutex that forks do not leave locked: who forks holds it meanwhile.
///
/// That begins with [`prepare`](Self::prepare), or with the first [`lock`](Self::lock).
///
/// ```
/// use manyhands_sys::fork::{ForkMutex, Protected};
///
/// struct Names(Vec<String>);
///
/// static NAMES: ForkMutex<Names> = ForkMutex::new(Names(Vec::new()));
///
/// impl Protected for Names {
///     fn mutex() -> &'static ForkMutex<Names> {
///         &NAMES
///     }
/// }
///
/// NAMES.lock().0.push("Ada".to_owned());
/// ```
pub struct ForkMutex<T: 'static> {
    data: Mutex<T>,
    /// The thread that holds the mutex because it forks; 0 if none does. Written by that thread.
    forking: AtomicU64,
    /// The mutex as that thread holds it. Touched by that thread only.
    held: UnsafeCell<Option<MutexGuard<'static, T>>>,
    /// Whether forks are noticed. No lock, which a fork by another thread would leave locked in the
    /// child; to be called twice does no harm to the functions below.
    prepared: AtomicBool,
}

// SAFETY: `held` is touched only by the thread whose number is in `forking`, and after a fork by the copy
// of that thread; the rest may be shared if it may be in a mutex.
unsafe impl<T: Send> Sync for ForkMutex<T> {}

impl<T> fmt::Debug for ForkMutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ForkMutex").finish_non_exhaustive()
    }
}

impl<T: Protected> ForkMutex<T> {
    /// A free one.
    pub const fn new(data: T) -> ForkMutex<T> {
        ForkMutex {
            data: Mutex::new(data),
            forking: AtomicU64::new(0),
            held: UnsafeCell::new(None),
            prepared: AtomicBool::new(false),
        }
    }

    /// Has forks find it free from now on. A fork that is under way may still leave it locked, so who
    /// forks among threads calls this first.
    pub fn prepare(&self) {
        if !self.prepared.load(Ordering::Acquire) {
            // The functions are called in the order of registration: the epoch is the child's then.
            epoch();
            register(hold::<T>, let_go::<T>, let_go_in_child::<T>)
                .expect("pthread_atfork: out of memory");
            self.prepared.store(true, Ordering::Release);
        }
    }

    /// Takes the mutex, also after a panic of somebody who had it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.prepare();
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`hold`] took, if this thread has called it and not this since.
    fn take_held(&self) -> Option<MutexGuard<'static, T>> {
        if self.forking.load(Ordering::Relaxed) != ThreadId::current().get() {
            return None;
        }
        // SAFETY: this is the thread that may touch it.
        let held = unsafe { (*self.held.get()).take() };
        self.forking.store(0, Ordering::Relaxed);
        held
    }
}

extern "C" fn hold<T: Protected>() {
    let mutex = T::mutex();
    let me = ThreadId::current().get();
    if mutex.forking.load(Ordering::Relaxed) == me {
        return;
    }
    let guard = mutex.data.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: who has the mutex, and is about to be the thread that forks, is alone.
    unsafe { *mutex.held.get() = Some(guard) };
    mutex.forking.store(me, Ordering::Relaxed);
}

extern "C" fn let_go<T: Protected>() {
    drop(T::mutex().take_held());
}

extern "C" fn let_go_in_child<T: Protected>() {
    if let Some(mut data) = T::mutex().take_held() {
        data.in_child();
    }
}

/// A descriptor that only the process closes that has opened it.
///
/// A forked child may have closed its copy by the number, as daemons do that close all there are, and
/// opened something else since. So it is left open there.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use manyhands_sys::fork::OwnDescriptor;
///
/// let (reader, _writer) = std::io::pipe()?;
/// let reader = OwnDescriptor::from(std::os::fd::OwnedFd::from(reader));
/// reader.as_fd();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct OwnDescriptor {
    descriptor: ManuallyDrop<OwnedFd>,
    /// The [`epoch`] of the process that has opened it.
    epoch: u32,
}

impl From<OwnedFd> for OwnDescriptor {
    fn from(descriptor: OwnedFd) -> OwnDescriptor {
        OwnDescriptor { descriptor: ManuallyDrop::new(descriptor), epoch: epoch() }
    }
}

impl AsFd for OwnDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for OwnDescriptor {
    fn drop(&mut self) {
        if self.epoch == epoch() {
            // SAFETY: nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.descriptor) };
        }
    }
}
