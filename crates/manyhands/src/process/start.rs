//! Starting processes.

use std::ops::Deref;

use manyhands_process::StartError;

/// A function that runs in a process of its own, a copy of this one, which shares what was made to be
/// shared before.
///
/// Dropping it lets the process go on; it is reaped when it ends.
///
/// ```
/// use manyhands::process::{Event, ExitStatus, Process};
///
/// let go = Event::new()?;
/// let process = Process::fork(|| {
///     go.wait();
///     6 * 7
/// })?;
/// assert!(process.is_alive());
/// go.set();
/// assert_eq!(process.join(None), Some(ExitStatus::Exited(42)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "multiprocessing.Process")]
#[derive(Clone, Debug)]
pub struct Process(manyhands_process::Process);

impl Process {
    /// Runs a function in a copy of this process, whose exit status is what the function returns, or
    /// 101 if it panics.
    ///
    /// # Fork safety
    /// Of several threads only this one is there in the child; locks that others held in that moment
    /// stay locked there.
    ///
    /// # Errors
    /// Limits of processes, of memory, of descriptors.
    pub fn fork(function: impl FnOnce() -> i32) -> Result<Process, StartError> {
        start(|| manyhands_process::Process::fork(function))
    }

    /// As [`Process::fork`], but the process dies when this one does, also if it is killed.
    ///
    /// # Errors
    /// As of [`Process::fork`].
    pub fn fork_daemon(function: impl FnOnce() -> i32) -> Result<Process, StartError> {
        start(|| manyhands_process::Process::fork_daemon(function))
    }
}

fn start(
    fork: impl FnOnce() -> Result<manyhands_process::Process, StartError>,
) -> Result<Process, StartError> {
    // What a child held is released when it is reaped, not when somebody stumbles over it.
    manyhands_process::set_death_hook(manyhands_shm::child_died);
    // Forks take their locks in the opposite order: the last one calls the others with its own held.
    manyhands_watch::prepare_for_forks();
    manyhands_shm::prepare_for_forks();
    manyhands_process::prepare_for_forks();
    let started = fork();
    manyhands_shm::forked(started.as_ref().ok().map(|process| process.id()));
    started.map(Process)
}

impl Deref for Process {
    type Target = manyhands_process::Process;

    fn deref(&self) -> &manyhands_process::Process {
        &self.0
    }
}
