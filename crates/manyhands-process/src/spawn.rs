//! Children that run a program of their own.

use std::ffi::CStr;
use std::os::fd::RawFd;
use std::sync::Arc;

use manyhands_sys::process::{self, Program};

use crate::StartError;
use crate::child::Child;

/// Runs a program as a child, with this process's environment and its first three descriptors, and
/// with those given, by the same numbers. All others are closed.
///
/// The caller holds what guards the environment of this process.
///
/// # Errors
/// The file cannot be run; limits of processes, memory and descriptors.
///
/// ```
/// use manyhands_process::{ExitStatus, Waited, spawn};
///
/// let child = spawn(c"/bin/sh", &[c"sh", c"-c", c"exit 3"], &[])?;
/// assert_eq!(child.wait(None), Waited::Ended(ExitStatus::Exited(3)));
/// # Ok::<(), manyhands_process::StartError>(())
/// ```
pub fn spawn(
    path: &CStr,
    arguments: &[&CStr],
    descriptors: &[RawFd],
) -> Result<Arc<Child>, StartError> {
    let descriptors: Vec<_> = descriptors.iter().map(|&number| (number, number)).collect();
    let pid = process::spawn(&Program {
        path,
        arguments,
        descriptors: &descriptors,
        null: [false; 3],
        blocked: process::blocked_signals(),
    })
    .map_err(|error| StartError::of_program(path, error))?;
    Child::adopt(pid)
}
