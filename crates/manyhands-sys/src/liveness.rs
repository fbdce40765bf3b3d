//! Whether a process that was once there still is.

use std::time::Duration;

use crate::os::{self, TaskStatus};

/// The present moment on the clock by which the system notes when a process began.
///
/// ```
/// assert!(manyhands_sys::liveness::now() > std::time::Duration::ZERO);
/// ```
pub fn now() -> Duration {
    os::boot_now()
}

/// The number of the calling process.
///
/// ```
/// assert_eq!(manyhands_sys::liveness::process_id(), std::process::id());
/// ```
pub fn process_id() -> u32 {
    os::process_id()
}

/// Whether the process that had the number `pid` at the moment `seen` is still running. A zombie is
/// not, nor is another one that has got the same number since. Where the system does not tell (no
/// /proc, no descriptor left to read it with), whatever has the number counts.
///
/// ```
/// use manyhands_sys::liveness;
///
/// assert!(liveness::is_running(std::process::id(), liveness::now()));
/// ```
///
/// # References
/// proc(5), /proc/PID/stat.
pub fn is_running(pid: u32, seen: Duration) -> bool {
    if !os::process_exists(pid) {
        return false;
    }
    match os::task_status(pid, None) {
        TaskStatus::There(true, _) | TaskStatus::Gone => false,
        TaskStatus::There(false, started) => {
            // The kernel counts whole ticks, rounding down.
            started <= ticks(seen)
        }
        TaskStatus::Unknown => os::process_exists(pid),
    }
}

fn ticks(moment: Duration) -> u64 {
    let ticks = moment.as_nanos() * u128::from(os::clock_ticks_per_second()) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Whether a process of that number exists; a zombie does. Much cheaper than [`is_running`].
///
/// ```
/// assert!(manyhands_sys::liveness::exists(std::process::id()));
/// ```
pub fn exists(pid: u32) -> bool {
    os::process_exists(pid)
}

/// Whether the thread of that kernel number is one of the process.
///
/// ```
/// use manyhands_sys::{liveness, thread};
///
/// assert!(liveness::has_thread(std::process::id(), thread::kernel_id()));
/// ```
pub fn has_thread(pid: u32, thread: u32) -> bool {
    !matches!(os::task_status(pid, Some(thread)), TaskStatus::Gone | TaskStatus::There(true, _))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Seconds after which what a test waits for will not come any more.
    const PATIENCE: u32 = 60;

    fn until(condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed().as_secs() < PATIENCE.into(), "waited in vain");
            std::thread::yield_now();
        }
    }

    #[test]
    #[expect(unsafe_code, reason = "a process is forked, and ends its first thread")]
    fn a_process_whose_first_thread_has_ended_is_running() {
        // SAFETY: the child starts a thread and ends its own; the C library sees to its memory.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends this process, should nobody else do so.
            unsafe { libc::alarm(PATIENCE) };
            std::thread::spawn(|| {
                loop {
                    std::thread::park();
                }
            });
            // SAFETY: ends this thread.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        let pid = child.cast_unsigned();
        let seen = now();
        until(|| !has_thread(pid, pid));
        assert!(is_running(pid, seen));
        // SAFETY: a child of ours.
        unsafe { libc::kill(child, libc::SIGKILL) };
        until(|| !is_running(pid, seen));
        // SAFETY: as above.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    }

    #[test]
    fn a_zombie_is_not_running() {
        let mut child = std::process::Command::new("true").spawn().expect("true exists");
        let pid = child.id();
        let seen = now();
        until(|| !is_running(pid, seen));
        assert!(exists(pid), "not waited for yet");
        child.wait().expect("it is ours");
        assert!(!exists(pid));
    }

    #[test]
    fn a_process_that_began_later_is_another_one() {
        let long_ago = Duration::from_nanos(1);
        assert!(!is_running(process_id(), long_ago));
        assert!(is_running(process_id(), now()));
    }

    #[test]
    fn without_a_descriptor_to_ask_with_the_living_are_not_dead() {
        let child = || {
            // SAFETY: the limit of this process alone, a child.
            unsafe {
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none);
                libc::getppid()
            }
            .unsigned_abs()
        };
        // SAFETY: the child allocates, which the C library sees to, and ends.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: ends this process when it hangs.
                unsafe { libc::alarm(PATIENCE) };
                let parent = child();
                let alive = is_running(parent, now()) && has_thread(parent, parent);
                // SAFETY: ends this process.
                unsafe { libc::_exit(i32::from(!alive)) }
            }
            pid => {
                let mut status = 0;
                // SAFETY: a child of ours.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                assert_eq!(status, 0);
            }
        }
    }

    #[test]
    fn an_ended_thread_is_not_there() {
        let thread = std::thread::spawn(crate::thread::kernel_id).join().expect("ends well");
        until(|| !has_thread(process_id(), thread));
    }
}
