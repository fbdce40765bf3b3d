//! What can go wrong with a pool, and with a call.

use std::fmt;

use manyhands_process::{ExitStatus, StartError};
use manyhands_shm::ArenaError;

/// Why a pool was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Worker processes are this program, started again: it has to say where they begin.
    #[error(
        "call manyhands::init() first of all in main(): there the pool's worker processes begin"
    )]
    NotInitialized,
    /// Two functions have the same name, by which workers could not tell them apart.
    #[error("two tasks have the name {0}: give one of these functions another name")]
    DuplicateTask(&'static str),
    /// A pool without workers does nothing.
    #[error("a pool needs a worker at least")]
    NoWorkers,
    /// A worker process was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system gives no thread or descriptor.
    #[error("cannot start a thread for the pool: {0}")]
    Thread(#[from] std::io::Error),
    /// The system gives no memory to share with workers.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// Why a call has no result, or was not taken by the pool.
///
/// ```no_run
/// use manyhands::{Pool, pool::PoolError};
///
/// #[manyhands::task]
/// fn render(page: u32) -> Vec<u8> {
///     vec![0; page as usize]
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # manyhands::init();
/// let pool = Pool::new()?;
/// match pool.submit(render::task(12))?.join() {
///     Ok(bytes) => println!("{} bytes", bytes.len()),
///     Err(PoolError::WorkerDied { pid, status, .. }) => eprintln!("lost with {pid}: {status:?}"),
///     Err(error) => eprintln!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The pool takes no more calls.
    #[error("the pool was closed")]
    Closed,
    /// The pool was terminated, or dropped, before the call had a result.
    #[error("the pool has ended without a result of {task}")]
    Terminated {
        /// The function.
        task: &'static str,
    },
    /// The call was taken back by [`Handle::cancel`](crate::pool::Handle::cancel).
    #[error("the call of {task} was cancelled")]
    Cancelled {
        /// The function.
        task: &'static str,
    },
    /// The worker process that did the call has ended, without a result.
    #[error("worker process {pid} {}, while it did {task}", Ended(*.status))]
    WorkerDied {
        /// The function.
        task: &'static str,
        /// The number of the process.
        pid: u32,
        /// By which signal, or with which exit code.
        status: ExitStatus,
    },
    /// The function has panicked; its worker goes on.
    #[error("{task} panicked: {message}")]
    Panicked {
        /// The function.
        task: &'static str,
        /// What it said.
        message: String,
    },
    /// The arguments cannot be written down, or not be read by the worker.
    #[error("the arguments of {task} cannot be sent: {reason}")]
    Arguments {
        /// The function.
        task: &'static str,
        /// What serde says.
        reason: String,
    },
    /// The result cannot be written down by the worker, or not be read.
    #[error("the result of {task} cannot be sent: {reason}")]
    Result {
        /// The function.
        task: &'static str,
        /// What serde, or the system, says.
        reason: String,
    },
    /// The worker does not know the function.
    #[error("a worker has no task {task}: it is not the program that has started it")]
    Unknown {
        /// The function.
        task: &'static str,
    },
    /// Workers end before they take calls, or cannot be started any more.
    #[error("the pool is broken: {0}")]
    Broken(String),
    /// This is a forked copy of the process whose pool it is.
    #[error("this pool is of the parent process, and only that can use it")]
    Foreign,
    /// The system gives no memory to share with workers.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

/// How a process ended, in a sentence about it.
pub(crate) struct Ended(pub(crate) ExitStatus);

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ExitStatus::Exited(code) => write!(formatter, "has ended with exit code {code}"),
            ExitStatus::Killed(signal) => write!(formatter, "was killed by signal {signal}"),
            ExitStatus::Lost => formatter.write_str("has ended"),
        }
    }
}
