//! A child process: whether it lives, how it ended.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use manyhands_sys::descriptor::wait_readable;
use manyhands_sys::fork::{self, OwnDescriptor};
use manyhands_sys::process::{self, Ended, Ending, Waiting};
use manyhands_sys::time::Deadline;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::StartError;
use crate::reaper::{death_hook, registry};

/// How a child ended.
///
/// ```
/// use manyhands_process::ExitStatus;
///
/// assert_eq!(ExitStatus::Exited(3).code(), 3);
/// assert_eq!(ExitStatus::Killed(9).code(), -9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with that status.
    Exited(i32),
    /// By that signal.
    Killed(i32),
    /// Nobody knows: the program has reaped it behind our back, or ignores the ends of children.
    Lost,
}

impl ExitStatus {
    /// As one number: the status, or minus the signal's number; 255 if nobody knows.
    #[doc(alias = "multiprocessing.Process.exitcode")]
    pub fn code(self) -> i32 {
        match self {
            ExitStatus::Exited(status) => status,
            ExitStatus::Killed(signal) => -signal,
            ExitStatus::Lost => 255,
        }
    }

    fn from_bits(bits: u64) -> Option<ExitStatus> {
        let number = bits as u32 as i32;
        match bits >> 32 & 3 {
            0 => None,
            1 => Some(ExitStatus::Exited(number)),
            2 => Some(ExitStatus::Killed(number)),
            _ => Some(ExitStatus::Lost),
        }
    }

    fn to_bits(self) -> u64 {
        match self {
            ExitStatus::Exited(status) => 1 << 32 | u64::from(status as u32),
            ExitStatus::Killed(signal) => 2 << 32 | u64::from(signal as u32),
            ExitStatus::Lost => 3 << 32,
        }
    }
}

/// What came of a wait for a child's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It has ended.
    Ended(ExitStatus),
    /// It lives on.
    TimedOut,
    /// A signal came, or there is another reason to look up; the caller may have something to do, and
    /// then waits again.
    Interrupted,
}

/// Where the memory is in the bits of a status, and the most there.
const PEAK_SHIFT: u32 = 34;
const MOST_KIB: u64 = (1 << (64 - PEAK_SHIFT)) - 1;

/// A child of this process. It is reaped when it ends, whether anybody asks for it or not.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    token: u64,
    /// Readable when the child has ended.
    descriptor: OwnDescriptor,
    /// The [`fork::epoch`] of its parent: in others it is no child.
    epoch: u32,
    /// [`ExitStatus::to_bits`], 0 before the end; above that how much memory it had at most, in KiB. Written
    /// once, under the registry's lock.
    status: AtomicU64,
}

impl Child {
    /// The child of that number, which was just started and is watched from now on; ended if that
    /// cannot be.
    pub(crate) fn adopt(pid: u32) -> Result<Arc<Child>, StartError> {
        Child::watch(pid).inspect_err(|_| abandon(pid))
    }

    /// The child of that number, which nobody has reaped and which is watched from now on.
    pub(crate) fn watch(pid: u32) -> Result<Arc<Child>, StartError> {
        let (descriptor, status) = match process::open(pid) {
            Ok(descriptor) => (descriptor, 0),
            // Gone already, without a trace: this process ignores the ends of its children.
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {
                let readable = eventfd(1, EventfdFlags::CLOEXEC)
                    .map_err(|error| StartError::new("cannot watch the child process", error))?;
                (readable, ExitStatus::Lost.to_bits())
            }
            Err(error) => {
                return Err(StartError::new("cannot watch the child process", error));
            }
        };
        let status = AtomicU64::new(status);
        let descriptor = descriptor.into();
        let child = Child { pid, token: 0, descriptor, epoch: fork::epoch(), status };
        if child.known().is_some() {
            return Ok(Arc::new(child));
        }
        Ok(registry().watch(child))
    }

