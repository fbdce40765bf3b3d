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
//! * [`wire`]: connections between processes that speak Python's `multiprocessing.connection`.
//! * [`watch`]: which objects make threads wait, who holds them, who waits.
//!
//! Whatever waits can wait for a while ([`Limit`](sync::Limit)) and in your own way
//! ([`Gate`](sync::Gate)); one that is given up never takes a wake-up along that was meant for
//! another. The same crates run Python programs: see the project's `manyhands run`.

pub mod process;
pub mod queue;
pub mod sync;

#[doc(inline)]
pub use manyhands_watch as watch;
#[doc(inline)]
pub use manyhands_wire as wire;

/// The programs of the README are run as this one's examples are.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
