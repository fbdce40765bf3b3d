//! Starting, watching and ending processes.
//!
//! Processes are named by their numbers, and watched by descriptors, which go on meaning the same
//! process when its number has long been given to another.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use crate::os;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with that status.
    Exited(i32),
    /// By that signal.
    Killed(i32),
}

/// What is known of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it did.
    pub how: Ending,
    /// How much memory it had at most, in bytes; its children, for which it has waited, do not count.
    pub peak_memory: u64,
}

/// What [`wait`] does about a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Tells how, and leaves it there.
    Look,
    /// Tells how, and has the system forget it.
    Reap,
}

/// Copies this process; the copy has only the calling thread. `None` is the answer in the copy.
///
/// # Fork safety
/// What other threads held at that moment stays held in the copy, for ever, unless its owner watches
/// forks. The C library's own locks are seen to, by glibc and musl.
///
/// # Errors
/// Limits of processes and of memory.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use manyhands_sys::process::{Ending, Waiting, exit, fork, open, wait};
///
/// match fork()? {
///     None => exit(3),
///     Some(child) => {
///         let child = open(child)?;
///         let ended = loop {
///             if let Some(ended) = wait(child.as_fd(), Waiting::Reap)? {
///                 break ended;
///             }
///         };
///         assert_eq!(ended.how, Ending::Exited(3));
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// fork(2).
pub fn fork() -> io::Result<Option<u32>> {
    os::fork()
}

/// As [`fork`], but the copy is a child of this process's parent, a sibling. The functions that
/// libraries have asked to be called around forks are not called, except for
/// [`crate::fork::epoch`], which is another one in the copy.
///
/// # Errors
/// As [`fork`]; this process has several threads; the C library is one whose thread structure cannot
/// be put right (`Unsupported`).
///
/// # References
/// clone(2), `CLONE_PARENT`.
pub fn fork_sibling() -> io::Result<Option<u32>> {
    os::fork_sibling()
}

/// Ends the process at once: nothing is flushed, no function registered for the exit is called.
///
/// # References
/// _exit(2).
pub fn exit(status: i32) -> ! {
    os::exit(status)
}

/// Has a function called when this process, or one that was forked from it since, ends by exit(3), as
/// programs do that are not killed; not by [`exit`]. It must not panic.
///
/// ```
/// extern "C" fn say_goodbye() {
///     println!("Goodbye.");
/// }
///
/// manyhands_sys::process::at_exit(say_goodbye)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
///
/// # References
/// atexit(3).
pub fn at_exit(function: extern "C" fn()) -> io::Result<()> {
    os::at_exit(function)
}

/// A descriptor of a process: it becomes readable when the process ends.
///
/// The process must be a child that nobody has reaped, or the caller, or its parent; of any other
/// one the number may mean another process by now.
///
/// # Errors
/// The limit of descriptors; no such process; a kernel older than 5.3.
///
/// # References
/// pidfd_open(2).
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    os::open_process(pid)
}

/// How a child ended, if it has. Never waits.
///
/// # Errors
/// It is no child of this process, or was reaped by somebody else (`ECHILD`).
///
/// # References
/// waitid(2), `P_PIDFD`.
pub fn wait(child: BorrowedFd<'_>, what: Waiting) -> io::Result<Option<Ended>> {
    os::wait_process(child, what)
}

/// Sends a signal to a process, and never to another one that has got its number.
///
/// # Errors
/// It has been reaped (`ESRCH`); no permission; no such signal.
///
/// # References
/// pidfd_send_signal(2).
pub fn send_signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    os::send_signal(process, signal)
}

/// Whether a process was sent that signal, and has not come to handle it yet; false if nobody can tell.
///
/// ```
/// use manyhands_sys::process::is_pending;
///
/// assert!(!is_pending(std::process::id(), 10));
/// ```
///
/// # References
/// proc_pid_status(5), `ShdPnd`.
pub fn is_pending(process: u32, signal: i32) -> bool {
    os::is_pending(process, signal)
}

/// Whether the first thread of a process blocks that signal, as it also does while it handles it; false if
/// nobody can tell.
///
/// ```
/// use manyhands_sys::process::is_blocked;
///
/// assert!(!is_blocked(std::process::id(), 10));
/// ```
///
/// # References
/// proc_pid_status(5), `SigBlk`; sigaction(2), `SA_NODEFER`.
pub fn is_blocked(process: u32, signal: i32) -> bool {
    os::is_blocked(process, signal)
}

/// Has the kernel kill this process when the thread that started it ends.
///
/// # Errors
/// None are known.
///
/// # References
/// prctl(2), `PR_SET_PDEATHSIG`.
pub fn die_with_starter() -> io::Result<()> {
    os::die_with_starter()
}

/// The number of this process's parent.
pub fn parent() -> u32 {
    os::parent_id()
}

/// How many threads this process has; 0 if that cannot be told.
///
/// ```
/// assert!(manyhands_sys::process::threads() >= 1);
/// ```
pub fn threads() -> usize {
    os::threads()
}

/// By which policy and with which priority of the real-time ones the system gives the calling thread
/// its turns. Children have the same.
///
/// # Errors
/// None are known.
///
/// # References
/// sched_getscheduler(2), sched_getparam(2).
pub fn scheduling() -> io::Result<(i32, i32)> {
    os::scheduling()
}

