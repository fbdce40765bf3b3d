//! Python's concurrency toolbox for Rust programs: the locks and queues of `threading`, `queue` and
//! `multiprocessing`, with their meaning and Rust's names.
//!
//! ```
//! use std::thread;
//!
//! use manyhands::queue::FifoQueue;
//!
//! // Room for four buns: who cooks faster than others eat waits.
//! let counter = FifoQueue::new(4);
//! thread::scope(|scope| {
//!     let guests = [(); 3].map(|()| {
//!         scope.spawn(|| {
//!             let mut eaten = 0;
//!             while let Ok(_bun) = counter.get() {
//!                 eaten += 1;
//!             }
//!             eaten
//!         })
//!     });
//!     for bun in ["pork", "custard", "leek", "red bean", "sesame"] {
//!         counter.put(bun).unwrap();
//!     }
//!     counter.shutdown(); // Guests have what there is, and go.
//!     assert_eq!(guests.map(|guest| guest.join().unwrap()).iter().sum::<i32>(), 5);
//! });
//! ```
//!
//! * [`sync`]: [`Lock`](sync::Lock), [`RLock`](sync::RLock), [`Semaphore`](sync::Semaphore),
//!   [`Event`](sync::Event), [`Condition`](sync::Condition), [`Barrier`](sync::Barrier). They protect
//!   no data and know their owners; for data, std's `Mutex` is the better tool.
//! * [`queue`]: first in first out, last in first out, least first; bounded or not; `join`,
//!   `shutdown`.
//! * [`process`]: processes, and what they share: queues of whatever serde can write down, data under a
//!   lock, semaphores, events, conditions, barriers; all of it survives that a process is killed.
//! * [`Pool`]: workers, processes or threads, that do calls of [`task`](macro@task) functions; one that is
//!   killed takes no other's call along.
//! * [`wire`]: connections between processes that speak Python's `multiprocessing.connection`.
//! * [`watch`]: which objects make threads wait, who holds them, who waits.
//!
//! Whatever waits can wait for a while ([`Limit`](sync::Limit)) and in your own way
//! ([`Gate`](sync::Gate)); one that is given up never takes a wake-up along that was meant for
//! another. The same crates run Python programs: see the project's `manyhands run`.

pub mod pool;
pub mod process;
pub mod queue;
pub mod sync;

pub use pool::Pool;
pub use pool::worker::init;

/// Makes a function a task: it stays as it is, and `area::task(...)` is a call of it, for a [`Pool`].
///
/// ```
/// # use manyhands::pool::Kind;
/// use manyhands::Pool;
///
/// #[manyhands::task]
/// fn area(width: u32, height: u32) -> u64 {
///     u64::from(width) * u64::from(height)
/// }
///
/// # let pool = Pool::builder().kind(Kind::Threads).workers(1).build()?;
/// assert_eq!(pool.submit(area::task(3, 4))?.join()?, area(3, 4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Arguments and result go to another process: serde can write them down and read them, without
/// borrowing ([`Transferable`](pool::Transferable)).
///
/// Workers know the function by its name and its module's, and what is called so in their program; so two
/// functions of one name, in the bodies of two functions of one module, cannot both be tasks
/// ([`DuplicateTask`](pool::BuildError::DuplicateTask)).
///
/// References are no arguments of a task:
/// ```compile_fail
/// #[manyhands::task]
/// fn length(text: &str) -> usize {
///     text.len()
/// }
/// ```
/// nor is what serde cannot write down:
/// ```compile_fail,E0277
/// #[manyhands::task]
/// fn wait(thread: std::thread::JoinHandle<()>) {
///     let _ = thread.join();
/// }
/// ```
/// Generic functions, which have no address before they are used, and async ones are no tasks:
/// ```compile_fail
/// #[manyhands::task]
/// fn double<T: std::ops::Add<Output = T> + Copy>(number: T) -> T {
///     number + number
/// }
/// ```
/// ```compile_fail
/// #[manyhands::task]
/// async fn answer() -> u32 {
///     42
/// }
/// ```
#[doc(inline)]
pub use manyhands_macros::task;
#[doc(inline)]
pub use manyhands_watch as watch;
#[doc(inline)]
pub use manyhands_wire as wire;

/// What the attribute [`macro@task`] needs.
#[doc(hidden)]
pub mod __private {
    pub use inventory::submit;

    pub use crate::pool::task::{Definition, can_be_sent, run};
}

/// The programs of the README are run as this one's examples are.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