    pub(crate) fn numbered(self, token: u64) -> Child {
        Child { token, ..self }
    }

    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Its number. It may mean another process once this one has ended.
    #[doc(alias = "multiprocessing.Process.pid")]
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Becomes readable when the child ends.
    #[doc(alias = "multiprocessing.Process.sentinel")]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The number of [`Child::descriptor`].
    pub fn raw_descriptor(&self) -> RawFd {
        self.descriptor().as_raw_fd()
    }

    pub(crate) fn known(&self) -> Option<ExitStatus> {
        ExitStatus::from_bits(self.status.load(Ordering::Acquire))
    }

    /// How it ended, if it has. Never waits.
    ///
    /// # Fork safety
    /// In a forked child of the parent only what was known before the fork is told.
    #[doc(alias = "multiprocessing.Process.exitcode")]
    pub fn status(&self) -> Option<ExitStatus> {
        if self.known().is_some() || self.epoch != fork::epoch() {
            return self.known();
        }
        let mut registry = registry();
        if self.known().is_some() {
            return self.known();
        }
        if let Some(hook) = death_hook() {
            // As long as the child has not been reaped no other process gets its number.
            match process::wait(self.descriptor(), Waiting::Look) {
                Ok(None) => return None,
                Ok(Some(_)) | Err(_) => hook(self.pid),
            }
        }
        let (status, peak) = match process::wait(self.descriptor(), Waiting::Reap) {
            Ok(None) => return None,
            Ok(Some(Ended { how: Ending::Exited(status), peak_memory })) => {
                (ExitStatus::Exited(status), peak_memory)
            }
            Ok(Some(Ended { how: Ending::Killed(signal), peak_memory })) => {
                (ExitStatus::Killed(signal), peak_memory)
            }
            Err(_) => (ExitStatus::Lost, 0),
        };
        registry.forget(self);
        let peak = (peak >> 10).min(MOST_KIB) << PEAK_SHIFT;
        self.status.store(status.to_bits() | peak, Ordering::Release);
        Some(status)
    }

    /// How much memory it had at most, in bytes; `None` if it has not ended, or nobody knows.
    pub fn peak_memory(&self) -> Option<u64> {
        self.status()?;
        let kib = self.status.load(Ordering::Acquire) >> PEAK_SHIFT;
        (kib > 0).then_some(kib << 10)
    }

    /// Waits for its end, until that moment, or until a signal comes.
    #[doc(alias = "multiprocessing.Process.join")]
    pub fn wait(&self, until: Option<Deadline>) -> Waited {
        if let Some(status) = self.status() {
            return Waited::Ended(status);
        }
        if self.epoch != fork::epoch() {
            return Waited::Ended(ExitStatus::Lost);
        }
        registry().begin_wait(self);
        let waited = self.sleep(until);
        if !matches!(waited, Waited::Ended(_)) {
            registry().end_wait(self);
        }
        waited
    }

    fn sleep(&self, until: Option<Deadline>) -> Waited {
        let timeout = until.map(Deadline::remaining);
        let readable = wait_readable(&[self.raw_descriptor()], &mut [false], timeout);
        if let Some(status) = self.status() {
            return Waited::Ended(status);
        }
        match readable {
            Ok(1..) if until.is_some_and(Deadline::has_passed) => Waited::TimedOut,
            Ok(1..) => {
                // Its end is told first to somebody who traces it, and to us some time after that.
                std::thread::sleep(Duration::from_millis(1));
                Waited::Interrupted
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Waited::Interrupted,
            Ok(0) | Err(_) => Waited::TimedOut,
        }
    }

    /// Sends it a signal; false if it has ended. Another process never gets it.
    ///
    /// # Errors
    /// No permission (it has changed its user); no such signal.
    pub fn send_signal(&self, signal: i32) -> std::io::Result<bool> {
        if self.known().is_some() {
            return Ok(false);
        }
        match process::send_signal(self.descriptor(), signal) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Ends and reaps a child that cannot be watched.
fn abandon(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // Nobody else knows of it, so it was not reaped, and the number is its own.
    let _ = kill_process(pid, Signal::KILL);
    while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(Errno::INTR)) {}
}
