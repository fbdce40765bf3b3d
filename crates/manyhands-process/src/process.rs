//! A function of a Rust program in a process of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use manyhands_sys::process::{INTERRUPT, KILL, TERMINATE, exit};
use manyhands_sys::time::Deadline;

use crate::StartError;
use crate::child::{Child, ExitStatus, Waited};
use crate::fork::{Forked, fork};

/// A function that runs in a process of its own, a copy of this one.
///
/// Dropping it lets the process go on; it is reaped when it ends.
///
/// ```
/// use manyhands_process::{ExitStatus, Process};
///
/// let process = Process::fork(|| 6 * 7)?;
/// assert_eq!(process.join(None), Some(ExitStatus::Exited(42)));
/// assert!(!process.is_alive());
/// # Ok::<(), manyhands_process::StartError>(())
/// ```
#[doc(alias = "multiprocessing.Process")]
#[derive(Clone, Debug)]
pub struct Process(Arc<Child>);

impl Process {
    /// Runs a function in a copy of this process, whose exit status is what the function returns, or
    /// 101 if it panics.
    ///
    /// # Fork safety
    /// As [`manyhands_sys::process::fork`]: in a program with several threads the function must
    /// not need what another thread may hold.
    ///
    /// # Errors
    /// Limits of processes, of memory, of descriptors.
    #[doc(alias = "multiprocessing.Process.start")]
    pub fn fork(function: impl FnOnce() -> i32) -> Result<Process, StartError> {
        Process::start(false, function)
    }

    /// As [`Process::fork`], but the process dies when this one does, also if it is killed.
    ///
    /// # Errors
    /// As [`Process::fork`].
    #[doc(alias = "multiprocessing.Process.daemon")]
    pub fn fork_daemon(function: impl FnOnce() -> i32) -> Result<Process, StartError> {
        Process::start(true, function)
    }

    fn start(guarded: bool, function: impl FnOnce() -> i32) -> Result<Process, StartError> {
        match fork(guarded)? {
            Forked::Parent(child) => Ok(Process(child)),
            // What the function borrows is a copy, which nobody sees after a panic.
            Forked::Child(_parent) => exit(catch_unwind(AssertUnwindSafe(function)).unwrap_or(101)),
        }
    }

    /// The number of the process.
    #[doc(alias = "multiprocessing.Process.pid")]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the end of the process, at most so long; `None` if it lives on.
    #[doc(alias = "multiprocessing.Process.join")]
    pub fn join(&self, timeout: Option<Duration>) -> Option<ExitStatus> {
        let until = timeout.map(Deadline::after);
        loop {
            match self.0.wait(until) {
                Waited::Ended(status) => return Some(status),
                Waited::TimedOut => return None,
                Waited::Interrupted => {}
            }
        }
    }

    /// Whether it has not ended.
    #[doc(alias = "multiprocessing.Process.is_alive")]
    pub fn is_alive(&self) -> bool {
        self.0.status().is_none()
    }

    /// How it ended, if it has.
    #[doc(alias = "multiprocessing.Process.exitcode")]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.0.status()
    }

    /// Asks it to end (`SIGTERM`); nothing happens if it has.
    #[doc(alias = "multiprocessing.Process.terminate")]
    pub fn terminate(&self) {
        let _ = self.0.send_signal(TERMINATE);
    }

    /// Interrupts it (`SIGINT`); nothing happens if it has ended.
    #[doc(alias = "multiprocessing.Process.interrupt")]
    pub fn interrupt(&self) {
        let _ = self.0.send_signal(INTERRUPT);
    }

    /// Ends it (`SIGKILL`).
    #[doc(alias = "multiprocessing.Process.kill")]
    pub fn kill(&self) {
        let _ = self.0.send_signal(KILL);
    }

    /// The child behind it.
    #[doc(alias = "multiprocessing.Process.sentinel")]
    pub fn child(&self) -> &Arc<Child> {
        &self.0
    }
}
