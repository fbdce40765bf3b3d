//! Processes, and what they share: queues, data under a lock, semaphores, events, conditions,
//! barriers.
//!
//! ```
//! use manyhands::process::{ExitStatus, Lock, Process, Queue};
//!
//! let (questions, answers) = (Queue::<u64>::new(0)?, Queue::<(u64, String)>::new(0)?);
//! let asked = Lock::new(0_u64)?;
//! let child = Process::fork(|| {
//!     while let Ok(number) = questions.get() {
//!         *asked.lock() += 1;
//!         answers.put(&(number, format!("{number}, squared, is {}", number * number))).unwrap();
//!     }
//!     0
//! })?;
//! questions.put(&12)?;
//! assert_eq!(answers.get()?, (12, "12, squared, is 144".to_owned()));
//! questions.shut_down(false)?;
//! assert_eq!(child.join(None), Some(ExitStatus::Exited(0)));
//! assert_eq!(*asked.lock(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Make what is to be shared, then start the process: a forked child has all that its parent had.
//! Nothing of it has a name, so nothing is left behind, however the processes end.
//!
//! # When a process is killed
//! It may be killed at any moment and harms nobody. A lock that it held goes to who waits next, who
//! is told ([`Guard::is_abandoned`]); a queue loses at most the message that it was just putting or getting
//! ([`Queue::lost`]); who waits goes on waiting, or gets what the dead one would have got.
//!
//! # Fork safety
//! Of several threads only the one that forks is there in the child, while locks of the program's own
//! that others held stay locked. Fork before you start threads, or do in the child only what needs
//! nothing of theirs.

mod objects;
mod queue;
mod start;

#[doc(inline)]
pub use manyhands_process::{ExitStatus, StartError};
#[doc(inline)]
pub use manyhands_shm::{
    ArenaError, Barrier, Broken, Deadline, DoneError, Guard, Limit, Owner, TooManyReleases,
};

pub use bytemuck;
pub use objects::{Condition, Event, Semaphore};
pub use queue::{GetError, PutError, Queue};
pub use start::Process;

/// [`manyhands_shm::Guarded`]: data that processes share under a lock.
///
/// A struct of your own can be shared if it is plain ([`bytemuck::Pod`]):
/// ```
/// use manyhands::process::{Lock, bytemuck};
///
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Till {
///     tickets: u64,
///     cents: u64,
/// }
///
/// // SAFETY: plain numbers without gaps, for which zero is fine. Or derive it: see `bytemuck`.
/// unsafe impl bytemuck::Zeroable for Till {}
/// unsafe impl bytemuck::Pod for Till {}
///
/// let till = Lock::new(Till { tickets: 100, cents: 0 })?;
/// let mut open = till.lock();
/// open.tickets -= 1;
/// open.cents += 1250;
/// # Ok::<(), manyhands::process::ArenaError>(())
/// ```
#[doc(alias = "multiprocessing.Lock")]
pub type Lock<T> = manyhands_shm::Guarded<T>;