/// The signals that the calling thread blocks, the first in the lowest bit.
pub fn blocked_signals() -> u64 {
    os::blocked_signals()
}

/// Blocks exactly these signals in the calling thread; returns which were blocked before.
///
/// ```
/// use manyhands_sys::process::{blocked_signals, set_blocked_signals};
///
/// let before = set_blocked_signals(1 << 14);
/// assert_eq!(blocked_signals(), 1 << 14);
/// set_blocked_signals(before);
/// ```
///
/// # References
/// pthread_sigmask(3).
pub fn set_blocked_signals(signals: u64) -> u64 {
    os::set_blocked_signals(signals)
}

/// The bit of a signal in such a set; 0 for what is no signal.
///
/// ```
/// assert_eq!(manyhands_sys::process::signal_bit(15), 1 << 14);
/// assert_eq!(manyhands_sys::process::signal_bit(0), 0);
/// ```
pub const fn signal_bit(signal: i32) -> u64 {
    if signal >= 1 && signal <= 64 { 1 << (signal - 1) } else { 0 }
}

/// The number of the signal that a keyboard's Ctrl-C sends.
pub const INTERRUPT: i32 = os::INTERRUPT;

/// The number of the signal that asks a process to end.
pub const TERMINATE: i32 = os::TERMINATE;

/// The number of the signal that nobody survives.
pub const KILL: i32 = os::KILL;

/// What a process did about a signal, to be put back.
#[derive(Clone, Copy)]
pub struct Disposition(pub(crate) os::Disposition);

impl std::fmt::Debug for Disposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disposition")
    }
}

/// Has this process ignore a signal, and tells what it did about it before.
///
/// # Errors
/// No such signal, or one that cannot be ignored.
pub fn ignore_signal(signal: i32) -> io::Result<Disposition> {
    os::ignore_signal(signal).map(Disposition)
}

/// Puts back what [`ignore_signal`] has changed.
///
/// # Errors
/// No such signal.
pub fn restore_signal(signal: i32, before: &Disposition) -> io::Result<()> {
    os::restore_signal(signal, &before.0)
}

/// A program to be run in a process of its own, by [`spawn`].
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// The file; it is not looked for anywhere.
    pub path: &'a CStr,
    /// What it gets for arguments, its own name first.
    pub arguments: &'a [&'a CStr],
    /// Descriptors that it gets: which of ours, and by which number. The first three are inherited
    /// where they are not given here; all others are closed. A number that is ours and is given
    /// to another must not come later in the list.
    pub descriptors: &'a [(RawFd, RawFd)],
    /// Which of its first three descriptors have `/dev/null` behind them.
    pub null: [bool; 3],
    /// The signals that it blocks.
    pub blocked: u64,
}

/// Runs a program, with this process's environment. Returns the number of its process.
///
/// # Errors
/// The file cannot be run, as execve(2) says; limits of processes and memory.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use manyhands_sys::process::{Ending, Program, Waiting, open, spawn, wait};
///
/// let child = spawn(&Program {
///     path: c"/bin/sh",
///     arguments: &[c"sh", c"-c", c"exit 3"],
///     descriptors: &[],
///     null: [true, false, false],
///     blocked: 0,
/// })?;
/// let child = open(child)?;
/// let ended = loop {
///     if let Some(ended) = wait(child.as_fd(), Waiting::Reap)? {
///         break ended;
///     }
/// };
/// assert_eq!(ended.how, Ending::Exited(3));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// posix_spawn(3).
pub fn spawn(program: &Program<'_>) -> io::Result<u32> {
    os::spawn(program)
}

/// This process's environment, as the C library has it: entries `NAME=value`, each followed by a
/// zero byte.
///
/// No other thread may change the environment meanwhile; in an interpreter of Python none does that
/// has not got its lock.
pub fn environment() -> Vec<u8> {
    os::environment()
}

/// Closes a descriptor of which only the number is known; true if it was open.
pub fn close(descriptor: RawFd) -> bool {
    os::close(descriptor).is_ok()
}

/// What tells the file of a descriptor of which only the number is known from others of its device.
///
/// # Errors
/// It is not open.
pub fn inode(descriptor: RawFd) -> io::Result<u64> {
    os::inode(descriptor)
}

/// A copy of a descriptor by a given number, which programs that this process runs inherit. What
/// had the number before is closed.
///
/// # Errors
/// The number is above the limit of descriptors.
///
/// # References
/// dup2(2).
pub fn copy_to(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    os::copy_to(descriptor, number)
}

/// A higher limit of descriptors, until it is dropped: some of a program's may have numbers above its
/// limit, if that was lowered since.
#[derive(Debug)]
#[must_use]
pub struct HigherLimit(Option<os::DescriptorLimit>);

impl HigherLimit {
    /// A limit above that number, if the system allows it.
    ///
    /// ```
    /// use manyhands_sys::process::HigherLimit;
    ///
    /// let _limit = HigherLimit::up_to(2);
    /// ```
    pub fn up_to(number: RawFd) -> HigherLimit {
        HigherLimit(os::raise_descriptor_limit(number))
    }
}

impl Drop for HigherLimit {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            os::restore_descriptor_limit(before);
        }
    }
}
