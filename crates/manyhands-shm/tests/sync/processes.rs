//! Processes of the tests.
#![expect(unsafe_code, reason = "processes are forked, traced, killed, waited for")]

use std::convert::Infallible;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use manyhands_shm::{Deadline, Handle, Kind, Patient, Pause, Shared, child_died};

use crate::support::watch;

/// A test that takes longer hangs.
pub const PATIENCE: u32 = 60;

/// A child of the test, killed and waited for when dropped.
pub struct Child {
    pid: libc::pid_t,
    is_over: bool,
}

/// Forks a child that does that, ends with its result for an exit status, and hangs for a minute at most.
pub fn fork(body: impl FnOnce() -> bool) -> Child {
    watch();
    // SAFETY: the child does what the test shows, and ends with `_exit`; locks of the C library, which
    // other threads of the test may hold, the C library sees to.
    match unsafe { libc::fork() } {
        0 => {
            let run = std::panic::AssertUnwindSafe(|| {
                go_on();
                body()
            });
            let is_well = std::panic::catch_unwind(run).unwrap_or(false);
            // SAFETY: ends this process.
            unsafe { libc::_exit(if is_well { 0 } else { 1 }) }
        }
        pid => {
            assert!(pid > 0, "fork failed");
            manyhands_shm::forked(Some(pid.cast_unsigned()));
            Child { pid, is_over: false }
        }
    }
}

/// Begins the minute of this child anew.
pub fn go_on() {
    // SAFETY: ends this process when it hangs.
    unsafe { libc::alarm(PATIENCE) };
}

impl Child {
    fn status(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: the child is ours, and `status` is valid for the call.
        assert_eq!(unsafe { libc::waitpid(self.pid, &raw mut status, 0) }, self.pid);
        status
    }

    /// Waits until it ends, which it does well.
    pub fn finish(mut self) {
        let status = self.status();
        self.is_over = true;
        child_died(self.pid.cast_unsigned());
        assert_eq!(status, 0, "a child ended badly: a signal, or an exit status times 256");
    }

    /// Kills it, and nobody waits for it yet.
    pub fn kill(&self) {
        // SAFETY: the child is ours and was not waited for.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// Kills it and waits for it; nobody is told.
    pub fn bury(mut self) {
        self.kill();
        self.status();
        self.is_over = true;
    }

    /// Lets a child that has called [`be_stepped`] make so many steps; how many it made before it
    /// ended, if it did.
    pub fn steps(&mut self, count: usize) -> usize {
        let status = self.status();
        assert!(libc::WIFSTOPPED(status), "tracing is not possible here: {status:#x}");
        for made in 0..count {
            // SAFETY: the child is ours and stopped.
            let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0) };
            assert_eq!(stepped, 0, "ptrace");
            let status = self.status();
            if libc::WIFEXITED(status) {
                assert_eq!(status, 0, "it ended badly");
                self.is_over = true;
                return made;
            }
            assert!(libc::WIFSTOPPED(status), "it was to make a step: {status:#x}");
        }
        count
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_over {
            self.kill();
            self.status();
        }
    }
}

/// Stops the calling process until its parent lets it make steps.
pub fn be_stepped() {
    // SAFETY: the parent expects it.
    unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
        libc::raise(libc::SIGSTOP);
    }
}

/// Looks again every millisecond, as all do after RECHECK.
pub struct Impatient;

impl Pause for Impatient {
    type Error = Infallible;

    fn pause(&self, word: &AtomicU32, expected: u32, until: Deadline) -> Result<(), Infallible> {
        Patient.pause(word, expected, until.min(Deadline::after(Duration::from_millis(1))))
    }
}

/// Waits until that is so.
pub fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(PATIENCE.into()));
    while !condition() {
        assert!(!deadline.has_passed(), "waited in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A new one, which children inherit.
pub fn shared<T: Shared>(kind: Kind) -> Handle<T> {
    Handle::new(kind).expect("there is memory")
}
