//! Children that begin as copies of this process.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use manyhands_sys::process;

use crate::child::Child;
use crate::reaper::prepare_for_forks;
use crate::{Guard, StartError};

/// Who returns from a fork.
#[derive(Debug)]
pub enum Forked {
    /// The parent, with its child.
    Parent(Arc<Child>),
    /// The child, with a descriptor of its parent that becomes readable when that ends.
    Child(OwnedFd),
}

/// Copies this process. With `guarded` the copy dies when this process does, however it does.
///
/// # Fork safety
/// As [`manyhands_sys::process::fork`].
///
/// # Errors
/// Limits of processes, of memory, of descriptors. Nothing is left behind then.
///
/// ```
/// use manyhands_process::{ExitStatus, Forked, Waited, fork};
///
/// match fork(false)? {
///     Forked::Child(_parent) => manyhands_sys::process::exit(3),
///     Forked::Parent(child) => {
///         assert_eq!(child.wait(None), Waited::Ended(ExitStatus::Exited(3)));
///     }
/// }
/// # Ok::<(), manyhands_process::StartError>(())
/// ```
pub fn fork(guarded: bool) -> Result<Forked, StartError> {
    const DOING: &str = "cannot fork a child process";
    prepare_for_forks();
    let guard = Guard::here();
    // Opened here: the child could open another process's if its parent has ended already.
    let parent =
        process::open(std::process::id()).map_err(|error| StartError::new(DOING, error))?;
    // One for the child's descriptor, so that a limit is met before there is a child.
    let spare = parent.try_clone().map_err(|error| StartError::new(DOING, error))?;
    match process::fork().map_err(|error| StartError::new(DOING, error))? {
        None => {
            drop(spare);
            if guarded && guard.stand(&parent).is_err() {
                process::exit(255);
            }
            Ok(Forked::Child(parent))
        }
        Some(pid) => {
            drop((spare, parent));
            Child::adopt(pid).map(Forked::Parent)
        }
    }
}
