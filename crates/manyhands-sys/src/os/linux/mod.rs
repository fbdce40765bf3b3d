//! Linux: futex(2), pthread_self(3), clock_gettime(2), pthread_atfork(3).

mod descriptor;
mod footprint;
mod memory;
mod process;

pub(crate) use descriptor::*;
pub(crate) use footprint::*;
pub(crate) use memory::*;
pub(crate) use process::*;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::futex::Sleep;

/// Seconds that fit a kernel timespec and are as good as forever (some 68 years).
const LONGEST_SECONDS: i64 = i32::MAX as i64;

fn scope(shared: bool) -> Flags {
    if shared { Flags::empty() } else { Flags::PRIVATE }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX).min(i64::MAX / 2),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

pub(crate) fn futex_wait(
    word: &AtomicU32,
    expected: u32,
    until: Option<Duration>,
    shared: bool,
) -> Sleep {
    let timespec = until.map(timespec);
    // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, so a sleep that is resumed
    // after a signal does not drift.
    match futex::wait_bitset(word, scope(shared), expected, timespec.as_ref(), NonZeroU32::MAX) {
        Ok(()) | Err(Errno::AGAIN) => Sleep::Woken,
        Err(Errno::TIMEDOUT) => Sleep::TimedOut,
        // EINTR; nothing else can come back for a valid word, and a caller that looks again is
        // right in any case.
        Err(_) => Sleep::Interrupted,
    }
}

pub(crate) fn futex_wake(word: &AtomicU32, count: u32, shared: bool) {
    // The only errors are those of a bad address.
    let _ = futex::wake(word, scope(shared), count.min(i32::MAX as u32));
}

pub(crate) fn futex_wait_at(address: usize, expected: u32, until: Option<Duration>) -> Sleep {
    let until = until.map(|until| libc::timespec {
        tv_sec: i64::try_from(until.as_secs()).unwrap_or(LONGEST_SECONDS),
        tv_nsec: i64::from(until.subsec_nanos()),
    });
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let (nothing, anybody) = (0usize, u32::MAX);
    // SAFETY: only the kernel reads what is at the address, and answers EFAULT if it cannot; the time is a local.
    let slept = unsafe {
        let operation = libc::FUTEX_WAIT_BITSET;
        libc::syscall(libc::SYS_futex, address, operation, expected, until, nothing, anybody)
    };
    if slept == 0 {
        return Sleep::Woken;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Sleep::Woken,
        Some(libc::ETIMEDOUT) => Sleep::TimedOut,
        _ => Sleep::Interrupted,
    }
}

pub(crate) fn futex_wake_at(address: usize, count: u32) {
    let count = count.min(i32::MAX as u32);
    // SAFETY: nothing is read or written there.
    unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE, count) };
}

pub(crate) fn monotonic_now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

pub(crate) fn longest_wait() -> Duration {
    Duration::from_secs(LONGEST_SECONDS as u64)
}

#[inline]
pub(crate) fn thread_id() -> NonZeroU64 {
    // SAFETY: pthread_self has no preconditions, and returns the address of the thread's
    // descriptor (glibc, musl), which is not 0.
    unsafe { NonZeroU64::new_unchecked(libc::pthread_self() as u64) }
}

pub(crate) fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

pub(crate) fn processor() -> u32 {
    if cfg!(miri) {
        // It does not know.
        return 0;
    }
    // SAFETY: sched_getcpu has no preconditions.
    let processor = unsafe { libc::sched_getcpu() };
    u32::try_from(processor).unwrap_or(0)
}

pub(crate) fn at_fork(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> std::io::Result<()> {
    if cfg!(miri) {
        // It cannot fork, and has no such function.
        return Ok(());
    }
    // SAFETY: the three functions live as long as the process, which is all that is asked; what
    // they may do is the business of `fork::register`.
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(error)),
    }
}
